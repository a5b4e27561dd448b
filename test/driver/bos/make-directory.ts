/** Directories of a hierarchical bucket that are made again, to have other metadata. */
import t, { type Test } from 'tap'
import type { StorageDriver } from '../../../src/driver/driver.js'
import { AccessDeniedError, UnsupportedError } from '../../../src/driver/errors.js'
import { failure } from '../helpers.js'
import { BUCKET, startDriverHarness, type DriverHarness } from './harness.js'

async function start(t: Test): Promise<DriverHarness & { store: StorageDriver }> {
  const harness = await startDriverHarness(t, { buckets: [{ name: BUCKET, hierarchy: true }] })
  const store = await harness.driver({}, { hierarchical: true })
  return { ...harness, store }
}

void t.test('a directory that exists is copied onto itself to have other metadata', async t => {
  const { store, log } = await start(t)
  await store.makeDirectory('/d/sub', { metadata: { a: '1' } })
  log.length = 0
  await store.makeDirectory('/d/sub', { metadata: { b: '2' } })
  t.same(
    log.map(({ operation }) => operation),
    ['PutObject', 'CopyObject'],
  )
  t.same((await store.stat('/d/sub')).metadata, { b: '2' })
  await store.makeDirectory('/d', { metadata: { c: '3' } })
  t.same((await store.stat('/d')).metadata, { c: '3' }, 'so is one that was made for what is in it')
  t.ok((await store.stat('/d/sub')).isDir)
})

void t.test('a directory that is made again without metadata keeps what it has', async t => {
  const { store } = await start(t)
  await store.makeDirectory('/d', { metadata: { a: '1' } })
  await store.makeDirectory('/d')
  t.same((await store.stat('/d')).metadata, { a: '1' })
})

void t.test('a service that does not copy directories is told from one that fails', async t => {
  const { store, server } = await start(t)
  await store.makeDirectory('/d', { metadata: { a: '1' } })
  const refuse = async (status: number, code: string): Promise<unknown> => {
    const operation = 'CopyObject'
    server.faults.add({ operation, count: 1, fault: { kind: 'error', status, code } })
    return await failure(store.makeDirectory('/d', { metadata: { b: '2' } }))
  }
  t.type(await refuse(400, 'InvalidArgument'), UnsupportedError)
  t.type(await refuse(501, 'NotImplemented'), UnsupportedError)
  t.type(await refuse(403, 'AccessDenied'), AccessDeniedError)
  t.same((await store.stat('/d')).metadata, { a: '1' })
})
