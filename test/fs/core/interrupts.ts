/** Every operation that may wait for the store ends soon when it is interrupted. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Metadata, StorageDriver } from '../../../src/driver/driver.js'
import { createMemoryDriver } from '../../../src/driver/memory/driver.js'
import type { FileSystem } from '../../../src/fs/core/filesystem.js'
import { ROOT_INO } from '../../../src/fs/operations.js'
import type { Fh, Ino, RequestContext } from '../../../src/fs/operations.js'
import { ErrnoError } from '../../../src/util/errno.js'
import { MiB } from '../../../src/util/units.js'
import { createCore } from '../../helpers/core.js'
import type { CoreOptions } from '../../helpers/core.js'
import {
  CoreOs,
  O_CREAT,
  O_DSYNC,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
} from '../../helpers/core-os.js'
import { hold, watched } from '../../helpers/watched-driver.js'

/** Only what waits for the store takes so long, however busy the machine is. */
const SOON = 20_000

interface Prepared {
  readonly fs: FileSystem
  readonly os: CoreOs
  readonly bucket: StorageDriver
  /** The inode of a path, looked up until the test ends. */
  readonly ino: (path: string) => Promise<Ino>
  /** The clock of the mount. */
  readonly clock: { now: number }
}

interface Case {
  readonly options?: CoreOptions
  /** What the operation waits for; default the first request. */
  readonly holds?: string
  /** @returns the operation, all that comes before it done */
  readonly prepare: (
    prepared: Prepared,
  ) => Promise<(context: RequestContext) => unknown> | ((context: RequestContext) => unknown)
}

const NEW = { name: 'new', mode: 0o100644, umask: 0o022 }
const LINK: Metadata = { 'bosfs-mode': String(0o120777) }
const STORED: CoreOptions = { config: { attributes: 'stored', metadataTtl: 0 } }
const STRICT: CoreOptions = { config: { metadataTtl: 0 } }

