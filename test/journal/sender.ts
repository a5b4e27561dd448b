/** Two hosts and one file: neither's version is ever lost, and what is our own is no conflict. */
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { StorageDriver } from '../../src/driver/driver.js'
import { DriverError } from '../../src/driver/errors.js'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import type { JournaledDriver } from '../../src/journal/driver.js'
import { conflictName } from '../../src/journal/conflict-name.js'
import { MiB } from '../../src/util/units.js'
import { bytes } from '../driver/helpers.js'
import { scratchFolder } from '../helpers/scratch.js'
import { watched, type Watched } from '../helpers/watched-driver.js'
import { lasting, openJournaled } from './subject.js'

const TIME = Date.UTC(2026, 0, 2, 3, 4, 5)
const BESIDE = '/f.conflict-here-20260102T030405Z'

interface Stage {
  readonly store: StorageDriver
  readonly watch: Watched
  readonly driver: JournaledDriver
  /** The store's clock and ours. */
  now: number
  /** The process dies, and another takes over. */
  readonly again: () => Promise<JournaledDriver>
}

async function setStage(t: Test): Promise<Stage> {
  const folder = join(scratchFolder(t), 'journal')
  const clock = { now: () => stage.now }
  const store = lasting(createMemoryDriver({ clock, partSize: MiB, minPartSize: MiB }))
  const watch = watched(store)
  const options = { host: 'here', exclusive: 'journal' as const, clock: () => stage.now }
  const open = (at: string, remote: StorageDriver): Promise<JournaledDriver> =>
    openJournaled(t, remote, { ...options, folder: at })
  const stage: Stage = {
    now: TIME,
    store,
    watch,
    driver: await open(folder, watch.driver),
    again: () => {
      const next = `${folder}-next`
      cpSync(folder, next, { recursive: true })
      rmSync(join(next, 'owner'))
      return open(next, store)
    },
  }
  return stage
}

const free = { isFree: true }

void t.test('of two new files the second to be sent is stored beside', async t => {
  const { store, driver } = await setStage(t)
  await driver.putContent('/f', bytes(10, 1), { ...free, metadata: { owner: 'us' } })
  await store.putContent('/f', bytes(10, 2))
  await driver.drain()
  t.same(await driver.getContent('/f'), bytes(10, 2))
  t.same(await driver.getContent(BESIDE), bytes(10, 1))
  t.match(await driver.stat(BESIDE), { metadata: { owner: 'us' } })
  t.equal(driver.gauges.journalConflictsTotal, 1)
})

void t.test('the same content is no conflict', async t => {
  const { store, driver } = await setStage(t)
  const large = bytes(3 * MiB)
  await driver.putContent('/f', bytes(10, 1), free)
  const composition = await driver.compose('/large')
  await composition.complete([await composition.uploadPart(1, [large])], free)
  await store.putContent('/f', bytes(10, 1))
  await store.putContent('/large', large)
  await driver.drain()
  t.equal(driver.gauges.journalConflictsTotal, 0)
  t.same((await store.list('/')).toSorted(), ['/f', '/large'])
})

void t.test('a change of one version does not replace another', async t => {
  const { store, driver } = await setStage(t)
  const { etag } = await store.putContent('/f', bytes(10, 1))
  await driver.putContent('/f', bytes(20, 2), { ifMatch: etag })
  await store.putContent('/f', bytes(10, 3))
  await driver.drain()
  t.same(await store.getContent('/f'), bytes(10, 3))
  t.same(await store.getContent(BESIDE), bytes(20, 2))
  await driver.putContent('/f', bytes(30, 4), { ifMatch: (await driver.stat('/f')).etag ?? '' })
  await driver.drain()
  t.same(await store.getContent('/f'), bytes(30, 4), 'and the next is one of what is there')
})

void t.test('names for what is beside are tried until one is free', async t => {
  const { store, driver } = await setStage(t)
  await driver.putContent('/f', bytes(10, 1), free)
  await store.putContent('/f', bytes(10, 2))
  await store.putContent(BESIDE, bytes(10, 3))
  await driver.drain()
  t.same(await store.getContent(BESIDE), bytes(10, 3))
  t.same(await store.getContent(`${BESIDE}-2`), bytes(10, 1))
})

