import t from 'tap'
import type { Fault } from '../../src/server/faults.js'
import { md5Of, seededBytes, startHarness } from '../helpers/bos-harness.js'

const BODY = seededBytes(2_000_000)

void t.test('an error fault answers instead of the operation', async t => {
  const { server, client } = await startHarness(t)
  const fault: Fault = { kind: 'error', status: 503, code: 'ServiceUnavailable', retryAfter: '2' }
  const active = server.faults.add({ operation: 'PutObject', count: 1, fault })
  const refused = await client.call('PUT', { key: 'k', body: BODY })
  t.match(refused, { status: 503, code: 'ServiceUnavailable' })
  t.equal(refused.headers['retry-after'], '2')
  t.equal(active.hits, 1)
  t.equal((await client.call('HEAD', { key: 'k' })).status, 404)
  t.equal((await client.call('PUT', { key: 'k', body: BODY })).status, 200)
})

void t.test('status 200 can carry an error', async t => {
  const { server, client } = await startHarness(t)
  await client.call('PUT', { key: 'a', body: 'x' })
  const fault: Fault = { kind: 'error-in-ok', code: 'InternalError' }
  server.faults.add({ operation: 'CopyObject', fault })
  const headers = { 'x-bce-copy-source': '/test-bucket/a' }
  const reply = await client.call('PUT', { key: 'b', headers })
  t.match(reply, { status: 200, code: 'InternalError' })
  t.equal((await client.call('HEAD', { key: 'b' })).status, 404)
})

void t.test('a reset comes before anything is done', async t => {
  const { server, client } = await startHarness(t)
  server.faults.add({ operation: 'PutObject', count: 1, fault: { kind: 'reset' } })
  await t.rejects(client.call('PUT', { key: 'k', body: 'x' }), { code: 'ECONNRESET' })
  t.equal((await client.call('HEAD', { key: 'k' })).status, 404)
})

void t.test('an upload can be reset midway, and stores nothing', async t => {
  const { server, client } = await startHarness(t)
  const fault: Fault = { kind: 'reset-upload', after: 100_000 }
  server.faults.add({ operation: 'PutObject', fault })
  await t.rejects(client.call('PUT', { key: 'k', body: BODY }))
  server.faults.clear()
  t.equal((await client.call('HEAD', { key: 'k' })).status, 404)
})

void t.test('a download can be reset or end early', async t => {
  const { server, client, log } = await startHarness(t)
  await client.call('PUT', { key: 'k', body: BODY })
  for (const kind of ['reset-download', 'truncate'] as const) {
    for (const after of [0, 700_000]) {
      server.faults.add({ operation: 'GetObject', count: 1, fault: { kind, after } })
      await t.rejects(client.call('GET', { key: 'k' }), kind)
      while (log.at(-1)?.operation !== 'GetObject') await new Promise(setImmediate)
      t.equal(log.at(-1)?.bytesOut, after, `${kind} after ${after}`)
      log.length = 0
    }
  }
  t.ok((await client.call('GET', { key: 'k' })).body.equals(BODY))
  server.faults.add({ operation: 'ListObjects', count: 1, fault: { kind: 'truncate', after: 10 } })
  await t.rejects(client.call('GET'))
})

void t.test('an answer can be lost although the operation was performed', async t => {
  const { server, client } = await startHarness(t)
  const active = server.faults.add({ count: 1, fault: { kind: 'drop-response' } })
  await t.rejects(client.call('PUT', { key: 'k', body: 'hello' }), { code: 'ECONNRESET' })
  t.equal(active.hits, 1)
  t.equal((await client.call('GET', { key: 'k' })).body.toString(), 'hello')
})

void t.test('the Date of responses can be off', async t => {
  const now = () => Date.parse('2024-05-01T10:00:00Z')
  const { server, client } = await startHarness(t, { now })
  server.faults.add({ fault: { kind: 'skew-date', skew: 3_600_000 } })
  t.equal((await client.call('GET')).headers.date, 'Wed, 01 May 2024 11:00:00 GMT')
})

void t.test('a delayed request is handled after all', async t => {
  const { server, client } = await startHarness(t)
  server.faults.add({ operation: 'PutObject', fault: { kind: 'delay', delay: 20 } })
  const order: string[] = []
  const put = client.call('PUT', { key: 'k', body: 'x' }).then(() => order.push('put'))
  const list = client.call('GET').then(() => order.push('list'))
  await Promise.all([put, list])
  t.equal((await client.call('GET', { key: 'k' })).body.toString(), 'x')
  t.equal(order.length, 2)
})

