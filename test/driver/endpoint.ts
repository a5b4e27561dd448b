import { createServer } from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import t from 'tap'
import { createBosDriver } from '../../src/driver/bos/driver.js'
import { addressing, parseEndpoint, type AddressingInput } from '../../src/driver/endpoint.js'
import { BUCKET, startDriverHarness } from './bos/harness.js'
import { bytes } from './helpers.js'

/** Every name is this machine. */
const lookup: LookupFunction = (_host, options, callback) => {
  if (options.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }])
  else callback(null, '127.0.0.1', 4)
}

const PLACES: readonly (readonly [Omit<AddressingInput, 'bucket'>, string])[] = [
  [{ endpoint: 'https://bj.bcebos.com' }, 'https://b.bj.bcebos.com'],
  [{ endpoint: 'https://bj.bcebos.com', addressing: 'path' }, 'https://bj.bcebos.com/b'],
  [{ endpoint: 'https://bos.example.com' }, 'https://bos.example.com/b'],
  [{ endpoint: 'http://bos.example.com:80', addressing: 'virtual' }, 'http://b.bos.example.com'],
  [{ endpoint: 'http://localhost:8010', addressing: 'virtual' }, 'http://b.localhost:8010'],
  [{ endpoint: 'https://files.example.com', addressing: 'cname' }, 'https://files.example.com'],
  [{ endpoint: 'https://b.cdn.bcebos.com', addressing: 'cname' }, 'https://b.cdn.bcebos.com'],
]

void t.test('the bucket is named where the addressing wants it', async t => {
  for (const [input, expected] of PLACES) {
    const { origin, pathPrefix } = addressing({ ...input, bucket: 'b' })
    t.equal(origin + pathPrefix, expected)
  }
  t.same(parseEndpoint('HTTPS://Bos.Example.com'), { scheme: 'https', host: 'bos.example.com' })
  t.equal(parseEndpoint('https://user@host'), undefined)
})

void t.test('a bucket named in the host works end to end', async t => {
  const harness = await startDriverHarness(t, { strict: { pathStyle: false } })
  const { port } = new URL(harness.server.url)
  const endpoint = `http://localhost:${port}`
  const changes = { endpoint, addressing: 'virtual' }
  const driver = createBosDriver(harness.parameters(changes), { lookup })
  t.teardown(() => driver.close())
  await driver.putContent('/virtual/host', bytes(1000))
  t.same(await driver.getContent('/virtual/host'), bytes(1000))
  t.match(await driver.redirectURL('/virtual/host', { method: 'GET' }), `${BUCKET}.localhost`)
})

void t.test("a bucket's own host is asked without its name", async t => {
  const seen: unknown[] = []
  const server = createServer((request, response) => {
    seen.push(request.url, request.headers.host, request.headers['user-agent'])
    response.setHeader('etag', '"x"').end()
  })
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  t.teardown(() => server.close())
  const harness = await startDriverHarness(t)
  const driver = createBosDriver(
    harness.parameters({
      endpoint: `http://files.example.com:${port}`,
      addressing: 'cname',
      useragent: 'registry/3',
    }),
    { lookup },
  )
  t.teardown(() => driver.close())
  await driver.putContent('/a', bytes(1))
  t.same(seen, ['/a', `files.example.com:${port}`, 'registry/3'])
})

void t.test('redirect URLs may lead to another endpoint, signed for it', async t => {
  const harness = await startDriverHarness(t)
  const { port } = new URL(harness.server.url)
  const redirectendpoint = `http://localhost:${port}`
  const driver = await harness.driver({ redirectendpoint })
  await driver.putContent('/public', bytes(100))
  const url = (await driver.redirectURL('/public', { method: 'GET' })) ?? ''
  t.match(url, `${redirectendpoint}/${BUCKET}/public?authorization=`)
  const answer = await fetch(url)
  t.same(Buffer.from(await answer.arrayBuffer()), bytes(100))
})
