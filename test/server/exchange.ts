import t from 'tap'
import type { Fault } from '../../src/server/faults.js'
import { seededBytes, startHarness } from '../helpers/bos-harness.js'

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