const cases: Readonly<Record<string, Case>> = {
  lookup: {
    prepare:
      ({ fs }) =>
      context =>
        fs.lookup(context, ROOT_INO, 'absent'),
  },
  getattr: {
    options: STRICT,
    prepare: async ({ fs, ino }) => {
      const file = await ino('/file')
      return context => fs.getattr(context, file)
    },
  },
  'setattr of a size': {
    prepare: async ({ fs, ino }) => {
      const file = await ino('/file')
      return context => fs.setattr(context, file, { size: 1 })
    },
  },
  'setattr of a mode that is not known': {
    options: STORED,
    prepare: async ({ fs, ino, clock }) => {
      const directory = await ino('/directory')
      clock.now += 60_000
      return context => fs.setattr(context, directory, { mode: 0o700 })
    },
  },
  readlink: {
    options: STORED,
    prepare: async ({ fs, ino }) => {
      const link = await ino('/link')
      return context => fs.readlink(context, link)
    },
  },
  mkdir: {
    prepare:
      ({ fs }) =>
      context =>
        fs.mkdir(context, ROOT_INO, NEW),
  },
  mknod: {
    prepare:
      ({ fs }) =>
      context =>
        fs.mknod(context, ROOT_INO, { ...NEW, rdev: 0 }),
  },
  'mknod that stores': {
    holds: 'putContent',
    prepare:
      ({ fs }) =>
      context =>
        fs.mknod(context, ROOT_INO, { ...NEW, rdev: 0 }),
  },
  symlink: {
    options: STORED,
    holds: 'putContent',
    prepare:
      ({ fs }) =>
      context =>
        fs.symlink(context, ROOT_INO, 'new', 'target'),
  },
  unlink: {
    holds: 'deleteFile',
    prepare: async ({ fs, ino }) => {
      await ino('/file')
      return context => fs.unlink(context, ROOT_INO, 'file')
    },
  },
  'unlink of an open file': {
    prepare: async ({ fs, os }) => {
      await os.open('/file', O_RDONLY)
      return context => fs.unlink(context, ROOT_INO, 'file')
    },
  },
  'unlink among many': {
    holds: 'deleteMany',
    prepare: async ({ fs, os, bucket, ino }) => {
      for (let i = 0; i < 10; i += 1) {
        await bucket.putContent(`/directory/f${i}`, Buffer.from('x'))
      }
      for (let i = 0; i < 9; i += 1) await os.unlink(`/directory/f${i}`)
      const directory = await ino('/directory')
      return async context => {
        await fs.unlink(context, directory, 'f9')
        await fs.fsyncdir(context, directory)
      }
    },
  },
  'rename after deletes that were not sent': {
    holds: 'deleteMany',
    prepare: async ({ fs, os, bucket, ino }) => {
      for (let i = 0; i < 10; i += 1) {
        await bucket.putContent(`/directory/f${i}`, Buffer.from('x'))
      }
      await ino('/file')
      for (let i = 0; i < 10; i += 1) await os.unlink(`/directory/f${i}`)
      return context => fs.rename(context, rename('file', 'new'))
    },
  },
  rmdir: {
    holds: 'removeDirectoryMarker',
    prepare: async ({ fs, ino }) => {
      await ino('/empty')
      return context => fs.rmdir(context, ROOT_INO, 'empty')
    },
  },
  'rmdir that looks for entries': {
    options: STRICT,
    holds: 'entries',
    prepare: async ({ fs, ino }) => {
      await ino('/empty')
      return context => fs.rmdir(context, ROOT_INO, 'empty')
    },
  },
  ...renames({
    'rename of a file': ['file', 'new', 'move'],
    'rename over a file': ['file', 'other', 'move'],
    'rename of a directory': ['directory', 'new', 'move'],
    'rename of a name that is not known': ['file', 'new', undefined],
  }),
  'rename over an open file': {
    holds: 'copy',
    prepare: async ({ fs, os, ino }) => {
      await os.open('/other', O_RDONLY)
      await ino('/file')
      return context => fs.rename(context, rename('file', 'other'))
    },
  },
  'rename of a file that is being stored': {
    holds: 'complete',
    prepare: async ({ fs, os }) => {
      const file = await os.open('/big', O_RDWR | O_CREAT)
      await file.write(0, Buffer.alloc(2 * MiB + 1))
      return context => fs.rename(context, rename('big', 'new'))
    },
  },
  open: {
    prepare: async ({ fs, ino }) => {
      const file = await ino('/file')
      return context => fs.open(context, file, O_RDONLY)
    },
    options: STRICT,
  },
  'open that truncates': {
    options: STRICT,
    prepare: async ({ fs, ino }) => {
      const file = await ino('/file')
      return context => fs.open(context, file, O_RDWR | O_TRUNC)
    },
  },
  create: {
    options: STRICT,
    prepare:
      ({ fs }) =>
      context =>
        fs.create(context, ROOT_INO, { ...NEW, flags: O_RDWR }),
  },
  'create that is exclusive at once': {
    options: { config: { exclusiveCreate: 'open' } },
    holds: 'putContent',
    prepare:
      ({ fs }) =>
      context =>
        fs.create(context, ROOT_INO, { ...NEW, flags: O_RDWR | O_EXCL }),
  },
  read: {
    holds: 'readInto',
    prepare: async ({ fs, os }) => {
      const { ino, fh } = (await os.open('/large', O_RDONLY)).handle
      return context => fs.read(context, ino, fh, 6 * MiB, 4096)
    },
  },
  'write that is synchronous': {
    prepare: async ({ fs, os }) => {
      const { ino, fh } = (await os.open('/new', O_RDWR | O_CREAT | O_DSYNC)).handle
      const request = { offset: 0, data: Buffer.from('x'), fromPageCache: false }
      return context => fs.write(context, ino, fh, request)
    },
  },
  'write without memory': {
    options: { writeMemory: 3 * MiB },
    prepare: async ({ fs, os }) => {
      const { ino, fh } = (await os.open('/new', O_RDWR | O_CREAT)).handle
      return async context => {
        for (let i = 0; i < 8; i += 1) {
          const request = { offset: i * MiB, data: Buffer.alloc(MiB), fromPageCache: false }
          await fs.write(context, ino, fh, request)
        }
      }
    },
  },
  fallocate: {
    prepare: async ({ fs, os }) => {
      const file = await os.open('/new', O_RDWR | O_CREAT)
      const { ino, fh } = file.handle
      return async context => {
        await fs.write(context, ino, fh, {
          offset: 0,
          data: Buffer.alloc(2 * MiB + 1),
          fromPageCache: false,
        })
        // A hole in what has left already.
        await fs.fallocate(context, ino, fh, { mode: 3, offset: 0, length: 2 * MiB })
      }
    },
  },
  copyfilerange: {
    prepare: async ({ fs, os }) => {
      const source = await os.open('/source', O_RDWR | O_CREAT)
      await source.write(0, Buffer.alloc(100))
      const target = await os.open('/target', O_RDWR | O_CREAT)
      return context =>
        fs.copyfilerange(context, {
          source: { ...source.handle, offset: 0 },
          target: { ...target.handle, offset: 0 },
          length: 100,
        })
    },
  },
  flush: { prepare: written((fs, ino, fh) => context => fs.flush(context, ino, fh)) },
  fsync: { prepare: written((fs, ino, fh) => context => fs.fsync(context, ino, fh)) },
  readdir: {
    options: STRICT,
    prepare: ({ fs, os }) => {
      const { fh } = fs.opendir(os.context, ROOT_INO)
      const request = { offset: 0, plus: true, add: () => true }
      return context => fs.readdir(context, ROOT_INO, fh, request)
    },
  },
  fsyncdir: {
    options: { config: { markerDelay: 60_000 } },
    holds: 'makeDirectory',
    prepare: async ({ fs, os }) => {
      await os.mkdir('/new')
      return context => fs.fsyncdir(context, ROOT_INO)
    },
  },
  syncfs: { prepare: written(fs => context => fs.syncfs(context)) },
  getxattr: {
    prepare: async ({ fs, ino }) => {
      const file = await ino('/file')
      return context => fs.getxattr(context, file, 'user.bos.content-type')
    },
  },
}

