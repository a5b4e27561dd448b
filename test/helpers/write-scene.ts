/** A store that records every request, and files that are written to it, checked when the test ends. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { DirtyFile } from '../../src/cache/dirty-file.js'
import { Staging } from '../../src/cache/staging.js'
import { WriteBack } from '../../src/cache/write-back.js'
import type { WriteBackOptions } from '../../src/cache/write-back.js'
import { SharedLock } from '../../src/util/lock.js'
import { silentLogger } from '../../src/util/log.js'
import { KiB, MiB } from '../../src/util/units.js'
import { FakeBucket, FakeFile, LIMITS } from '../cache/fake-store.js'
import type { Method } from '../cache/fake-store.js'

/** Local disk for one test. */
export async function makeStaging(t: Test, capacity = 100 * MiB): Promise<Staging> {
  const directory = await mkdtemp(join(tmpdir(), 'bosmount-test-'))
  t.teardown(() => rm(directory, { recursive: true }))
  return new Staging({ directory, capacity })
}

export interface Opened {
  readonly store: FakeFile
  readonly file: DirtyFile
}

export interface Scene {
  readonly bucket: FakeBucket
  readonly back: WriteBack
  readonly tree: SharedLock
  /** Starts writing to a file; with `base` it is in the store already. */
  readonly open: (path: string, base?: Buffer) => Opened
}

/** Whatever a test does: at its end no memory is reserved and no upload is left in the store. */
export function scene(
  title: string,
  run: (t: Test, scene: Scene) => Promise<void>,
  options: Partial<WriteBackOptions> & { staged?: number } = {},
): void {
  void t.test(title, async t => {
    const { staged, ...rest } = options
    const staging = staged === undefined ? undefined : await makeStaging(t, staged)
    const bucket = new FakeBucket()
    const tree = new SharedLock()
    const back = new WriteBack({
      limits: LIMITS,
      memory: 8 * MiB,
      patience: 5000,
      guard: work => tree.shared(work),
      log: silentLogger,
      staging,
      ...rest,
    })
    const files: DirtyFile[] = []
    const open = (path: string, base?: Buffer): Opened => {
      const store = new FakeFile(bucket, path)
      const file = back.open(store, base === undefined ? undefined : bucket.seed(path, base))
      files.push(file)
      return { store, file }
    }
    await run(t, { bucket, back, tree, open })
    bucket.before = () => turn()
    for (const file of files) await file.discard()
    t.equal(back.budget.reserved, 0, 'no memory is reserved')
    t.equal(staging?.used ?? 0, 0, 'nor local disk')
    t.equal(back.budget.wanted, 0, 'and none is waited for')
    t.equal(bucket.open.size, 0, 'no upload is left')
    t.same(back.dirtyFiles, [])
    t.ok(tree.isIdle)
  })
}

export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i += 1) bytes[i] = (seed * 57 + i * 7 + (i >> 9)) & 0xff
  return bytes
}

/** Writes as a registry does. */
export async function writeIn(
  file: DirtyFile,
  data: Buffer,
  offset = 0,
  piece = 32 * KiB,
): Promise<void> {
  for (let at = 0; at < data.length; at += piece) {
    await file.write(offset + at, data.subarray(at, at + piece))
  }
}

export async function contentOf(file: DirtyFile, offset = 0, length = Infinity): Promise<Buffer> {
  return Buffer.concat(await file.read(offset, Math.min(length, file.size)))
}

/** Holds requests of some methods back until they are let go. */
export function hold(bucket: FakeBucket, ...methods: Method[]): { readonly release: () => void } {
  let release: () => void = () => undefined
  const released = new Promise<void>(resolve => (release = resolve))
  bucket.before = async ({ method, signal }) => {
    if (!methods.includes(method)) return
    const aborted = new Promise<void>((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    await Promise.race([released, aborted])
  }
  return {
    release: () => {
      bucket.before = () => turn()
      release()
    },
  }
}

/** Lets the first requests of a method fail. */
export function failing(bucket: FakeBucket, method: Method, times = 1): void {
  let left = times
  bucket.before = async request => {
    await turn()
    if (request.method !== method || left <= 0) return
    left -= 1
    throw new Error(`${method} failed`)
  }
}

export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await turn()
}

export async function until(holds: () => boolean): Promise<void> {
  // Local disk takes its time.
  for (let i = 0; i < 10_000 && !holds(); i += 1) await (i < 1000 ? turn() : sleep(1))
  if (!holds()) throw new Error('what was waited for did not come')
}
