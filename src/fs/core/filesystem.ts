/**
 * The file system: every operation that the kernel may ask for, over a storage driver.
 *
 * This file gives each operation its shape: it finds the inodes, lets lookup.ts, namespace.ts, renames.ts,
 * making.ts, files.ts and directories.ts do the work, and turns every error into an ErrnoError, logged once.
 *
 * Lookup counts are raised when an operation succeeds; the kernel's later `forget` lowers them.
 */
import { ErrnoError } from '../../util/errno.js'
import type { Logger } from '../../util/log.js'
import type { Bytes } from '../../util/units.js'
import type {
  AddEntry,
  AllocateRequest,
  AttributesReply,
  CopyRangeRequest,
  CreateReply,
  CreateRequest,
  Entry,
  Fh,
  Ino,
  MaybePromise,
  NegativeEntry,
  Notifier,
  OpenReply,
  Operations,
  RenameRequest,
  RequestContext,
  SeekRequest,
  SessionInfo,
  SetAttributes,
  SetXattrRequest,
  StatfsReply,
  WriteRequest,
} from '../operations.js'
import { AttributeChanges } from './attribute-changes.js'
import type { Core } from './core.js'
import { createCore } from './create-core.js'
import type { FileSystemOptions } from './create-core.js'
import { Directories } from './directories.js'
import { Files } from './files.js'
import { isLocal } from './inode.js'
import { Lookup } from './lookup.js'
import { Making } from './making.js'
import { Namespace } from './namespace.js'
import { Renames } from './renames.js'
import { Replies } from './replies.js'
import { revalidate } from './revalidation.js'
import { SpecialFiles } from './special-files.js'
import { Sync } from './sync.js'
import { toErrnoError, toFailure } from './to-errno.js'
import { Xattrs } from './xattrs.js'

/** What statfs shows of a store without a size: 1 PiB in blocks of 4 KiB, nothing used. */
const STATFS: StatfsReply = {
  blockSize: 4096,
  blocks: 2 ** 38,
  blocksFree: 2 ** 38,
  blocksAvailable: 2 ** 38,
  files: 2 ** 32,
  filesFree: 2 ** 32,
  nameLength: 255,
}

export class FileSystem implements Operations {
  readonly #core: Core
  readonly #files: Files
  readonly #directories: Directories
  readonly #lookup: Lookup
  readonly #namespace: Namespace
  readonly #renames: Renames
  readonly #changes: AttributeChanges
  readonly #replies: Replies
  readonly #making: Making
  readonly #specials: SpecialFiles
  readonly #xattrs: Xattrs
  readonly #sync: Sync
  readonly #log: Logger

  constructor(options: FileSystemOptions) {
    this.#core = createCore(options)
    this.#log = this.#core.log
    this.#files = new Files(this.#core)
    this.#lookup = new Lookup(this.#core)
    this.#namespace = new Namespace(this.#core, this.#lookup)
    this.#renames = new Renames(this.#core, this.#lookup, this.#namespace)
    this.#specials = new SpecialFiles(this.#core, this.#namespace)
    this.#xattrs = new Xattrs(this.#core)
    this.#sync = new Sync(this.#core, this.#files)
    const changes = new AttributeChanges(this.#core, this.#files)
    const replies = new Replies(this.#core)
    this.#changes = changes
    this.#replies = replies
    this.#directories = new Directories(this.#core, this.#lookup, inode => replies.entry(inode))
    this.#making = new Making(this.#core, {
      files: this.#files,
      lookup: this.#lookup,
      namespace: this.#namespace,
      specials: this.#specials,
      changes,
      replies,
    })
  }

  get isReceiving(): boolean {
    return this.#core.prefetcher.blocks.inFlight > 0
  }

  /** What is alive, for tests and metrics. */
  get counts(): { inodes: number; lookups: number; handles: number; dirty: number } {
    const { inodes, writeBack } = this.#core
    return {
      inodes: inodes.size,
      lookups: inodes.lookups,
      handles: this.#files.openHandles + this.#directories.openHandles,
      dirty: writeBack.dirtyFiles.length,
    }
  }

  /** All that is worth watching at this moment; names that end in Total count since the beginning. */
  get gauges(): Readonly<Record<string, number>> {
    const { writeBack, blocks } = this.#core
    return {
      ...this.counts,
      dirtyBytes: writeBack.heldBytes,
      uploads: writeBack.uploadsUnderWay,
      cacheBytes: blocks.size,
      cacheFetching: blocks.inFlight,
      ...blocks.sums,
    }
  }

  /** Throws if an internal invariant does not hold; for tests. */
  checkInvariants(): void {
    this.#core.inodes.checkInvariants()
  }

