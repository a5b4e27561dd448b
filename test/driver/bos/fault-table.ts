/**
 * Every kind of fault against every method of the driver: what comes out is right, or a typed error
 * within the deadline; never a hang, never wrong bytes, never a broken promise about what was stored.
 *
 * Each fault acts once (then a retry must make it good), and each acts for ever (then the method must
 * fail, or succeed rightly, in time).
 */
import type { Test } from 'tap'
import type { BosDriverOptions } from '../../../src/driver/bos/driver.js'
import type { StorageDriver } from '../../../src/driver/driver.js'
import { DriverError } from '../../../src/driver/errors.js'
import type { Fault } from '../../../src/server/faults.js'
import { bytes, pagesOf, readAll } from '../helpers.js'
import { startDriverHarness, type DriverHarness } from './harness.js'

/** Longest time for a method under any fault: the driver's own deadline, and room for a busy machine. */
const IN_TIME = 90_000
const SMALL = bytes(3000, 1)
const LARGE = bytes(120_000, 2)
const OTHER = bytes(2000, 3)

interface Scene {
  readonly store: StorageDriver
  /** Without faults. */
  readonly calm: StorageDriver
  /** A directory of this scene alone. */
  readonly at: string
}

interface Method {
  readonly name: string
  /** Fails the test, by throwing something else than a DriverError, if what came out is wrong. */
  run(scene: Scene): Promise<void>
  /** What must hold in the store afterwards, whether the method succeeded or not. */
  after?(scene: Scene, succeeded: boolean): Promise<void>
}

function assertBytes(found: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(found, expected) !== 0) throw new Error(`wrong bytes: ${found.length}`)
}

/** The content of a file, undefined if there is none. */
async function contentOf(store: StorageDriver, path: string): Promise<Buffer | undefined> {
  try {
    return await store.getContent(path)
  } catch (error) {
    if (error instanceof DriverError && error.code === 'PATH_NOT_FOUND') return undefined
    throw error
  }
}

/** The file holds one of these contents, the last of them if the method succeeded. */
async function assertOneOf(
  scene: Scene,
  path: string,
  succeeded: boolean,
  contents: readonly (Buffer | undefined)[],
): Promise<void> {
  const found = await contentOf(scene.calm, path)
  const allowed = succeeded ? contents.slice(-1) : contents
  if (allowed.some(content => content?.toString('hex') === found?.toString('hex'))) return
  throw new Error(`${path} holds ${found?.length ?? 'nothing'} after ${succeeded}`)
}

