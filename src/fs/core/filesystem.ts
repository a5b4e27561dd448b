/**
 * The file system: every operation that the kernel may ask for, over a storage driver.
 *
 * This file gives each operation its shape: it finds the inodes, lets lookup.ts, namespace.ts,
 * files.ts and directories.ts do the work, counts lookups, and turns every error into an ErrnoError, logged once.
 *
 * Lookup counts are raised when an operation succeeds; the kernel's later `forget` lowers them.
 */
import { randomUUID } from 'node:crypto'
import { BlockCache, type FetchBlocks } from '../../cache/block-cache.js'
import { MetadataCache } from '../../cache/metadata-cache.js'
import { Prefetcher } from '../../cache/prefetch.js'
import { Staging } from '../../cache/staging.js'
import type { StagingOptions } from '../../cache/staging.js'
import { WriteBack } from '../../cache/write-back.js'
import type { StorageDriver } from '../../driver/driver.js'
import { IntegrityError } from '../../driver/errors.js'
import { abortable } from '../../util/abort.js'
import { ErrnoError } from '../../util/errno.js'
import { SharedLock } from '../../util/lock.js'
import type { Logger } from '../../util/log.js'
import { silentLogger } from '../../util/log.js'
import type { Bytes, Milliseconds } from '../../util/units.js'
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
import { AttributeStore } from './attribute-store.js'
import {
  attributesOf,
  PERMISSIONS,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_ISGID,
  S_ISUID,
  S_IXGRP,
  timestamp,
} from './attributes.js'
import type { Core, CoreConfig } from './core.js'
import { afterDeletes, Deletes } from './deletes.js'
import { Directories } from './directories.js'
import { Files } from './files.js'
import { InodeTable } from './inode-table.js'
import { isLocal } from './inode.js'
import type { DirectoryInode, FileInode, Inode } from './inode.js'
import { noLedger } from './ledger.js'
import type { Ledger, Move } from './ledger.js'
import { Lookup } from './lookup.js'
import { Markers } from './markers.js'
import { Namespace } from './namespace.js'
import { Subtrees } from './subtrees.js'
import { SpecialFiles } from './special-files.js'
import { Xattrs } from './xattrs.js'
import { toErrnoError, toFailure } from './to-errno.js'
import { UnfinishedMoves } from './unfinished-moves.js'
import { UnlinkedFiles } from './unlinked-files.js'

export interface FileSystemOptions {
  driver: StorageDriver
  /** What blocks of files are read from; default the driver. */
  blocksFrom?: Pick<StorageDriver, 'readInto'>
  config: CoreConfig
  /** Memory for cached blocks. */
  cacheMemory: Bytes
  /** Memory for bytes that the store does not have yet. */
  writeMemory: Bytes
  /** Local disk for such bytes that do not fit into memory; default none. */
  staging?: StagingOptions
  /** How long a write may wait for memory; default 2 minutes. */
  writePatience?: Milliseconds
  /** Unix time; default Date.now. */
  clock?: () => Milliseconds
  /** A clock that never goes back; default performance.now. */
  monotonic?: () => Milliseconds
  /** What this mount leaves in the store if it is killed; default nowhere. */
  ledger?: Ledger
  /** What mounts before have not finished; default nothing. */
  unfinishedMoves?: readonly Move[]
  /** Different for every mount there ever is; default random. */
  mountId?: string
  log?: Logger
}

const O_EXCL = 0o200

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

const NOBODY: RequestContext = { uid: 0, gid: 0, pid: 0, signal: new AbortController().signal }

const NO_NOTIFIER: Notifier = {
  invalidateInode: () => undefined,
  invalidateEntry: () => undefined,
}

export class FileSystem implements Operations {
  readonly #core: Core
  readonly #files: Files
  readonly #directories: Directories
  readonly #lookup: Lookup
  readonly #namespace: Namespace
  readonly #specials: SpecialFiles
  readonly #xattrs: Xattrs
  readonly #log: Logger
  #attributesAnnounced = false