function rename(name: string, newName: string) {
  return { parent: ROOT_INO, name, newParent: ROOT_INO, newName, flags: 0 }
}

function renames(
  table: Readonly<Record<string, readonly [string, string, string | undefined]>>,
): Readonly<Record<string, Case>> {
  return Object.fromEntries(
    Object.entries(table).map(([title, [from, to, holds]]) => [
      title,
      {
        ...(holds && { holds }),
        prepare: async ({ fs, ino }: Prepared) => {
          if (holds !== undefined) await ino(`/${from}`)
          return (context: RequestContext) => fs.rename(context, rename(from, to))
        },
      },
    ]),
  )
}

/** A file with something in it that the store does not have. */
function written(
  call: (fs: FileSystem, ino: Ino, fh: Fh) => (context: RequestContext) => unknown,
): Case['prepare'] {
  return async ({ fs, os }) => {
    const file = await os.open('/new', O_RDWR | O_CREAT)
    await file.write(0, Buffer.from('x'))
    return call(fs, file.handle.ino, file.handle.fh)
  }
}

for (const [title, { options = {}, holds, prepare }] of Object.entries(cases)) {
  void t.test(`${title} ends soon when it is interrupted`, async t => {
    const bucket = createMemoryDriver({ partSize: MiB, minPartSize: MiB, pageSize: 1000 })
    await fill(bucket)
    const watch = watched(bucket)
    const clock = { now: 0 }
    const fs = createCore(watch.driver, { ...options, monotonic: () => clock.now })
    const os = new CoreOs(fs)
    const ino = async (path: string): Promise<Ino> => (await os.lookup(path)).ino
    const call = await prepare({ fs, os, bucket, ino, clock })
    // Nothing was seen for the same open any more.
    clock.now += 100
    const held = hold(watch, ({ method }) => holds === undefined || method === holds)
    const stop = new AbortController()
    const { context } = new CoreOs(fs, stop.signal)
    const outcome = Promise.resolve()
      .then(() => call(context))
      .then(
        () => 'done',
        (error: unknown) => (error instanceof ErrnoError ? error.code : String(error)),
      )
    const waits = await Promise.race([held.reached.then(() => 'waits'), outcome])
    t.equal(waits, 'waits', 'it waits for the store')
    stop.abort()
    const timer = new AbortController()
    const late = sleep(SOON, 'waits still', { signal: timer.signal }).catch(() => 'waits still')
    t.equal(await Promise.race([outcome, late]), 'EINTR')
    timer.abort()
    held.release()
    await outcome
    await fs.destroy()
    fs.checkInvariants()
  })
}

async function fill(bucket: StorageDriver): Promise<void> {
  await bucket.putContent('/file', Buffer.from('content'))
  await bucket.putContent('/other', Buffer.from('other'))
  await bucket.putContent('/large', Buffer.alloc(8 * MiB, 'x'))
  await bucket.putContent('/directory/child', Buffer.from('x'))
  await bucket.putContent('/link', Buffer.from('target'), { metadata: LINK })
  await bucket.makeDirectory('/empty')
}
