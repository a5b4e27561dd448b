/**
 * A journal over a bucket in which directories are real, where it cannot be what the bucket is: it does not ask
 * the store what a name is before it takes a file, and what was never sent has never made a directory.
 */
import t, { type Test } from 'tap'
import type { StorageDriver } from '../../src/driver/driver.js'
import type { JournaledDriver } from '../../src/journal/driver.js'
import { BUCKET, startDriverHarness } from '../driver/bos/harness.js'
import { bytes, failure } from '../driver/helpers.js'
import { lasting, openJournaled } from './subject.js'

interface Stage {
  readonly store: StorageDriver
  readonly driver: JournaledDriver
}

async function setStage(t: Test): Promise<Stage> {
  const { driver: open } = await startDriverHarness(t, {
    buckets: [{ name: BUCKET, hierarchy: true }],
  })
  const store = lasting(await open({}, { hierarchical: true }))
  const clock = (): number => Date.UTC(2026, 0, 2, 3, 4, 5)
  return { store, driver: await openJournaled(t, store, { host: 'here', clock }) }
}

const CONFLICT = '.conflict-here-20260102T030405Z'

void t.test('what cannot be both file and directory in the store is stored beside', async t => {
  const { store, driver } = await setStage(t)
  await store.putContent('/file', bytes(10, 1))
  await store.putContent('/dir/below', bytes(10, 2))
  await driver.putContent('/file/a/b', bytes(20, 1))
  await driver.putContent('/dir', bytes(20, 2))
  await driver.drain()
  t.same(await store.getContent('/file'), bytes(10, 1))
  t.same(await store.getContent('/dir/below'), bytes(10, 2))
  t.same(await driver.getContent(`/file${CONFLICT}/a/b`), bytes(20, 1))
  t.same(await driver.getContent(`/dir${CONFLICT}`), bytes(20, 2))
  t.equal(driver.gauges.journalConflictsTotal, 2)
})

void t.test('a directory stays that was sent, and does not that never was', async t => {
  const { store, driver } = await setStage(t)
  for (const path of ['/sent/f', '/never/f']) {
    await driver.putContent(path, bytes(10), { isFree: true })
    if (path === '/sent/f') await driver.drain()
    await driver.deleteFile(path)
  }
  t.match(await driver.stat('/sent'), { isDir: true })
  t.match(await failure(driver.stat('/never')), { code: 'PATH_NOT_FOUND' })
  await driver.makeDirectory('/made')
  t.match(await driver.stat('/made'), { isDir: true }, 'unless it was asked for')
  await driver.drain()
  t.same((await store.list('/')).toSorted(), ['/made', '/sent'])
})