  constructor(options: FileSystemOptions) {
    this.#core = createCore(options)
    this.#log = this.#core.log
    this.#files = new Files(this.#core)
    this.#lookup = new Lookup(this.#core)
    this.#namespace = new Namespace(this.#core, this.#lookup)
    this.#specials = new SpecialFiles(this.#core, this.#namespace)
    this.#xattrs = new Xattrs(this.#core)
    this.#directories = new Directories(this.#core, this.#lookup, inode => this.#entry(inode))
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

  async destroy(): Promise<void> {
    const outcomes = await Promise.allSettled([
      this.#files.flushAll(NOBODY),
      this.#core.markers.flushAll(),
      this.#core.deletes.flush('/'),
    ])
    // What neither bytes nor markers have taken along.
    outcomes.push(...(await Promise.allSettled([this.#core.attributes.close()])))
    this.#core.markers.close()
    await this.#core.writeBack.close()
    await this.#core.unlinked.close()
    this.#core.blocks.close()
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') throw toErrnoError(outcome.reason)
    }
  }

  lookup(context: RequestContext, parent: Ino, name: string): MaybePromise<Entry | NegativeEntry> {
    return this.#answer('lookup', () =>
      then(
        this.#lookup.resolve(context, this.#core.inodes.directory(parent), name),
        (inode): MaybePromise<Entry | NegativeEntry> =>
          inode === undefined
            ? { ino: undefined, entryValid: this.#core.config.metadataTtl / 1000 }
            : this.#lookedUp(context, inode),
      ),
    )
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
        this.#validity(inode) > 0
      if (isFresh) return this.#attributes(inode)
      // fstat(2) on an open file never fails: what was last seen is better than an error.
      const failing = (error: unknown): void => {
        if (inode.handles === 0) throw error
      }
      return this.#files
        .revalidate(context, inode)
        .catch(failing)
        .then(() => this.#attributes(inode))
    })
  }

  setattr(context: RequestContext, ino: Ino, set: SetAttributes): MaybePromise<AttributesReply> {
    return this.#answer('setattr', async () => {
      const inode = this.#core.inodes.get(ino)
      await this.#need(context, inode)
      if (set.size !== undefined) await this.#truncate(context, inode, { ...set, size: set.size })
      this.#override(inode, set)
      return this.#attributes(inode)
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
    return this.#answer('mknod', async () => {
      const type = request.mode & S_IFMT
      const directory = this.#core.inodes.directory(parent)
      const own = (file: FileInode): void => this.#owned(context, file, request)
      if (type !== S_IFREG && type !== 0) {
        const { name, rdev } = request
        const file = await this.#specials.make(context, directory, { name, type, rdev }, own)
        return this.#looked(file)
      }
      await this.#namespace.checkAbsent(context, directory, request.name)
      const file = await this.#files.make(context, directory, request.name, own)
      this.#namespace.touch(directory)
      return this.#looked(file)
    })
  }

  mkdir(context: RequestContext, parent: Ino, request: CreateRequest): MaybePromise<Entry> {
    return this.#answer('mkdir', async () => {
      const parentDirectory = this.#core.inodes.directory(parent)
      const directory = await this.#namespace.mkdir(context, parentDirectory, request.name)
      this.#core.attributes.made(directory)
      this.#owned(context, directory, request)
      if (!this.#isUsual(directory)) this.#core.attributes.changed(directory)
      return this.#looked(directory)
    })
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
    return this.#answer('symlink', async () => {
      const directory = this.#core.inodes.directory(parent)
      const request = { name, mode: PERMISSIONS & 0o777, umask: 0 }
      const own = (file: FileInode): void => this.#owned(context, file, request)
      const special = { name, type: S_IFLNK, target }
      return this.#looked(await this.#specials.make(context, directory, special, own))
    })
  }

  rename(context: RequestContext, request: RenameRequest): MaybePromise<void> {
    return this.#answer('rename', () => this.#namespace.rename(context, request))
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
      if (killPrivileges) this.#dropPrivileges(file)
      return reply
    })
  }

  create(
    context: RequestContext,
    parent: Ino,
    request: CreateRequest & { readonly flags: number },
  ): MaybePromise<CreateReply> {
    return this.#answer('create', async () => {
      const directory = this.#core.inodes.directory(parent)
      if ((request.flags & O_EXCL) !== 0) {
        await this.#namespace.checkAbsent(context, directory, request.name)
      }
      const existing = await this.#lookup.resolve(context, directory, request.name)
      if (existing !== undefined) return this.#openExisting(context, existing, request.flags)
      this.#core.driver.checkPath(this.#core.inodes.childPath(directory, request.name))
      const { file, ...opened } = this.#files.create(directory, request.name, request.flags)
      const { exclusiveCreate } = this.#core.config
      if (file.exclusive && exclusiveCreate === 'open') {
        await this.#files.claim(context, file, opened.fh)
      }
      this.#namespace.touch(directory)
      this.#owned(context, file, request)
      return { ...this.#looked(file), ...opened }
    })
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
      if (request.killPrivileges === true) this.#dropPrivileges(this.#core.inodes.get(ino))
      return this.#files.write(context, fh, request)
    })
  }

  fallocate(
    context: RequestContext,
    _ino: Ino,
    fh: Fh,
    request: AllocateRequest,
  ): MaybePromise<void> {
    return this.#answer('fallocate', () => this.#files.fallocate(context, fh, request))
  }

  lseek(_context: RequestContext, _ino: Ino, fh: Fh, request: SeekRequest): MaybePromise<Bytes> {
    return this.#answer('lseek', () => this.#files.lseek(fh, request))
  }

  copyfilerange(context: RequestContext, request: CopyRangeRequest): MaybePromise<Bytes> {
    return this.#answer('copyfilerange', () => this.#files.copyFileRange(context, request))
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

  /** What lies directly in the directory, and the directory itself, is in the store afterwards. */
  fsyncdir(_context: RequestContext, ino: Ino): MaybePromise<void> {
    return this.#answer('fsyncdir', async () => {
      const { attributes, deletes, inodes, markers } = this.#core
      const directory = inodes.directory(ino)
      for (const child of directory.children.values()) {
        if (child.kind === 'directory') await markers.flush(child)
      }
      await markers.flush(directory)
      await attributes.flush(directory)
      await deletes.flush(inodes.path(directory))
    })
  }

  syncfs(context: RequestContext): MaybePromise<void> {
    return this.#answer('syncfs', async () => {
      await this.#files.flushAll(context)
      await this.#core.markers.flushAll()
      await abortable(this.#core.attributes.flushAll(), context.signal)
      await this.#core.deletes.flush('/')
    })
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

  #attributes(inode: Inode): AttributesReply {
    return {
      attributes: attributesOf(inode, this.#core.config),
      attributesValid: this.#validity(inode),
    }
  }

  #entry(inode: Inode): Entry {
    const valid = this.#validity(inode)
    return { ino: inode.ino, generation: 0, entryValid: valid, ...this.#attributes(inode) }
  }

  /** Somebody else made the file between the kernel's lookup and its create. */
  async #openExisting(context: RequestContext, inode: Inode, flags: number): Promise<CreateReply> {
    const { inodes } = this.#core
    try {
      if (inode.kind === 'directory') throw new ErrnoError('EISDIR', inodes.path(inode))
      const opened = await this.#files.open(context, inode, flags)
      return { ...this.#looked(inode), ...opened }
    } finally {
      inodes.drop(inode)
    }
  }

  /** As `#looked`, once the attributes are known. */
  #lookedUp(context: RequestContext, inode: Inode): MaybePromise<Entry> {
    const needed = this.#need(context, inode)
    if (needed === undefined) return this.#looked(inode)
    // Held meanwhile.
    inode.lookups += 1
    return needed.then(
      () => this.#entry(inode),
      (error: unknown) => {
        this.#core.inodes.forget(inode.ino, 1)
        throw error
      },
    )
  }

  #need(context: RequestContext, inode: Inode): Promise<void> | undefined {
    return this.#core.attributes.need(context, inode, (asking, file) =>
      this.#files.revalidate(asking, file),
    )
  }

  #looked(inode: Inode): Entry {
    inode.lookups += 1
    return this.#entry(inode)
  }

  /** Seconds that the kernel may still believe what was seen of an inode. */
  #validity(inode: Inode): number {
    const { config, inodes, metadata } = this.#core
    const { parent, name } = inode
    if (inode.kind === 'directory' || isLocal(inode)) return config.metadataTtl / 1000
    const age = metadata.now() - inode.seen
    if (age < config.metadataTtl / 2) return (config.metadataTtl - age) / 1000
    if (parent === undefined) return Math.max(0, config.metadataTtl - age) / 1000
    return metadata.validity(inodes.path(parent), name, inode.seen) / 1000
  }

  async #truncate(
    context: RequestContext,
    inode: Inode,
    set: SetAttributes & { readonly size: Bytes },
  ): Promise<void> {
    const path = this.#core.inodes.path(inode)
    if (inode.kind === 'directory') throw new ErrnoError('EISDIR', path)
    try {
      if (set.fh === undefined) await this.#files.truncateByPath(context, inode, set.size)
      else await this.#files.truncateHandle(context, set.fh, set.size)
    } catch (error) {
      // The file may have its new size here and not be stored; the kernel believes in the old one.
      this.#core.notifier.invalidateInode(inode.ino, 0, 0)
      throw error
    }
  }

  /** Of derived attributes, what is set holds as long as the inode lives. */
  #override(inode: Inode, set: SetAttributes): void {
    const { overrides } = inode
    const isOwned = set.uid !== undefined || set.gid !== undefined
    const killsHere = inode.kind === 'file' && isOwned && set.mode === undefined
    if (set.killPrivileges === true || killsHere) this.#dropPrivileges(inode)
    const now = timestamp(this.#core.clock())
    if (set.mode !== undefined) overrides.mode = set.mode & PERMISSIONS
    if (set.uid !== undefined) overrides.uid = set.uid
    if (set.gid !== undefined) overrides.gid = set.gid
    if (set.atime !== undefined) overrides.atime = set.atime === 'now' ? now : set.atime
    if (set.mtime !== undefined) overrides.mtime = set.mtime === 'now' ? now : set.mtime
    overrides.ctime = now
    const persistent = [set.mode, set.uid, set.gid, set.mtime].every(value => value === undefined)
    if (persistent) return
    this.#core.attributes.changed(inode)
    if (this.#attributesAnnounced || this.#core.attributes.isStored) return
    this.#attributesAnnounced = true
    this.#log.info(
      { path: this.#core.inodes.path(inode) },
      'mode, owner and times that programs set hold until the file is forgotten; they are not stored',
    )
  }

  #owned(context: RequestContext, inode: Inode, request: CreateRequest): void {
    const { config } = this.#core
    const { overrides, parent } = inode
    const above = parent === undefined ? undefined : attributesOf(parent, config)
    const inherits = above !== undefined && (above.mode & S_ISGID) !== 0
    const bits = inherits && inode.kind === 'directory' ? S_ISGID : 0
    overrides.mode = (request.mode & PERMISSIONS) | bits
    overrides.uid = context.uid
    overrides.gid = inherits ? above.gid : context.gid
  }

  /** Whether the mount's options alone would give the inode its attributes. */
  #isUsual(directory: DirectoryInode): boolean {
    const { uid, gid, directoryMode } = this.#core.config
    const { overrides } = directory
    return overrides.uid === uid && overrides.gid === gid && overrides.mode === directoryMode
  }

  /** What the kernel does on its own disks when a file is written to or given away. */
  #dropPrivileges(inode: Inode): void {
    const { mode } = attributesOf(inode, this.#core.config)
    // Without the group's right to execute it, set-group-id means mandatory locking.
    const taken = S_ISUID | ((mode & S_IXGRP) !== 0 ? S_ISGID : 0)
    if (inode.kind === 'directory' || (mode & taken) === 0) return
    inode.overrides.mode = mode & PERMISSIONS & ~taken
    inode.overrides.ctime = timestamp(this.#core.clock())
    this.#core.attributes.changed(inode)
  }
}