void t.test('a connection lives on after refusals', async t => {
  const { client } = await startHarness(t)
  for (let round = 0; round < 3; round += 1) {
    const headers = { 'x-bce-content-crc32': '1' }
    t.equal((await client.call('PUT', { key: 'k', body: BODY, headers })).code, 'BadDigest')
    t.equal((await client.call('PUT', { key: '/k', body: BODY })).code, 'InvalidObjectName')
    t.equal((await client.call('GET', { key: 'k' })).code, 'NoSuchKey')
  }
})

void t.test(
  'a hanging request gets no answer, and its effect is the one the fault says',
  async t => {
    const { server, client, log } = await startHarness(t)
    for (const [kind, status] of [
      ['hang', 404],
      ['hang-response', 200],
    ] as const) {
      const active = server.faults.add({ operation: 'PutObject', fault: { kind } })
      const put = client.call('PUT', { key: kind, body: BODY })
      put.catch(() => undefined)
      while (log.at(-1)?.operation !== 'PutObject') await new Promise(setImmediate)
      t.equal(log.at(-1)?.status, 0)
      active.remove()
      t.equal((await client.call('HEAD', { key: kind })).status, status)
    }
  },
)

void t.test('a download can stop without an end', async t => {
  const { server, client, log } = await startHarness(t)
  await client.call('PUT', { key: 'k', body: BODY })
  log.length = 0
  server.faults.add({ operation: 'GetObject', fault: { kind: 'hang-download', after: 600_000 } })
  const get = client.call('GET', { key: 'k' })
  get.catch(() => undefined)
  while (log.length === 0) await new Promise(setImmediate)
  t.match(log[0], { operation: 'GetObject', status: 200, bytesOut: 600_000 })
  await server.close()
  await t.rejects(get)
})

void t.test('HTML can come instead of an answer', async t => {
  const { server, client } = await startHarness(t)
  server.faults.add({ count: 1, fault: { kind: 'html' } })
  const reply = await client.call('GET')
  t.match(reply, { status: 502, headers: { 'content-type': 'text/html' }, json: undefined })
  t.match(reply.body.toString(), /<html>/)
  server.faults.add({ count: 1, fault: { kind: 'html', status: 200 } })
  t.equal((await client.call('HEAD', { key: 'k' })).status, 200)
})

void t.test('a connection can be reset behind a whole answer', async t => {
  const { server, client } = await startHarness(t)
  server.faults.add({ operation: 'PutObject', fault: { kind: 'reset-after' } })
  await client.call('PUT', { key: 'k', body: 'x' }).catch(() => undefined)
  const get = async () => await client.call('GET', { key: 'k' })
  // The first may run into the connection that is being reset.
  t.equal((await get().catch(get)).body.toString(), 'x')
})

void t.test('the announced length of an answer can be wrong', async t => {
  const { server, client } = await startHarness(t)
  await client.call('PUT', { key: 'k', body: 'hello' })
  server.faults.add({ operation: 'GetObject', count: 1, fault: { kind: 'wrong-length', by: 3 } })
  await t.rejects(client.call('GET', { key: 'k' }))
  server.faults.add({ operation: 'GetObject', count: 1, fault: { kind: 'wrong-length', by: -3 } })
  const short = await client.call('GET', { key: 'k' }).catch(() => undefined)
  t.ok(short === undefined || short.body.toString() === 'he')
  const get = async () => await client.call('GET', { key: 'k' })
  t.equal((await get().catch(get)).body.toString(), 'hello')
})

void t.test(
  'one byte of a body can be wrong on its way out, and what is stored is not',
  async t => {
    const { server, client } = await startHarness(t)
    for (const body of [Buffer.from('hello'), BODY]) {
      await client.call('PUT', { key: 'k', body })
      const at = body.length - 2
      server.faults.add({ operation: 'GetObject', count: 1, fault: { kind: 'corrupt', at } })
      const spoilt = (await client.call('GET', { key: 'k' })).body
      const wrong = [...body.keys()].filter(index => body[index] !== spoilt[index])
      t.strictSame(wrong, [at])
      t.ok((await client.call('GET', { key: 'k' })).body.equals(body))
    }
  },
)

void t.test('one byte of a body can be wrong on its way in, which a checksum tells', async t => {
  const { server, client } = await startHarness(t)
  server.faults.add({ operation: 'PutObject', fault: { kind: 'corrupt-upload', at: 70_000 } })
  const headers = { 'content-md5': Buffer.from(md5Of(BODY), 'hex').toString('base64') }
  const put = await client.call('PUT', { key: 'k', body: BODY, headers })
  t.match(put, { status: 400, code: 'BadDigest' })
  await client.call('PUT', { key: 'k', body: BODY })
  const stored = (await client.call('GET', { key: 'k' })).body
  t.strictSame(
    [...BODY.keys()].filter(index => BODY[index] !== stored[index]),
    [70_000],
  )
})