const METHODS: readonly Method[] = [
  {
    name: 'getContent',
    run: async ({ store, at }) => assertBytes(await store.getContent(`${at}/small`), SMALL),
  },
  {
    name: 'reader',
    run: async ({ store, at }) => {
      assertBytes(await readAll(store, `${at}/large`), LARGE)
      const part = await readAll(store, `${at}/large`, { offset: 100, length: 50_000 })
      if (part.length !== 50_000) throw new Error('a stream ended early')
    },
  },
  {
    name: 'readInto',
    run: async ({ store, at }) => {
      const target = Buffer.alloc(SMALL.length)
      const { bytesRead } = await store.readInto(`${at}/small`, target)
      assertBytes(target.subarray(0, bytesRead), SMALL)
    },
  },
  {
    name: 'readInto of several targets',
    run: async ({ store, at }) => {
      const targets = [Buffer.alloc(50_000), Buffer.alloc(30_000), Buffer.alloc(100_000)]
      const { bytesRead } = await store.readInto(`${at}/large`, targets)
      assertBytes(Buffer.concat(targets).subarray(0, bytesRead), LARGE)
      // A part has no checksum: only its length can be told.
      let filled = 0
      const part = await store.readInto(`${at}/large`, targets, {
        offset: 10,
        filled: target => void (filled += target.length),
      })
      if (part.bytesRead !== LARGE.length - 10 || filled !== 80_000) throw new Error('too short')
    },
  },
  {
    name: 'stat',
    run: async ({ store, at }) => {
      const { size, isDir } = await store.stat(`${at}/small`)
      // Nothing but the length itself tells the size: it may be off by what a fault makes of it.
      if (Math.abs(size - SMALL.length) > 7 || isDir) throw new Error('stat is wrong')
    },
  },
  {
    name: 'list and entries',
    run: async ({ store, at }) => {
      const paths = [`${at}/large`, `${at}/small`]
      if (String(await store.list(at)) !== String(paths)) throw new Error('list is wrong')
      const pages = await pagesOf(store.entries(at))
      if (pages.flatMap(page => page.entries).length !== 2) throw new Error('entries are wrong')
    },
  },
  {
    name: 'walk',
    run: async ({ store, at }) => {
      let seen = 0
      await store.walk(at, () => void seen++)
      if (seen !== 2) throw new Error('walk is wrong')
    },
  },
  {
    name: 'putContent',
    run: async ({ store, at }) => void (await store.putContent(`${at}/small`, OTHER)),
    after: (scene, succeeded) => assertOneOf(scene, `${scene.at}/small`, succeeded, [SMALL, OTHER]),
  },
  {
    name: 'putContent of a new name only',
    run: async ({ store, at }) => {
      await store.putContent(`${at}/new`, OTHER, { ifNoneMatch: '*' })
    },
    after: (scene, succeeded) =>
      assertOneOf(scene, `${scene.at}/new`, succeeded, [undefined, OTHER]),
  },
  {
    name: 'writer',
    run: async ({ store, at }) => {
      const writer = await store.writer(`${at}/small`)
      await writer.write(OTHER)
      await writer.commit()
      await writer.close()
    },
    after: (scene, succeeded) => assertOneOf(scene, `${scene.at}/small`, succeeded, [SMALL, OTHER]),
  },
  {
    name: 'writer that is closed and resumed',
    run: async ({ store, at }) => {
      const writer = await store.writer(`${at}/resumed`)
      await writer.write(SMALL)
      await writer.close()
      const next = await store.writer(`${at}/resumed`, { append: true })
      if (next.size !== SMALL.length) throw new Error(`resumed at ${next.size}`)
      await next.write(OTHER)
      await next.commit()
      await next.close()
    },
    after: (scene, succeeded) =>
      assertOneOf(scene, `${scene.at}/resumed`, succeeded, [
        undefined,
        Buffer.concat([SMALL, OTHER]),
      ]),
  },
  {
    name: 'compose',
    run: async ({ store, at }) => {
      const { etag = '' } = await store.stat(`${at}/large`)
      const composition = await store.compose(`${at}/composed`)
      const range = { path: `${at}/large`, etag, offset: 0, length: LARGE.length }
      const parts = [await composition.copyPart(1, range), await composition.uploadPart(2, [SMALL])]
      await composition.complete(parts)
    },
    after: (scene, succeeded) =>
      assertOneOf(scene, `${scene.at}/composed`, succeeded, [
        undefined,
        Buffer.concat([LARGE, SMALL]),
      ]),
  },
  {
    name: 'copy',
    run: async ({ store, at }) => void (await store.copy(`${at}/large`, `${at}/small`)),
    after: (scene, succeeded) => assertOneOf(scene, `${scene.at}/small`, succeeded, [SMALL, LARGE]),
  },
  {
    name: 'move',
    run: async ({ store, at }) => void (await store.move(`${at}/large`, `${at}/moved`)),
    after: async (scene, succeeded) => {
      await assertOneOf(scene, `${scene.at}/moved`, succeeded, [undefined, LARGE])
      const source = await contentOf(scene.calm, `${scene.at}/large`)
      const target = await contentOf(scene.calm, `${scene.at}/moved`)
      if (source === undefined && target === undefined) throw new Error('lost by a move')
      if (succeeded && source !== undefined) throw new Error('left by a move')
    },
  },
  {
    name: 'move of a directory',
    run: async ({ store, at }) => void (await store.move(at, `${at}-moved`)),
    after: async ({ calm, at }, succeeded) => {
      for (const [name, content] of [
        ['small', SMALL],
        ['large', LARGE],
      ] as const) {
        const [source, target] = [
          await contentOf(calm, `${at}/${name}`),
          await contentOf(calm, `${at}-moved/${name}`),
        ]
        if (source === undefined || succeeded) assertBytes(target ?? Buffer.alloc(0), content)
        if (succeeded && source !== undefined) throw new Error('left by a move')
      }
    },
  },
  {
    name: 'delete',
    run: async ({ store, at }) => store.delete(at),
    after: async ({ calm, at }, succeeded) => {
      if (!succeeded) return
      if ((await contentOf(calm, `${at}/small`)) !== undefined) throw new Error('not deleted')
    },
  },
  {
    name: 'deleteFile',
    run: async ({ store, at }) => store.deleteFile(`${at}/small`),
    after: (scene, succeeded) =>
      assertOneOf(scene, `${scene.at}/small`, succeeded, [SMALL, undefined]),
  },
  {
    name: 'makeDirectory and removeDirectoryMarker',
    run: async ({ store, at }) => {
      await store.makeDirectory(`${at}/dir`)
      await store.removeDirectoryMarker(`${at}/dir`)
    },
  },
  {
    name: 'uploads and abortUpload',
    run: async ({ store, at }) => {
      for await (const upload of store.uploads(at)) await store.abortUpload(upload)
    },
  },
  {
    name: 'redirectURL',
    run: async ({ store, at }) => {
      if ((await store.redirectURL(`${at}/small`, { method: 'GET' })) === undefined) {
        throw new Error('no URL')
      }
    },
  },
]