void t.test(
  'the last upload wins over what was replaced as a whole, unless it is late',
  async t => {
    const stage = await setStage(t)
    const { store, driver } = stage
    await store.putContent('/f', bytes(10, 1))
    await driver.putContent('/f', bytes(10, 2))
    stage.now += 1000
    await store.putContent('/f', bytes(10, 3))
    await driver.drain()
    t.same(await store.getContent('/f'), bytes(10, 2))
    await driver.putContent('/f', bytes(10, 4))
    stage.now += 100_000
    await store.putContent('/f', bytes(10, 5))
    await driver.drain()
    t.same(await store.getContent('/f'), bytes(10, 5))
    const name = conflictName('/f', { host: 'here', time: stage.now, number: 1 })
    t.same(await store.getContent(name), bytes(10, 4))
  },
)

void t.test('after a crash what is newer in the store stays', async t => {
  const stage = await setStage(t)
  const { store, driver } = stage
  for (const path of ['/f', '/gone', '/kept', '/old']) await store.putContent(path, bytes(10, 1))
  stage.now += 1000
  for (const path of ['/f', '/old']) await driver.putContent(path, bytes(10, 2))
  for (const path of ['/gone', '/kept']) await driver.deleteFile(path)
  stage.watch.before = () => {
    throw new DriverError('dead')
  }
  stage.now += 100_000
  for (const path of ['/f', '/kept']) await store.putContent(path, bytes(10, 3))
  const next = await stage.again()
  await next.drain()
  t.same(await store.getContent('/f'), bytes(10, 3))
  t.same(await store.getContent('/kept'), bytes(10, 3))
  t.same(await store.getContent('/old'), bytes(10, 2))
  const name = conflictName('/f', { host: 'here', time: stage.now, number: 1 })
  t.same((await store.list('/')).toSorted(), ['/f', name, '/kept', '/old'].toSorted())
  t.equal(next.gauges.journalConflictsTotal, 2)
})

void t.test(
  'what a dead process has sent is its own, in whatever state the journal is',
  async t => {
    for (const length of [10, 3 * MiB]) {
      for (const isReplaced of [false, true]) {
        const stage = await setStage(t)
        const { store, driver, watch } = stage
        // It gets there, and nobody hears of it.
        watch.after = ({ method }) => {
          if (method === 'putContent' || method === 'complete') throw new DriverError('lost')
        }
        const composition = await driver.compose('/f')
        const part = await composition.uploadPart(1, [bytes(length, 1)])
        await composition.complete([part], free)
        await driver.drain().catch(() => undefined)
        t.equal((await store.stat('/f')).size, length)
        if (isReplaced) await driver.putContent('/f', bytes(20, 2))
        stage.now += 1000
        const next = await stage.again()
        await next.drain()
        t.same(await store.list('/'), ['/f'])
        t.ok((await store.getContent('/f')).equals(isReplaced ? bytes(20, 2) : bytes(length, 1)))
        t.equal(next.gauges.journalConflictsTotal, 0, `${length} bytes, replaced: ${isReplaced}`)
      }
    }
  },
)

void t.test('what arrives after the delete that a dead process has left goes as well', async t => {
  const { store, driver, watch, again } = await setStage(t)
  watch.before = ({ method }) => {
    if (method !== 'stat') throw new DriverError('on its way')
  }
  await driver.putContent('/f', bytes(10), free)
  await driver.makeDirectory('/d', free)
  await driver.drain().catch(() => undefined)
  await driver.deleteMany(['/f', '/d/'])
  const next = await again()
  const drained = next.drain()
  await sleep(300)
  await store.putContent('/f', bytes(10))
  await drained
  t.same(await store.list('/'), [])
})

void t.test('attributes that were changed since are sent, though the content is there', async t => {
  const { store, driver, watch } = await setStage(t)
  watch.after = ({ method }) => {
    if (method === 'putContent') throw new DriverError('lost')
  }
  await driver.putContent('/f', bytes(10), { ...free, metadata: { mode: '1' } })
  await driver.drain().catch(() => undefined)
  watch.after = () => undefined
  await driver.setMetadata('/f', { mode: '2' })
  await driver.drain()
  t.match(await store.stat('/f'), { metadata: { mode: '2' } })
  t.equal(driver.gauges.journalConflictsTotal, 0)
})