  /** Forgets what is believed of a path and all below it, here and in the kernel. Changes made here stay. */
  invalidate(path: string): void {
    const { inodes, metadata, notifier } = this.#core
    metadata.forgetTree(path)
    metadata.forget(path.slice(0, path.lastIndexOf('/')) || '/')
    for (const inode of inodes.below(inodes.root)) {
      const at = inodes.path(inode)
      const isMeant = path === '/' || at === path || at.startsWith(`${path}/`)
      if (isMeant && inode.parent !== undefined)
        notifier.invalidateEntry(inode.parent.ino, inode.name)
    }
  }

  init({ directMappings = false }: SessionInfo, notifier: Notifier): void {
    this.#core.notifier = notifier
    this.#core.directMappings = directMappings
  }

  destroy(): Promise<void> {
    return this.#sync.close()
  }

  lookup(context: RequestContext, parent: Ino, name: string): MaybePromise<Entry | NegativeEntry> {
    return this.#answer('lookup', () => {
      const directory = this.#core.inodes.directory(parent)
      return then(
        this.#lookup.resolve(context, directory, name),
        (inode): MaybePromise<Entry | NegativeEntry> =>
          inode === undefined
            ? this.#replies.absent(directory, name)
            : this.#replies.lookedUp(context, inode),
      )
    })
  }

  forget(ino: Ino, lookups: number): void {
    this.#core.inodes.forget(ino, lookups)
  }

  getattr(context: RequestContext, ino: Ino): MaybePromise<AttributesReply> {
    return this.#answer('getattr', () => {
      const { config, inodes, metadata } = this.#core
      const inode = inodes.get(ino)
      const isFresh =
        inode.kind === 'directory' ||
        isLocal(inode) ||
        !inodes.isLinked(inode) ||
        metadata.now() - inode.seen < config.metadataTtl ||
        this.#replies.validity(inode) > 0
      if (isFresh) return this.#replies.attributes(inode)
      // fstat(2) on an open file never fails: what was last seen is better than an error.
      const failing = (error: unknown): void => {
        if (inode.handles === 0) throw error
      }
      return revalidate(this.#core, context, inode)
        .catch(failing)
        .then(() => this.#replies.attributes(inode))
    })
  }

  setattr(context: RequestContext, ino: Ino, set: SetAttributes): MaybePromise<AttributesReply> {
    return this.#answer('setattr', async () => {
      const inode = this.#core.inodes.get(ino)
      await this.#replies.need(context, inode)
      await this.#changes.set(context, inode, set)
      return this.#replies.attributes(inode)
    })
  }

  readlink(context: RequestContext, ino: Ino): MaybePromise<string> {
    return this.#answer('readlink', () =>
      this.#specials.readlink(context, this.#core.inodes.file(ino)),
    )
  }

  mknod(
    context: RequestContext,
    parent: Ino,
    request: CreateRequest & { readonly rdev: number },
  ): MaybePromise<Entry> {
    return this.#answer('mknod', () =>
      this.#making.mknod(context, this.#core.inodes.directory(parent), request),
    )
  }

  mkdir(context: RequestContext, parent: Ino, request: CreateRequest): MaybePromise<Entry> {
    return this.#answer('mkdir', () =>
      this.#making.mkdir(context, this.#core.inodes.directory(parent), request),
    )
  }

  unlink(context: RequestContext, parent: Ino, name: string): MaybePromise<void> {
    return this.#answer('unlink', () =>
      this.#namespace.unlink(context, this.#core.inodes.directory(parent), name),
    )
  }

  rmdir(context: RequestContext, parent: Ino, name: string): MaybePromise<void> {
    return this.#answer('rmdir', () =>
      this.#namespace.rmdir(context, this.#core.inodes.directory(parent), name),
    )
  }

  symlink(context: RequestContext, parent: Ino, name: string, target: string): MaybePromise<Entry> {
    return this.#answer('symlink', () =>
      this.#making.symlink(context, this.#core.inodes.directory(parent), { name, target }),
    )
  }

  rename(context: RequestContext, request: RenameRequest): MaybePromise<void> {
    return this.#answer('rename', () => this.#renames.rename(context, request))
  }

  link(): never {
    throw new ErrnoError('EPERM', 'an object store has no hard links')
  }

  open(
    context: RequestContext,
    ino: Ino,
    flags: number,
    { killPrivileges = false }: { readonly killPrivileges?: boolean } = {},
  ): MaybePromise<OpenReply> {
    return this.#answer('open', async () => {
      const file = this.#core.inodes.file(ino)
      const reply = await this.#files.open(context, file, flags)
      if (killPrivileges) this.#changes.dropPrivileges(file)
      return reply
    })
  }

  create(
    context: RequestContext,
    parent: Ino,
    request: CreateRequest & { readonly flags: number },
  ): MaybePromise<CreateReply> {
    return this.#answer('create', () =>
      this.#making.create(context, this.#core.inodes.directory(parent), request),
    )
  }

  read(
    context: RequestContext,
    _ino: Ino,
    fh: Fh,
    offset: Bytes,
    size: Bytes,
  ): MaybePromise<readonly Uint8Array[]> {
    return this.#answer('read', () => this.#files.read(context, fh, offset, size))
  }

  write(context: RequestContext, ino: Ino, fh: Fh, request: WriteRequest): MaybePromise<number> {
    return this.#answer('write', () => {
      if (request.killPrivileges === true) this.#changes.dropPrivileges(this.#core.inodes.get(ino))
      return this.#files.write(context, fh, request)
    })
  }

  fallocate(
    context: RequestContext,
    _ino: Ino,
    fh: Fh,
    request: AllocateRequest,
  ): MaybePromise<void> {
    return this.#answer('fallocate', () => this.#files.ranges.fallocate(context, fh, request))
  }

  lseek(_context: RequestContext, _ino: Ino, fh: Fh, request: SeekRequest): MaybePromise<Bytes> {
    return this.#answer('lseek', () => this.#files.ranges.lseek(fh, request))
  }

  copyfilerange(context: RequestContext, request: CopyRangeRequest): MaybePromise<Bytes> {
    return this.#answer('copyfilerange', () => this.#files.ranges.copyFileRange(context, request))
  }

  flush(context: RequestContext, _ino: Ino, fh: Fh): MaybePromise<void> {
    return this.#answer('flush', () => this.#files.flushHandle(context, fh))
  }

  release(_context: RequestContext, _ino: Ino, fh: Fh): MaybePromise<void> {
    return this.#answer('release', () => this.#files.release(fh))
  }

  fsync(context: RequestContext, _ino: Ino, fh: Fh): MaybePromise<void> {
    return this.#answer('fsync', () => this.#files.flushHandle(context, fh, { isSync: true }))
  }

  opendir(_context: RequestContext, ino: Ino): OpenReply {
    return this.#directories.open(this.#core.inodes.directory(ino))
  }

  readdir(
    context: RequestContext,
    _ino: Ino,
    fh: Fh,
    request: { readonly offset: number; readonly plus: boolean; readonly add: AddEntry },
  ): MaybePromise<void> {
    return this.#answer('readdir', () => this.#directories.read(context, fh, request))
  }

  releasedir(_context: RequestContext, _ino: Ino, fh: Fh): MaybePromise<void> {
    return this.#answer('releasedir', () => this.#directories.release(fh))
  }

  fsyncdir(context: RequestContext, ino: Ino): MaybePromise<void> {
    return this.#answer('fsyncdir', () =>
      this.#sync.directory(context, this.#core.inodes.directory(ino)),
    )
  }

  syncfs(context: RequestContext): MaybePromise<void> {
    return this.#answer('syncfs', () => this.#sync.all(context))
  }

  statfs(): StatfsReply {
    return STATFS
  }

  /** The kernel checks permissions itself (default_permissions); all that is left is existence. */
  access(_context: RequestContext, ino: Ino): void {
    this.#core.inodes.get(ino)
  }

  getxattr(context: RequestContext, ino: Ino, name: string): MaybePromise<Uint8Array> {
    return this.#answer('getxattr', () =>
      this.#xattrs.get(context, this.#core.inodes.get(ino), name),
    )
  }

  listxattr(_context: RequestContext, ino: Ino): MaybePromise<readonly string[]> {
    return this.#answer('listxattr', () => this.#xattrs.list(this.#core.inodes.get(ino)))
  }

  setxattr(_context: RequestContext, ino: Ino, request: SetXattrRequest): MaybePromise<void> {
    const { name, value, flags } = request
    return this.#answer('setxattr', () =>
      this.#xattrs.set(this.#core.inodes.get(ino), { name, value, flags }),
    )
  }

  removexattr(_context: RequestContext, ino: Ino, name: string): MaybePromise<void> {
    return this.#answer('removexattr', () => this.#xattrs.remove(this.#core.inodes.get(ino), name))
  }

  #answer<T>(operation: string, work: () => MaybePromise<T>): MaybePromise<T> {
    try {
      const answer = work()
      if (!(answer instanceof Promise)) return answer
      return answer.catch((error: unknown) => {
        throw this.#failed(operation, error)
      })
    } catch (error) {
      throw this.#failed(operation, error)
    }
  }

  #failed(operation: string, error: unknown): ErrnoError {
    const { errno, level } = toFailure(error)
    this.#log[level]({ operation, errno, err: error }, `${operation} fails with ${errno}`)
    return toErrnoError(error)
  }
}

/** Applies `next` at once if the value is there, else when it comes. */
function then<T, U>(value: MaybePromise<T>, next: (value: T) => MaybePromise<U>): MaybePromise<U> {
  return value instanceof Promise ? value.then(next) : next(value)
}
