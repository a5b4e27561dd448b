/**
 * fuse-native's callbacks on paths, answered by Operations on inodes.
 *
 * What fuse-native cannot tell is made up or left out: the caller is this process; a request is not
 * interrupted; times are whole milliseconds; an utimens sets the atime alone, as the mtime that comes
 * with it is a copy of it, and none is better than a wrong one.
 * A handle of Operations may not fit into the 31 bits that fuse-native has: it is given a number of
 * ours.
 */
import { ErrnoError, ERRNO } from '../../util/errno.js'
import type { Logger } from '../../util/log.js'
import type {
  DirectoryEntry,
  Entry,
  Fh,
  Ino,
  MaybePromise,
  Operations,
  RequestContext,
  SetAttributes,
} from '../operations.js'
import type { Done, NativeCallbacks, NativeStat } from './fuse-native.js'
import { withInode, withPlace, type Place } from './path-walk.js'
import { NO_STAT, statfsOf, statOf, timestampOf } from './stat.js'

const PERMISSIONS = 0o7777
/** (uid_t) -1 of chown(2): leave it. */
const UNCHANGED = 0xffff_ffff
/** Room for the entries of one readdir call; there is no limit but memory behind it. */
const BATCH = 1000

interface Listing {
  readonly names: string[]
  readonly stats: NativeStat[]
}

interface Handle {
  readonly ino: Ino
  readonly fh: Fh
}

export interface CallbackOptions {
  readonly operations: Operations
  readonly context: RequestContext
  readonly log: Logger
}

export class PathCallbacks {
  readonly callbacks: NativeCallbacks
  readonly #options: CallbackOptions
  readonly #operations: Operations
  readonly #context: RequestContext
  readonly #handles = new Map<number, Handle>()
  #lastHandle = 0
  #pending = 0

  constructor(options: CallbackOptions) {
    this.#options = options
    this.#operations = options.operations
    this.#context = options.context
    this.callbacks = this.#makeCallbacks()
  }

  /** Whether a call is under way, or a handle open. */
  get busy(): boolean {
    return this.#pending > 0 || this.#handles.size > 0
  }

