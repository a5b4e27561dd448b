/** One bucket in memory, watched, and mounts of it, taken apart and checked when the test ends. */
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { StorageDriver } from '../../src/driver/driver.js'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import { isUnlinked } from '../../src/driver/path.js'
import { ErrnoError } from '../../src/util/errno.js'
import { MiB } from '../../src/util/units.js'
import { createCore } from './core.js'
import type { CoreOptions } from './core.js'
import { CoreOs } from './core-os.js'
import { StillTime } from './still-time.js'
import { watched } from './watched-driver.js'
import type { Watched } from './watched-driver.js'

export interface Scene {
  readonly t: Test
  /** What is really in the bucket, past the counting. */
  readonly bucket: StorageDriver
  /** The requests of all mounts. */
  readonly watch: Watched
  /** A mount of the bucket. */
  readonly os: CoreOs
  /** After which delayed work is done: only when the test lets it pass. */
  readonly time: StillTime
  /** Another mount of it, as of another host. */
  readonly other: () => CoreOs
}

export interface SceneOptions extends CoreOptions {
  pageSize?: number
  /** Listings tell metadata. */
  listsMetadata?: boolean
  /** The clock of the mounts is that time as well: nothing that is believed grows old by itself. */
  isStill?: boolean
  /** The test breaks the store in a way that keeps the mount from ending well. */
  endsBadly?: boolean
}

/** A test over one mount; at its end nothing is open, dirty or retained without a reason. */
export function scene(
  title: string,
  run: (scene: Scene) => Promise<void>,
  options: SceneOptions = {},
): void {
  void t.test(title, async t => {
    const { pageSize = 1000, listsMetadata = false, ...others } = options
    const { isStill = false, endsBadly = false, ...core } = others
    const bucket = createMemoryDriver({ partSize: MiB, minPartSize: MiB, pageSize, listsMetadata })
    const watch = watched(bucket)
    const mounts: CoreOs[] = []
    const time = new StillTime()
    const mount = (): CoreOs => {
      const { monotonic, later } = time
      const times = { later, ...(isStill && { monotonic }) }
      const os = new CoreOs(createCore(watch.driver, { ...times, ...core }))
      mounts.push(os)
      return os
    }
    await run({ t, bucket, watch, time, os: mount(), other: mount })
    watch.before = () => undefined
    watch.after = () => undefined
    for (const { fs } of mounts) {
      fs.checkInvariants()
      if (endsBadly) await fs.destroy().catch(() => undefined)
      else await fs.destroy()
      fs.checkInvariants()
      t.equal(fs.counts.handles, 0, 'no handle is open')
      t.equal(fs.counts.dirty, 0, 'nothing is dirty')
    }
    const uploads = []
    for await (const upload of bucket.uploads('/')) uploads.push(upload.path)
    t.same(uploads, [], 'no upload is left')
    const homes = new Set(watch.requests.map(({ path }) => path).filter(isUnlinked))
    for (const home of homes) {
      await t.rejects(bucket.stat(home), { code: 'PATH_NOT_FOUND' }, 'nothing unlinked is left')
    }
  })
}

/** Asserts which errno a call fails with. */
export async function fails(t: Test, errno: string, call: Promise<unknown>, what = errno) {
  const failure = await call.then(
    () => undefined,
    (error: unknown) => error,
  )
  t.ok(failure instanceof ErrnoError, `${what}: ${String(failure)}`)
  t.equal(failure instanceof ErrnoError ? failure.code : undefined, errno, what)
}

/** All keys in the bucket; a directory that only its marker shows ends with a slash. */
export async function keys(bucket: StorageDriver): Promise<string[]> {
  const found: string[] = []
  await bucket.walk('/', async ({ path, isDir }) => {
    if (!isDir) found.push(path)
    else if ((await bucket.list(path)).length === 0) found.push(`${path}/`)
  })
  return found.toSorted()
}

export function text(content: string): Buffer {
  return Buffer.from(content)
}

export async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i += 1) await turn()
}