function createCore(options: FileSystemOptions): Core {
  const { config, staging, log = silentLogger, ledger = noLedger } = options
  const { mountId = randomUUID() } = options
  const { clock = Date.now, monotonic = () => performance.now() } = options
  const deletes = new Deletes({ driver: options.driver, now: monotonic, log })
  const driver = afterDeletes(options.driver, deletes)
  const reader = options.blocksFrom ?? driver
  const tree = new SharedLock()
  const inodes = new InodeTable(clock)
  const metadata = new MetadataCache({ ttl: config.metadataTtl, now: monotonic })
  const blocks = new BlockCache({ capacity: options.cacheMemory, fetch: fetchFrom(reader) })
  const core: Core = {
    get attributes() {
      return attributes
    },
    config,
    driver,
    deletes,
    inodes,
    tree,
    clock,
    log,
    metadata,
    subtrees: new Subtrees({ driver, metadata, log }),
    blocks,
    prefetcher: new Prefetcher({ blocks, window: config.readAhead, now: monotonic }),
    writeBack: new WriteBack({
      limits: driver.partLimits,
      memory: options.writeMemory,
      patience: options.writePatience ?? 120_000,
      ...(staging !== undefined && staging.capacity > 0 && { staging: new Staging(staging) }),
      guard: work => tree.shared(work),
      log,
    }),
    markers: new Markers({
      driver,
      inodes,
      metadata,
      tree,
      delay: config.markerDelay,
      log,
      saving: directory => attributes.saving(directory),
    }),
    unlinked: new UnlinkedFiles({ driver, ledger, mountId, log }),
    ledger,
    moves: new UnfinishedMoves({ driver, ledger, log, moves: options.unfinishedMoves ?? [] }),
    notifier: NO_NOTIFIER,
    directMappings: false,
  }
  const attributes = new AttributeStore(core)
  return core
}

function fetchFrom(driver: Pick<StorageDriver, 'readInto'>): FetchBlocks {
  return async ({ path, etag, size }, offset, targets, options) => {
    const wanted = targets.reduce((sum, { length }) => sum + length, 0)
    const { bytesRead } = await driver.readInto(path, targets, { offset, etag, ...options })
    if (bytesRead === wanted) return
    throw new IntegrityError(`${bytesRead} of ${wanted} bytes at ${offset} of ${size}`, { path })
  }
}

/** Applies `next` at once if the value is there, else when it comes. */
function then<T, U>(value: MaybePromise<T>, next: (value: T) => MaybePromise<U>): MaybePromise<U> {
  return value instanceof Promise ? value.then(next) : next(value)
}
