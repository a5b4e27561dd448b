/** What is answered about a mount over HTTP, and to whom. */
import { statSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openEndpoint } from '../../src/metrics/endpoint.js'
import { scratchFolder } from '../helpers/scratch.js'

interface Answer {
  readonly status: number
  readonly text: string
}

async function open(t: Test, address: string) {
  const problems: { alive?: string; ready?: string } = {}
  const failing = async (problem: string | undefined): Promise<void> => {
    if (problem !== undefined) throw new Error(problem)
  }
  const endpoint = await openEndpoint({
    address,
    metrics: { contentType: 'text/plain', text: async () => 'some 1\n' },
    alive: () => failing(problems.alive),
    ready: () => failing(problems.ready),
  })
  t.teardown(() => endpoint.close())
  const get = (path: string, method = 'GET'): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const where = address.startsWith('/') ? { socketPath: address } : new URL(endpoint.url)
      const options =
        where instanceof URL ? { host: where.hostname, port: where.port } : { ...where }
      request({ ...options, path, method }, response => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      })
        .on('error', reject)
        .end()
    })
  return { problems, get }
}

void t.test('health is the mount, readiness is the mount and its store', async t => {
  const { problems, get } = await open(t, '127.0.0.1:0')
  const ok = { status: 200, text: 'ok\n' }
  t.same(await get('/healthz'), ok)
  t.same(await get('/readyz'), ok)
  t.same(await get('/metrics'), { status: 200, text: 'some 1\n' })
  problems.alive = 'not mounted any more'
  t.same(await get('/healthz'), { status: 503, text: 'not mounted any more\n' })
  t.same(await get('/readyz'), { status: 503, text: 'not mounted any more\n' })
})

void t.test('a store that does not answer is no reason to start again', async t => {
  const { problems, get } = await open(t, '127.0.0.1:0')
  problems.ready = 'no answer within 3 s'
  t.same(await get('/readyz'), { status: 503, text: 'no answer within 3 s\n' })
  t.equal((await get('/healthz')).status, 200)
})

void t.test('nothing else is answered, and a socket is for its owner alone', async t => {
  const socket = join(scratchFolder(t), 'metrics.sock')
  const { get } = await open(t, socket)
  t.equal(statSync(socket).mode & 0o777, 0o600)
  t.equal((await get('/metrics')).status, 200)
  t.equal((await get('/other')).status, 404)
  t.equal((await get('/metrics', 'POST')).status, 405)
})
