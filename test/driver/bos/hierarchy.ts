/** What the driver does in a hierarchical bucket, request by request. */
import t, { type Test } from 'tap'
import { openBosDriver } from '../../../src/driver/bos/driver.js'
import type { StorageDriver } from '../../../src/driver/driver.js'
import { bytes, failure, walked } from '../helpers.js'
import { BUCKET, startDriverHarness, type DriverHarness } from './harness.js'

async function start(t: Test, strict = {}): Promise<DriverHarness & { store: StorageDriver }> {
  const buckets = [{ name: BUCKET, hierarchy: true }]
  const harness = await startDriverHarness(t, { buckets, strict })
  const store = await openBosDriver(harness.parameters(), { retry: { baseDelay: 1 } })
  t.teardown(() => store.close())
  harness.log.length = 0
  return { ...harness, store }
}

function operations({ log }: DriverHarness): unknown[] {
  return log.splice(0).map(({ operation }) => operation)
}

void t.test('a directory is renamed by one request, with all that is in it', async t => {
  const harness = await start(t)
  const { store } = harness
  for (let i = 0; i < 5; i++) await store.putContent(`/dir/sub/${i}`, bytes(10, i))
  operations(harness)
  await store.move('/dir', '/moved')
  t.equal(operations(harness).filter(name => name === 'RenameObject').length, 1)
  t.same(await walked(store, '/'), [
    '/moved',
    '/moved/sub',
    ...[0, 1, 2, 3, 4].map(i => `/moved/sub/${i}`),
  ])
})

void t.test('a lost answer to the rename of a directory is found out about', async t => {
  const { server, store } = await start(t)
  await store.putContent('/dir/file', bytes(10))
  server.faults.add({ operation: 'RenameObject', count: 1, fault: { kind: 'drop-response' } })
  await store.move('/dir', '/moved')
  t.same(await store.getContent('/moved/file'), bytes(10))
  t.match(await failure(store.stat('/dir')), { code: 'PATH_NOT_FOUND' })
})

void t.test('a directory moves into one that exists, child by child', async t => {
  const { store } = await start(t)
  await store.putContent('/from/a', bytes(1))
  await store.putContent('/from/sub/b', bytes(2))
  await store.putContent('/to/sub/c', bytes(3))
  await store.move('/from', '/to')
  t.same(await walked(store, '/'), ['/to', '/to/a', '/to/sub', '/to/sub/b', '/to/sub/c'])
})

void t.test('a big directory is deleted by few requests, up to the end', async t => {
  const harness = await start(t, { recursiveDeleteLimit: 10 })
  const { store, server } = harness
  for (let i = 0; i < 25; i++) await store.putContent(`/dir/${i}`, bytes(1))
  operations(harness)
  server.faults.add({
    operation: 'DeleteObject',
    skip: 1,
    count: 1,
    fault: { kind: 'drop-response' },
  })
  await store.delete('/dir')
  t.ok(operations(harness).length <= 7)
  t.same(await store.list('/'), [])
})

void t.test('parents are made only when they turn out to be missing', async t => {
  const harness = await start(t)
  const { store } = harness
  await store.putContent('/a/b/c/file', bytes(1))
  operations(harness)
  await store.putContent('/a/b/c/other', bytes(1))
  t.same(operations(harness), ['PutObject'])
})

void t.test('a directory is no file', async t => {
  const { store } = await start(t)
  await store.makeDirectory('/dir')
  for (const read of [store.getContent('/dir'), store.reader('/dir'), store.copy('/dir', '/x')]) {
    t.match(await failure(read), { code: 'PATH_NOT_FOUND' })
  }
  await store.deleteFile('/dir')
  t.match(await store.stat('/dir'), { isDir: true })
})
