/** Uploads that nobody waits for any more once they have begun. */
import t, { type Test } from 'tap'
import type { StorageDriver } from '../../../src/driver/driver.js'
import { bytes } from '../helpers.js'
import { startDriverHarness } from './harness.js'

const BEGINNING = 'InitiateMultipartUpload'
/** How long a beginning takes: longer than its caller's patience. */
const LONG = 300

async function unfinished(store: StorageDriver): Promise<string[]> {
  const paths: string[] = []
  for await (const { path } of store.uploads('/')) paths.push(path)
  return paths
}

/** Gives up while the upload is begun, closes the driver, and looks what is left. */
async function giveUp(
  t: Test,
  work: (store: StorageDriver, signal: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const { server, driver, log } = await startDriverHarness(t)
  const store = await driver({}, { copyThreshold: 1000, copyPartSize: 1000 })
  await store.putContent('/source', bytes(3000, 1))
  const rule = server.faults.add({ operation: BEGINNING, fault: { kind: 'delay', delay: LONG } })
  const stop = new AbortController()
  const reason = new Error('no patience')
  const refused = t.rejects(work(store, stop.signal), reason)
  while (rule.hits === 0) await new Promise(resolve => setImmediate(resolve))
  stop.abort(reason)
  await refused
  t.notOk(
    log.some(({ operation }) => operation === BEGINNING),
    'the answer is not waited for',
  )
  await store.close()
  t.ok(
    log.some(({ operation }) => operation === BEGINNING),
    'it began nevertheless',
  )
  t.same(await unfinished(await driver()), [])
}

void t.test('a composition that is given up while it begins leaves no upload', async t => {
  await giveUp(t, (store, signal) => store.compose('/new', { signal }))
})

void t.test('a copy in parts that is given up while it begins leaves no upload', async t => {
  await giveUp(t, (store, signal) => store.copy('/source', '/new', { signal }))
})

void t.test('who has given up before begins no upload', async t => {
  const { driver, log } = await startDriverHarness(t)
  const store = await driver()
  const reason = new Error('no patience')
  await t.rejects(store.compose('/new', { signal: AbortSignal.abort(reason) }), reason)
  await store.close()
  t.same(log, [])
})

void t.test('a driver whose service never answers closes nevertheless', async t => {
  const { server, driver } = await startDriverHarness(t)
  const store = await driver()
  const rule = server.faults.add({ operation: BEGINNING, fault: { kind: 'hang' } })
  const stop = new AbortController()
  const refused = t.rejects(store.compose('/new', { signal: stop.signal }))
  while (rule.hits === 0) await new Promise(resolve => setImmediate(resolve))
  stop.abort()
  await refused
  await store.close()
})