/** Runs a method; rejects if it neither ends in time nor fails with a typed error. */
async function attempt(method: Method, scene: Scene): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${IN_TIME} ms`)), IN_TIME)
  })
  try {
    await Promise.race([method.run(scene), late])
    return undefined
  } catch (error) {
    if (error instanceof DriverError) return error
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** Which of the requests that a method makes are hit. */
interface Round {
  readonly skip: number
  readonly count: number
}

const ROUNDS: readonly Round[] = [
  { skip: 0, count: 1 },
  { skip: 2, count: 1 },
  { skip: 0, count: Infinity },
]

/**
 * What is to be made good by another attempt must have time for it, however busy the machine is; what
 * hangs for ever is only to be told, and the sooner the better.
 */
function timesFor({ count }: Round): BosDriverOptions {
  const attempts = { attempts: 3, baseDelay: 1, maxDelay: 5 }
  return count === 1
    ? { requestTimeout: 5000, idleTimeout: 5000, retry: { ...attempts, deadline: 60_000 } }
    : { requestTimeout: 1000, idleTimeout: 1000, retry: { ...attempts, deadline: 6000 } }
}

/** One method in a bucket of its own, so that all can be played at once. */
async function play(
  t: Test,
  harness: DriverHarness,
  { bucket, method, fault, round }: { bucket: string; method: Method; fault: Fault; round: Round },
): Promise<void> {
  const { skip, count } = round
  const at = `/${skip}-${count}`
  const title = `${method.name}, ${JSON.stringify(fault)} after ${skip}, ${count} times`
  const calm = await harness.driver({ bucket })
  await calm.putContent(`${at}/small`, SMALL)
  await calm.putContent(`${at}/large`, LARGE)
  // One driver for each: what one learns about clock or load must not help another.
  const store = await harness.driver({ bucket }, timesFor(round))
  const scene = { store, calm, at }
  const active = harness.server.faults.add({ bucket, skip, count, fault })
  try {
    const error = await attempt(method, scene)
    active.remove()
    await method.after?.(scene, error === undefined)
    const mayFail = count > 1 || MAY_FAIL_ONCE.has(method.name) || isFinal(fault)
    if (!mayFail && error !== undefined) throw error
    t.ok(active.hits > 0 || skip > 0 || method.name === 'redirectURL', title)
  } catch (error) {
    t.fail(title, { error: error instanceof Error ? error.stack : error })
  } finally {
    active.remove()
  }
}

/** A stream whose bytes turn out damaged has delivered some of them already. */
const MAY_FAIL_ONCE: ReadonlySet<string> = new Set(['reader'])

/** What is told to be the request's own fault, at least where HEAD has no body to say more. */
function isFinal(fault: Fault): boolean {
  return fault.kind === 'error' && fault.status >= 400 && fault.status < 429
}

/** Adds one subtest per fault. */
export function playFaults(t: Test, faults: readonly Fault[]): void {
  // Most of the time is spent waiting for what hangs.
  t.jobs = 4
  for (const fault of faults) {
    const name = Object.values(fault).join(' ')
    void t.test(`${name}: every method is right or fails in time`, { buffered: true }, async t => {
      const named = METHODS.map((method, i) => ({ method, bucket: `method-${i}` }))
      const harness = await startDriverHarness(t, {
        strict: { minPartSize: 1 },
        buckets: named.map(({ bucket }) => bucket),
      })
      for (const round of ROUNDS) {
        await Promise.all(
          named.map(({ method, bucket }) => play(t, harness, { bucket, method, fault, round })),
        )
      }
    })
  }
}
