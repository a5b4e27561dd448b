/** Metadata that comes with the completion of an upload, where the service takes it and where not. */
import t, { type Test } from 'tap'
import type { Metadata, StorageDriver } from '../../../src/driver/driver.js'
import { bytes } from '../helpers.js'
import { startDriverHarness } from './harness.js'

const BEGUN = { 'bosfs-uid': '7', 'bosfs-mode': '33188' }
const CONTENT = bytes(1000, 1)

async function compose(
  store: StorageDriver,
  path: string,
  { begun, completed }: { begun?: Metadata; completed?: Metadata },
): Promise<void> {
  const composition = await store.compose(path, begun && { metadata: begun })
  const part = await composition.uploadPart(1, [CONTENT])
  await composition.complete([part], completed && { metadata: completed })
}

async function start(t: Test, completeMetadata: boolean) {
  const { driver, log } = await startDriverHarness(t, { strict: { completeMetadata } })
  const store = await driver()
  return {
    store,
    /** What a composition asks for from its completion on. */
    costOf: async (path: string, metadata: Parameters<typeof compose>[2]): Promise<unknown[]> => {
      log.length = 0
      await compose(store, path, metadata)
      return log.map(({ operation }) => operation).slice(2)
    },
  }
}

const COMPLETE = 'CompleteMultipartUpload'

for (const keeps of [true, false]) {
  const service = `a service that ${keeps ? 'keeps' : 'drops'} metadata of a completion`

  void t.test(`${service}: a file has what it was begun or completed with`, async t => {
    const { store } = await start(t, keeps)
    const changed = { 'bosfs-uid': '9', 'bosfs-mode': '33188', a: 'b' }
    await compose(store, '/begun', { begun: BEGUN })
    await compose(store, '/same', { begun: BEGUN, completed: BEGUN })
    await compose(store, '/added', { completed: BEGUN })
    await compose(store, '/changed', { begun: BEGUN, completed: changed })
    for (const path of ['/begun', '/same', '/added']) {
      t.same((await store.stat(path)).metadata, BEGUN, path)
    }
    t.same((await store.stat('/changed')).metadata, changed)
    t.same(await store.getContent('/changed'), CONTENT)
  })
}

void t.test('what a service does with metadata of a completion is looked up once', async t => {
  const { costOf } = await start(t, true)
  t.same(await costOf('/begun', { begun: BEGUN, completed: BEGUN }), [COMPLETE])
  t.same(await costOf('/first', { completed: BEGUN }), [COMPLETE, 'HeadObject'])
  t.same(await costOf('/second', { completed: BEGUN }), [COMPLETE])
})

void t.test('where it is dropped, every later completion is followed by a copy', async t => {
  const { costOf } = await start(t, false)
  const first = await costOf('/first', { completed: BEGUN })
  t.equal(first[0], COMPLETE)
  t.equal(first.at(-1), 'CopyObject')
  const second = await costOf('/second', { completed: BEGUN })
  t.same(second, [COMPLETE, 'HeadObject', 'CopyObject'])
})

void t.test('metadata that was begun with and is left out at completion is gone', async t => {
  for (const keeps of [true, false]) {
    const { store } = await start(t, keeps)
    const completed = { a: 'b' }
    // What the service does with added metadata does not say what it does with that left out.
    await compose(store, '/added', { completed: BEGUN })
    await compose(store, '/less', { begun: BEGUN, completed })
    t.same((await store.stat('/less')).metadata, completed, `kept: ${keeps}`)
  }
})

void t.test('a completion that finds its result there already leaves no upload behind', async t => {
  const { driver, log } = await startDriverHarness(t)
  const store = await driver()
  const content = [bytes(100, 1)]
  const first = await store.compose('/f')
  await first.complete([await first.uploadPart(1, content)], { ifNoneMatch: '*' })
  const second = await store.compose('/f')
  const part = await second.uploadPart(1, content)
  log.length = 0
  await second.complete([part], { ifNoneMatch: '*', repeated: true })
  t.same(
    log.map(({ operation }) => operation),
    [COMPLETE, 'HeadObject', 'AbortMultipartUpload'],
  )
  for await (const { path } of store.uploads('/')) t.fail(`left over: ${path}`)
})
