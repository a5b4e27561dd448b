/**
 * Uploads of a process that dies, at every moment of their lives: nothing of them stays in the store, and
 * nobody else's is touched.
 */
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { StorageDriver } from '../../src/driver/driver.js'
import { AccessDeniedError, DriverError } from '../../src/driver/errors.js'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import type { JournaledDriver } from '../../src/journal/driver.js'
import { MiB } from '../../src/util/units.js'
import { startDriverHarness } from '../driver/bos/harness.js'
import { bytes, failure } from '../driver/helpers.js'
import { scratchFolder } from '../helpers/scratch.js'
import { hold, watched, type Watched } from '../helpers/watched-driver.js'
import { lasting, openJournaled } from './subject.js'

/** Short, so that nobody waits; long enough for a look that must not come too soon. */
const PACE = 40
const CONTENT = bytes(3 * MiB, 1)
const free = { isFree: true }

interface Stage {
  readonly store: StorageDriver
  readonly watch: Watched
  readonly driver: JournaledDriver
  /** The process dies as it is, and another takes over; what is held arrives when it is let go. */
  readonly again: () => Promise<JournaledDriver>
  readonly left: () => Promise<string[]>
}

async function setStage(
  t: Test,
  store = lasting(createMemoryDriver({ partSize: MiB, minPartSize: MiB })),
): Promise<Stage> {
  const folder = join(scratchFolder(t), 'journal')
  const watch = watched(store)
  const options = { pace: PACE, delay: 0, exclusive: 'journal' as const }
  return {
    store,
    watch,
    driver: await openJournaled(t, watch.driver, { ...options, folder }),
    again: () => {
      const next = `${folder}-next`
      cpSync(folder, next, { recursive: true })
      rmSync(join(next, 'owner'))
      return openJournaled(t, store, { ...options, folder: next })
    },
    left: async () => {
      const found: string[] = []
      for await (const { path } of store.uploads('/')) found.push(path)
      return found
    },
  }
}

async function write(driver: StorageDriver, path: string, content = CONTENT): Promise<void> {
  const composition = await driver.compose(path)
  await composition.complete([await composition.uploadPart(1, [content])], free)
}

function die(watch: Watched): void {
  watch.before = () => {
    throw new DriverError('dead')
  }
}

/** Waits for something that comes about by looks in the background. */
async function soon(holds: () => Promise<boolean>): Promise<boolean> {
  for (const end = Date.now() + 10_000; Date.now() < end; await sleep(PACE / 2)) {
    if (await holds()) return true
  }
  return false
}

for (const method of ['compose', 'uploadPart', 'complete'] as const) {
  void t.test(`killed before the answer to ${method}, it leaves nothing`, async t => {
    const { store, watch, driver, again, left } = await setStage(t)
    const held = hold(watch, request => request.method === method, 'after')
    await write(driver, '/f')
    await held.reached
    const next = await again()
    die(watch)
    held.release()
    await next.drain()
    t.ok(await soon(async () => (await left()).length === 0))
    t.ok((await store.getContent('/f')).equals(CONTENT))
    t.same(await store.list('/'), ['/f'], 'and makes no conflict')
  })

  void t.test(`what was asked for by ${method} and comes late leaves nothing`, async t => {
    const { store, watch, driver, again, left } = await setStage(t)
    const held = hold(watch, request => request.method === method)
    await write(driver, '/f')
    await held.reached
    const next = await again()
    await next.drain()
    await sleep(PACE)
    die(watch)
    held.release()
    await sleep(PACE)
    t.ok(await soon(async () => (await left()).length === 0))
    t.ok((await store.getContent('/f')).equals(CONTENT))
    t.same(await store.list('/'), ['/f'], 'and makes no conflict')
  })
}