  #makeCallbacks(): NativeCallbacks {
    const operations = this.#operations
    const context = this.#context
    const byHandle =
      (work: (handle: Handle) => MaybePromise<void>) =>
      (_: string, fd: number, done: Done): void =>
        this.#run(done, () => work(this.#handle(fd)))
    return {
      statfs: (_, done) =>
        this.#answer(done, async () => statfsOf(await operations.statfs(context))),
      getattr: (path, done) =>
        this.#answer(done, () =>
          this.#at(path, async ino => statOf((await operations.getattr(context, ino)).attributes)),
        ),
      readdir: (path, done) => {
        const give = ({ names, stats }: Listing): void => done(0, names, stats)
        this.#settle(done, () => this.#at(path, ino => this.#list(ino)), give)
      },
      fsyncdir: (path, _, __, done) =>
        this.#run(done, () => this.#at(path, ino => this.#syncDirectory(ino))),
      readlink: (path, done) =>
        this.#answer(done, () => this.#at(path, ino => operations.readlink(context, ino))),
      truncate: (path, size, done) => this.#set(path, { size }, done),
      ftruncate: (_, fd, size, done) =>
        this.#run(done, async () => {
          const { ino, fh } = this.#handle(fd)
          await operations.setattr(context, ino, { size, fh })
        }),
      chown: (path, uid, gid, done) =>
        this.#set(
          path,
          { ...(uid !== UNCHANGED && { uid }), ...(gid !== UNCHANGED && { gid }) },
          done,
        ),
      chmod: (path, mode, done) => this.#set(path, { mode: mode & PERMISSIONS }, done),
      utimens: (path, atime, _, done) => this.#set(path, { atime: timestampOf(atime) }, done),
      mknod: (path, mode, rdev, done) =>
        this.#make(path, done, ({ parent, name }) =>
          operations.mknod(context, parent, { name, mode, umask: 0, rdev }),
        ),
      mkdir: (path, mode, done) =>
        this.#make(path, done, ({ parent, name }) =>
          operations.mkdir(context, parent, { name, mode: mode & PERMISSIONS, umask: 0 }),
        ),
      symlink: (target, path, done) =>
        this.#make(path, done, ({ parent, name }) =>
          operations.symlink(context, parent, name, target),
        ),
      link: (from, to, done) =>
        this.#make(to, done, ({ parent, name }) =>
          this.#at(from, ino => operations.link(context, ino, parent, name)),
        ),
      open: (path, flags, done) =>
        this.#answer(done, () =>
          this.#at(path, async ino =>
            this.#register({ ino, fh: (await operations.open(context, ino, flags)).fh }),
          ),
        ),
      create: (path, mode, done) => this.#answer(done, () => this.#create(path, mode)),
      read: (_, fd, into, size, offset, done) =>
        this.#count(done, () => this.#read(this.#handle(fd), { into, size, offset })),
      write: (_, fd, from, size, offset, done) =>
        this.#count(done, () => {
          const { ino, fh } = this.#handle(fd)
          const data = from.subarray(0, size)
          return operations.write(context, ino, fh, { offset, data, fromPageCache: false })
        }),
      flush: byHandle(({ ino, fh }) => operations.flush(context, ino, fh)),
      fsync: (_, dataOnly, fd, done) =>
        this.#run(done, () => {
          const { ino, fh } = this.#handle(fd)
          return operations.fsync(context, ino, fh, dataOnly !== 0)
        }),
      release: (_, fd, done) =>
        this.#run(done, async () => {
          const { ino, fh } = this.#handle(fd)
          this.#handles.delete(fd)
          await operations.release(context, ino, fh)
        }),
      unlink: (path, done) =>
        this.#run(done, () =>
          this.#in(path, false, ({ parent, name }) => operations.unlink(context, parent, name)),
        ),
      rmdir: (path, done) =>
        this.#run(done, () =>
          this.#in(path, false, ({ parent, name }) => operations.rmdir(context, parent, name)),
        ),
      rename: (from, to, done) => this.#run(done, () => this.#rename(from, to)),
      getxattr: (path, name, done) =>
        this.#answer(done, () => this.#at(path, ino => operations.getxattr(context, ino, name))),
      listxattr: (path, done) =>
        this.#answer(done, () => this.#at(path, ino => operations.listxattr(context, ino))),
      setxattr: (path, name, value, _, flags, done) =>
        this.#run(done, () =>
          this.#at(path, ino => operations.setxattr(context, ino, { name, value, flags })),
        ),
      removexattr: (path, name, done) =>
        this.#run(done, () => this.#at(path, ino => operations.removexattr(context, ino, name))),
    }
  }

  /** Answers 0, or minus the errno; `give` passes a result on. */
  #settle<T>(done: (code: number) => void, work: () => MaybePromise<T>, give: (result: T) => void) {
    this.#pending += 1
    const finish = (answer: () => void): void => {
      this.#pending -= 1
      answer()
    }
    // One turn later even for what throws at once, so that all answers come the same way.
    Promise.resolve()
      .then(work)
      .then(
        result => finish(() => give(result)),
        (error: unknown) => finish(() => done(-this.#errnoOf(error))),
      )
      .catch((error: unknown) => {
        this.#options.log.error({ err: error }, 'fuse-native did not take an answer')
      })
  }

  #answer<T>(done: Done<[T?]>, work: () => MaybePromise<T>): void {
    this.#settle(done, work, result => done(0, result))
  }

  #run(done: Done, work: () => MaybePromise<void>): void {
    this.#settle(done, work, () => done(0))
  }

  #count(done: Done, work: () => MaybePromise<number>): void {
    this.#settle(done, work, count => done(count))
  }

  #errnoOf(error: unknown): number {
    if (error instanceof ErrnoError) return error.errno
    this.#options.log.error({ err: error }, 'a FUSE request failed unexpectedly')
    return ERRNO.EIO
  }

  #at<T>(path: string, work: (ino: Ino) => MaybePromise<T>): Promise<T> {
    return withInode(this.#operations, this.#context, path, work)
  }

  #in<T>(path: string, creates: boolean, work: (place: Place) => MaybePromise<T>): Promise<T> {
    return withPlace(this.#options, path, { creates }, work)
  }

  #set(path: string, set: SetAttributes, done: Done): void {
    this.#run(done, () =>
      this.#at(path, async ino => {
        await this.#operations.setattr(this.#context, ino, set)
      }),
    )
  }

  /** Makes a name; the lookup that this counts is forgotten at once. */
  #make(path: string, done: Done, make: (place: Place) => MaybePromise<Entry>): void {
    this.#run(done, () =>
      this.#in(path, true, async place => this.#operations.forget((await make(place)).ino, 1)),
    )
  }

  #create(path: string, mode: number): Promise<number> {
    return this.#in(path, true, async ({ parent, name }) => {
      const O_RDWR = 2
      const request = { name, mode: mode & PERMISSIONS, umask: 0, flags: O_RDWR }
      const { ino, fh } = await this.#operations.create(this.#context, parent, request)
      const fd = this.#register({ ino, fh })
      this.#operations.forget(ino, 1)
      return fd
    })
  }

  #rename(from: string, to: string): Promise<void> {
    return this.#in(from, false, ({ parent, name }) =>
      this.#in(to, true, ({ parent: newParent, name: newName }) =>
        this.#operations.rename(this.#context, { parent, name, newParent, newName, flags: 0 }),
      ),
    )
  }

  async #read(
    { ino, fh }: Handle,
    { into, size, offset }: { into: Buffer; size: number; offset: number },
  ): Promise<number> {
    const slices = await this.#operations.read(this.#context, ino, fh, offset, size)
    let length = 0
    for (const slice of slices) {
      into.set(slice, length)
      length += slice.length
    }
    return length
  }

  #list(ino: Ino): Promise<Listing> {
    const listing: Listing = { names: [], stats: [] }
    return this.#withDirectory(ino, async fh => {
      let offset = 0
      for (let taken = -1; taken !== 0;) {
        taken = 0
        const add = (entry: DirectoryEntry): boolean => {
          if (taken === BATCH) return false
          listing.names.push(entry.name)
          listing.stats.push({ ...NO_STAT, ino: entry.ino, mode: entry.type })
          offset = entry.offset
          taken += 1
          return true
        }
        await this.#operations.readdir(this.#context, ino, fh, { offset, plus: false, add })
      }
      return listing
    })
  }

  #syncDirectory(ino: Ino): Promise<void> {
    return this.#withDirectory(ino, async fh => this.#operations.fsyncdir(this.#context, ino, fh))
  }

  async #withDirectory<T>(ino: Ino, work: (fh: Fh) => Promise<T>): Promise<T> {
    const { fh } = await this.#operations.opendir(this.#context, ino, 0)
    try {
      return await work(fh)
    } finally {
      await this.#operations.releasedir(this.#context, ino, fh)
    }
  }

  #handle(fd: number): Handle {
    const handle = this.#handles.get(fd)
    if (handle === undefined) throw new ErrnoError('EBADF', `handle ${fd}`)
    return handle
  }

  #register(handle: Handle): number {
    // From 1: fuse-native takes 0 for "no handle". Around before 31 bits are used up.
    do this.#lastHandle = (this.#lastHandle % 0x7fff_ffff) + 1
    while (this.#handles.has(this.#lastHandle))
    this.#handles.set(this.#lastHandle, handle)
    return this.#lastHandle
  }
}