void t.test(
  'a large file of which nobody knows whether it got there is not sent again',
  async t => {
    const { driver: open } = await startDriverHarness(t)
    const content = bytes(11 * MiB, 2)
    for (const isThere of [true, false]) {
      const path = `/${isThere ? 'there' : 'elsewhere'}`
      const { watch, driver, again, left } = await setStage(t, lasting(await open()))
      watch.after = ({ method }) => {
        if (method === 'complete') die(watch)
        if (method === 'complete') throw new DriverError('lost')
      }
      if (!isThere) watch.before = ({ method }) => void (method === 'complete' && die(watch))
      await write(driver, path, content)
      await failure(driver.drain())
      const next = await again()
      await next.drain()
      t.same(await left(), [])
      t.equal(next.gauges.journalConflictsTotal, 0)
      t.equal((await next.stat(path)).size, content.length)
    }
  },
)

void t.test('an upload that cannot be aborted is aborted later', async t => {
  const { watch, driver, left } = await setStage(t)
  let refused = 0
  watch.before = ({ method }) => {
    if (method === 'complete') throw new AccessDeniedError('not this')
    if (!method.startsWith('abort') || (refused += 1) > 3) return
    throw new DriverError('not now')
  }
  await write(driver, '/f')
  t.ok(await soon(async () => refused > 3 && (await left()).length === 0))
})

void t.test('what was begun without an answer is aborted by the same process', async t => {
  const { watch, driver, left } = await setStage(t)
  watch.after = ({ method }) => {
    if (method !== 'compose') return
    watch.after = () => undefined
    throw new DriverError('lost')
  }
  await write(driver, '/f')
  t.match(await failure(driver.drain()), { message: /not in BOS yet/ })
  t.same(await left(), ['/f'])
  t.ok(await soon(async () => (await left()).length === 0))
})

void t.test('a refusal leaves nothing to look for', async t => {
  const { watch, driver } = await setStage(t)
  watch.before = ({ method }) => {
    if (method === 'compose') throw new AccessDeniedError('not you')
  }
  await write(driver, '/f')
  await failure(driver.drain())
  await sleep(PACE * 3)
  t.equal(watch.count('uploads'), 0)
})

void t.test('of other hosts, what has parts or gets them soon is not touched', async t => {
  const { store, watch, driver, again } = await setStage(t)
  const held = hold(watch, ({ method }) => method === 'compose', 'after')
  await write(driver, '/f')
  await held.reached
  const filled = await store.compose('/f')
  const part = await filled.uploadPart(1, [bytes(10, 2)])
  const fresh = await store.compose('/f')
  const below = await store.compose('/f/below')
  const next = await again()
  die(watch)
  held.release()
  await next.drain()
  await sleep(PACE * 2)
  const late = await fresh.uploadPart(1, [bytes(10, 3)])
  await sleep(PACE * 10)
  const found: string[] = []
  for await (const { uploadId } of store.uploads('/')) found.push(uploadId)
  const others = [filled, fresh, below].map(({ uploadId }) => uploadId)
  t.same(found.toSorted(), others.toSorted(), 'ours is gone, theirs are there')
  await filled.complete([part])
  await fresh.complete([late])
})

void t.test('what is being begun here is not taken for something left', async t => {
  const { store, watch, driver, left } = await setStage(t)
  watch.after = ({ method }) => {
    if (method === 'compose') throw new DriverError('lost')
  }
  await write(driver, '/f')
  await failure(driver.drain())
  const held = hold(watch, ({ method }) => method === 'compose', 'after')
  const drained = driver.drain()
  await held.reached
  await sleep(PACE * 10)
  t.same(await left(), ['/f', '/f'])
  for await (const { path } of driver.uploads('/')) t.fail(`${path} is shown as unfinished`)
  held.release()
  await drained
  t.ok((await store.getContent('/f')).equals(CONTENT))
  t.ok(await soon(async () => (await left()).length === 0))
})

void t.test('the home of a file without a name is looked through as well', async t => {
  const { driver: open } = await startDriverHarness(t)
  const store = await open()
  const path = '/.bosmount/unlinked/mount-1'
  const composition = await store.compose(path)
  const found: string[] = []
  for await (const upload of store.uploads(path)) found.push(upload.path)
  t.same(found, [path])
  await composition.abort()
})
