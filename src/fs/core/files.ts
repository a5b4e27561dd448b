/**
 * Open files: open, create, read, write, truncate, flush and release.
 *
 * A file that is being written has a DirtyFile, which holds or knows every byte of it; any other
 * file is read through the block cache, pinned to the version that was open. A version that somebody
 * else has put in its place makes the handle stale: ESTALE, never a mix of two versions.
 */
import type { FileReader } from '../../cache/prefetch.js'
import type { DirtyFile, Observer } from '../../cache/dirty-file.js'
import type { FileStore } from '../../cache/file-store.js'
import type { WriteConditions, WriteResult } from '../../driver/driver.js'
import type { ObjectId } from '../../cache/object-id.js'
import { DriverError, PathNotFoundError, PreconditionError } from '../../driver/errors.js'
import { isUnlinked } from '../../driver/path.js'
import { abortable } from '../../util/abort.js'
import { ErrnoError } from '../../util/errno.js'
import type { Bytes, Milliseconds } from '../../util/units.js'
import type {
  AllocateRequest,
  CopyRangeRequest,
  Fh,
  MaybePromise,
  OpenReply,
  RequestContext,
  SeekRequest,
  WriteRequest,
} from '../operations.js'
import type { Core } from './core.js'
import { timestamp } from './attributes.js'
import { isContentAddressed } from './content-address.js'
import { adopt, atRest, follow, isSame, objectOf, removedElsewhere } from './file-version.js'
import { publish, publishing, staleIfGone } from './first-store.js'
import { HandleTable } from './handle-table.js'
import { goesPastPageCache } from './page-cache.js'
import { isLocal } from './inode.js'
import { recorded } from './ledger.js'
import type { DirectoryInode, FileInode } from './inode.js'
import { saveAll } from './unsaved.js'
import type { Unsaved } from './unsaved.js'

const O_ACCMODE = 0o3
const O_RDONLY = 0o0
const O_WRONLY = 0o1
const O_EXCL = 0o200
const O_TRUNC = 0o1000
/** O_SYNC has this bit too. */
const O_DSYNC = 0o10000

/** @see linux/falloc.h */
const FALLOC_FL_KEEP_SIZE = 0x01
const FALLOC_FL_PUNCH_HOLE = 0x02
const FALLOC_FL_ZERO_RANGE = 0x10
const FALLOC_KNOWN = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE

const SEEK_DATA = 3
const SEEK_HOLE = 4

/**
 * open(2) looks the name up and opens it in two requests to us. What was seen so short a time ago was
 * seen for the same open, and close-to-open consistency needs no second request.
 */
const SAME_OPEN: Milliseconds = 20

/** Names kept for the message at the end; the log has all. */
const MOST_LOST = 1000

interface FileHandle {
  readonly file: FileInode
  readonly readable: boolean
  readonly writable: boolean
  /** Every write is stored before it is answered: O_SYNC, O_DSYNC. */
  readonly synchronous: boolean
  /** Which failures to store the file its holder has been told of. */
  readonly failures: Observer
  readonly reader: FileReader
  /** FileInode.replaced when the file was opened. */
  readonly replaced: number
}

export class Files {
  readonly #core: Core
  readonly #handles = new HandleTable<FileHandle>()
  /** What was dropped, and no program was told of. */
  readonly #lost = new Map<string, unknown>()

  constructor(core: Core) {
    this.#core = core
  }

  get openHandles(): number {
    return this.#handles.size
  }

  /** Files that were dropped when they were closed, and not stored since; no program was told of them. */
  get lost(): readonly Unsaved[] {
    return [...this.#lost].map(([name, error]) => ({ name, error }))
  }

  open(context: RequestContext, file: FileInode, flags: number): Promise<OpenReply> {
    return this.#held(context, file, async () => {
      if (!this.#isImmutable(file, flags)) await this.revalidate(context, file)
      if ((flags & O_TRUNC) !== 0) await this.truncate(context, file, 0)
      return this.#opened(file, flags)
    })
  }

  /** A new file, which its first flush will store, however empty. */
  create(parent: DirectoryInode, name: string, flags: number): { file: FileInode } & OpenReply {
    const file = this.#core.inodes.addFile(parent, name)
    file.exclusive = (flags & O_EXCL) !== 0
    this.#core.attributes.made(file)
    this.#dirty(file)
    return { file, ...this.#opened(file, flags) }
  }

  /** Stores a file that was just created, empty. @throws ErrnoError EEXIST, and it is gone again */
  async claim(context: RequestContext, file: FileInode, fh: Fh): Promise<void> {
    try {
      await this.#dirty(file).flush(context.signal)
    } catch (error) {
      this.#core.inodes.unlink(file)
      await abortable(this.release(fh), context.signal)
      throw error
    }
  }

  /** A new file that no handle is open on, and nobody has made before: stored before this resolves. */
  async make(
    context: RequestContext,
    parent: DirectoryInode,
    name: string,
    own: (file: FileInode) => void,
  ): Promise<FileInode> {
    const file = this.#core.inodes.addFile(parent, name)
    file.exclusive = true
    this.#core.attributes.made(file)
    own(file)
    const dirty = this.#dirty(file)
    try {
      await dirty.flush(context.signal)
    } catch (error) {
      this.#core.inodes.unlink(file)
      await this.#close(file)
      throw error
    }
    await this.#close(file)
    return file
  }

  read(
    context: RequestContext,
    fh: Fh,
    offset: Bytes,
    size: Bytes,
  ): MaybePromise<readonly Uint8Array[]> {
    const handle = this.#handles.get(fh)
    const { file } = handle
    if (!handle.readable) throw new ErrnoError('EBADF', `handle ${fh} is not open for reading`)
    if (file.dirty?.isDirty === true) return file.dirty.read(offset, size, context)
    this.#checkVersion(handle)
    const object = objectOf(this.#core, file)
    const slices = handle.reader.read(object, offset, size, context)
    if (!(slices instanceof Promise)) return slices
    return slices.catch(async (error: unknown) => {
      const isGone = error instanceof PathNotFoundError
      if (!isGone && !(error instanceof PreconditionError)) throw error
      await atRest(this.#core, file, context.signal)
      if (isGone && (await this.#core.unlinked.returning.bring(object.path))) {
        return this.read(context, fh, offset, size)
      }
      if (file.dirty?.isDirty === true || !isSame(object, objectOf(this.#core, file))) {
        // Stored anew or moved by this mount: the bytes are there, in another version or place.
        return this.read(context, fh, offset, size)
      }
      if (file.unsettled && !isGone) {
        await this.#settle(file, context.signal)
        return this.read(context, fh, offset, size)
      }
      if (!isGone && (await this.#isSameContent(context, file, object))) {
        return this.read(context, fh, offset, size)
      }
      if (!isGone) throw error
      throw new ErrnoError('ESTALE', `${object.path} was removed while open`, { cause: error })
    })
  }

  write(context: RequestContext, fh: Fh, request: WriteRequest): MaybePromise<number> {
    // Pages that were mapped are written back through any handle that could write.
    const handle = this.#writable(fh)
    const { file } = handle
    const written = this.#dirty(file).write(request.offset, request.data, context)
    this.touch(file)
    if (!handle.synchronous) return written
    return Promise.resolve(written).then(async count => {
      await this.#flushFor(context, handle)
      return count
    })
  }

  /** fallocate(2): there is no room to reserve, so all that remains is the size and the zeros. */
  async fallocate(context: RequestContext, fh: Fh, request: AllocateRequest): Promise<void> {
    const { mode, offset, length } = request
    const { file } = this.#writable(fh)
    const isPunch = (mode & FALLOC_FL_PUNCH_HOLE) !== 0
    const isZero = (mode & FALLOC_FL_ZERO_RANGE) !== 0
    const keepsSize = (mode & FALLOC_FL_KEEP_SIZE) !== 0
    if ((mode & ~FALLOC_KNOWN) !== 0 || (isPunch && (isZero || !keepsSize))) {
      throw new ErrnoError('EOPNOTSUPP', `fallocate with mode ${mode}`)
    }
    const end = offset + length
    const dirty = this.#dirty(file)
    if (isPunch || isZero) {
      await dirty.zero({ start: offset, end, grow: !keepsSize }, context.signal)
    } else if (!keepsSize) await dirty.extend(end, context.signal)
    this.touch(file)
  }

  /**
   * lseek(2) with SEEK_DATA and SEEK_HOLE. All of a file is data: BOS keeps no holes, and the kernel
   * may have mapped pages over one that it has not told us of.
   */
  lseek(fh: Fh, { offset, whence }: SeekRequest): Bytes {
    const { file } = this.#handles.get(fh)
    if (whence !== SEEK_DATA && whence !== SEEK_HOLE) {
      throw new ErrnoError('EINVAL', `lseek from ${whence}`)
    }
    const size = sizeOf(file)
    if (offset >= size) throw new ErrnoError('ENXIO', `offset ${offset} of ${size} bytes`)
    return whence === SEEK_DATA ? offset : size
  }

  /**
   * copy_file_range(2): notes where the bytes come from; they are copied inside the store when the
   * target is stored. What cannot be had so is refused, and the kernel then moves the bytes.
   *
   * @returns bytes copied, fewer where the source ends
   */
  async copyFileRange(context: RequestContext, request: CopyRangeRequest): Promise<Bytes> {
    const source = this.#handles.get(request.source.fh)
    const target = this.#writable(request.target.fh)
    if (!source.readable) throw new ErrnoError('EBADF', 'the source is not open for reading')
    const { file } = source
    for (;;) {
      if (file.dirty?.isDirty !== true) this.#checkVersion(source)
      const { offset: from } = request.source
      const { offset: to } = request.target
      const length = Math.min(request.length, sizeOf(file) - from)
      if (length <= 0) return 0
      if (file === target.file && from < to + length && to < from + length) {
        throw new ErrnoError('EINVAL', 'the ranges overlap')
      }
      const object = await this.#copySource(context, file)
      if (object.size < from + length) continue
      const isCurrent = (): boolean => this.#isStored(file, object)
      const io = { isCurrent, signal: context.signal }
      if (await this.#dirty(target.file).copyFrom({ object, from, length }, to, io)) {
        this.touch(target.file)
        return length
      }
    }
  }

  /** The object that has all bytes of a file: stored now, if need be. */
  async #copySource(context: RequestContext, file: FileInode): Promise<ObjectId> {
    if (file.dirty?.isDirty === true) await this.flush(context, file)
    if (file.dirty?.isDirty === true || file.parent === undefined) {
      throw new ErrnoError('EOPNOTSUPP', 'a file that was unlinked is not there to be copied')
    }
    return objectOf(this.#core, file)
  }

  #isStored(file: FileInode, object: ObjectId): boolean {
    if (file.dirty?.isDirty === true || file.parent === undefined) return false
    return file.version !== undefined && isSame(object, objectOf(this.#core, file))
  }

  /** Sets the size. Stored at the next flush, like a write. */
  async truncate(context: RequestContext, file: FileInode, size: Bytes): Promise<void> {
    await this.#dirty(file).truncate(size, context.signal)
    this.touch(file)
  }

  /** As `truncate`, through an open handle. */
  truncateHandle(context: RequestContext, fh: Fh, size: Bytes): Promise<void> {
    return this.truncate(context, this.#writable(fh).file, size)
  }

  /** Sets the size of a file that this caller has not open: stored before this resolves. */
  truncateByPath(context: RequestContext, file: FileInode, size: Bytes): Promise<void> {
    return this.#held(context, file, async () => {
      await this.revalidate(context, file)
      await this.truncate(context, file, size)
      await this.flush(context, file)
    })
  }

  /** When this resolves the store has all that was written to the file. */
  async flush(context: RequestContext, file: FileInode): Promise<void> {
    // An unlinked file is stored only when memory runs short; its holders lose it when they close it.
    if (file.parent === undefined) return
    await file.dirty?.flush(context.signal)
    const { attributes } = this.#core
    // What was changed after the bytes had been sent.
    if (attributes.isUnsaved(file)) await abortable(attributes.flush(file), context.signal)
  }

  /**
   * What close(2) and fsync(2) wait for. Attributes that were set through a descriptor which could not
   * write (rsync does that before it renames) are left for later, unless `isSync`.
   */
  flushHandle(
    context: RequestContext,
    fh: Fh,
    { isSync = false }: { readonly isSync?: boolean } = {},
  ): MaybePromise<void> {
    const handle = this.#handles.get(fh)
    const { file, writable } = handle
    if (file.dirty?.isDirty === true) return this.#flushFor(context, handle)
    const isSaved = !(isSync || writable) || !this.#core.attributes.isUnsaved(file)
    if (isSaved) return
    return this.flush(context, file)
  }

  /** A failure that this tells the caller is no news to it afterwards. */
  async #flushFor(context: RequestContext, { file, failures }: FileHandle): Promise<void> {
    try {
      await this.flush(context, file)
    } finally {
      failures.seen = file.dirty?.failures ?? 0
    }
  }

  async release(fh: Fh): Promise<void> {
    const handle = this.#handles.remove(fh)
    if (handle === undefined) return
    handle.reader.close()
    await this.#letGo(handle.file)
  }

  /** As a handle does, keeps others from closing the file while `work` waits. */
  async #held<T>(context: RequestContext, file: FileInode, work: () => Promise<T>): Promise<T> {
    file.handles += 1
    const result = await work().catch(async (error: unknown): Promise<never> => {
      // Whoever was interrupted does not wait for what may have to be stored now.
      await abortable(this.#letGo(file), context.signal)
      throw error
    })
    await this.#letGo(file)
    return result
  }

  async #letGo(file: FileInode): Promise<void> {
    file.handles -= 1
    if (file.handles > 0) return
    // Dirty even now: written through a mapping after close, or a close that failed or was interrupted.
    if (file.dirty?.isDirty === true && file.parent !== undefined) await this.#lastFlush(file)
    // Opened again meanwhile: whoever has it now goes on with what is there.
    if (file.handles === 0) await this.#close(file)
  }

  /** Flushes every file. @throws UnsavedError */
  async flushAll(context: RequestContext): Promise<void> {
    // Unlinked while open: nobody but its holders ever sees it.
    const files = this.#core.writeBack.dirtyFiles.filter(
      dirty => dirty.isLinked && !isUnlinked(dirty.path),
    )
    const flush = (dirty: DirtyFile): Promise<void> => abortable(dirty.flush(), context.signal)
    await saveAll([files], flush, ({ path }) => path)
  }

  /** Whether a reader need not ask which version of the file is the present one: it has only one content. */
  #isImmutable(file: FileInode, flags: number): boolean {
    const { config, inodes, metadata } = this.#core
    if ((flags & (O_ACCMODE | O_TRUNC)) !== O_RDONLY) return false
    if (metadata.now() - file.seen >= config.metadataTtl) return false
    return inodes.isLinked(file) && isContentAddressed(inodes.path(file))
  }

  /** A file that was stored again elsewhere under an address of its content is the same file. */
  async #isSameContent(
    { signal }: RequestContext,
    file: FileInode,
    { path, size }: ObjectId,
  ): Promise<boolean> {
    if (!isContentAddressed(path)) return false
    const info = await this.#core.driver.stat(path, { expect: 'file', signal })
    if (info.size !== size || this.#core.inodes.path(file) !== path) return false
    follow(this.#core, file, info)
    return true
  }

  /** Makes sure that `file.version` is what the store has now: what open(2) promises. */
  async revalidate(context: RequestContext, file: FileInode): Promise<void> {
    const { driver, inodes, metadata } = this.#core
    // What has no name any more is nobody else's to change.
    if (file.dirty?.isDirty === true || file.version === undefined || file.hidden) return
    const began = metadata.now()
    if (began - file.confirmed < SAME_OPEN) return
    if (file.parent === undefined)
      throw new ErrnoError('ESTALE', `${inodes.path(file)} was removed`)
    const path = inodes.path(file)
    // Written or moved here meanwhile: what the store says is out of date.
    const isOutdated = (): boolean =>
      isLocal(file) || !inodes.isLinked(file) || inodes.path(file) !== path || file.seen > began
    try {
      const info = await driver.stat(path, { expect: 'file', signal: context.signal })
      if (isOutdated()) return
      metadata.put(inodes.path(file.parent), file.name, info, began)
      adopt(this.#core, file, info, began)
    } catch (error) {
      if (!(error instanceof PathNotFoundError)) throw error
      await atRest(this.#core, file, context.signal)
      const isBack = await this.#core.unlinked.returning.bring(path)
      if (isBack || isOutdated()) return this.revalidate(context, file)
      metadata.put(inodes.path(file.parent), file.name, undefined, began)
      removedElsewhere(inodes, file)
      throw error
    }
  }

  /** The content was changed by this mount. */
  touch(file: FileInode): void {
    const now = timestamp(this.#core.clock())
    file.overrides.mtime = now
    file.overrides.ctime = now
  }

  #opened(file: FileInode, flags: number): OpenReply & { fh: Fh } {
    const access = flags & O_ACCMODE
    file.handles += 1
    const fh = this.#handles.add({
      file,
      readable: access !== O_WRONLY,
      writable: access !== O_RDONLY,
      synchronous: (flags & O_DSYNC) !== 0,
      failures: { seen: file.dirty?.failures ?? 0 },
      reader: this.#core.prefetcher.open(),
      replaced: file.replaced,
    })
    const dirty = file.dirty?.isDirty === true
    const keepCache = dirty || (file.pagesOf !== undefined && file.pagesOf === file.version?.etag)
    if (!dirty) file.pagesOf = file.version?.etag
    const size = file.version?.size ?? 0
    const directIo = goesPastPageCache({ size, readOnly: access === O_RDONLY, dirty }, this.#core)
    return { fh, keepCache, directIo }
  }

  /** @throws EBADF, ESTALE, or what storing the file has failed with since the holder was last told */
  #writable(fh: Fh): FileHandle {
    const handle = this.#handles.get(fh)
    const { file } = handle
    if (!handle.writable) throw new ErrnoError('EBADF', `handle ${fh} is not open for writing`)
    if (file.dirty?.isDirty === true) file.dirty.report(handle.failures)
    else this.#checkVersion(handle)
    return handle
  }

  #checkVersion({ file, replaced }: FileHandle): void {
    if (file.replaced === replaced) return
    const path = this.#core.inodes.path(file)
    throw new ErrnoError('ESTALE', `${path} was replaced or removed by another host while open`)
  }

  #dirty(file: FileInode): DirtyFile {
    if (file.dirty !== undefined) return file.dirty
    const base = file.version === undefined ? undefined : objectOf(this.#core, file)
    file.dirty = this.#core.writeBack.open(this.#storeOf(file), base)
    return file.dirty
  }

  #storeOf(file: FileInode): FileStore {
    const { attributes, blocks, driver, inodes, markers, metadata } = this.#core
    const path = (): string => inodes.path(file)
    return {
      path,
      isLinked: () => file.hidden || inodes.isLinked(file),
      put: async (content, conditions) => {
        await this.#announce(file)
        const { metadata, done } = attributes.saving(file)
        const put = (each: WriteConditions): Promise<WriteResult> =>
          driver.putContent(path(), content, { ...each, ...(metadata && { metadata }) })
        const result = await publish(this.#core, file, conditions, put)
        done()
        return result
      },
      compose: async () => {
        await this.#announce(file)
        const { metadata } = attributes.saving(file)
        const composition = await driver.compose(path(), metadata && { metadata })
        const carrying = attributes.carriedBy(composition, file)
        return publishing(this.#core, file, await recorded(carrying, this.#core))
      },
      copy: async ({ path: original, etag }) => {
        // Only a composition can be published on a condition.
        if (file.exclusive) return undefined
        await this.#announce(file)
        const { metadata = {}, done } = attributes.saving(file)
        try {
          const result = await driver.copy(original, path(), { etag, metadata })
          done()
          return result
        } catch (error) {
          throw staleIfGone(original, error)
        }
      },
      moveHere: async publishedAt => {
        const here = path()
        await driver.move(publishedAt, here)
        const { etag, size } = await driver.stat(here, { expect: 'file' })
        if (etag === undefined) throw new ErrnoError('EIO', `the store gives no etag for ${here}`)
        return { etag, size }
      },
      read: async (object, offset, length) => {
        try {
          return await blocks.read(object, offset, length)
        } catch (error) {
          throw staleIfGone(object.path, error)
        }
      },
      published: version => {
        const modTime = new Date(this.#core.clock())
        const info = attributes.published(file, { ...version, modTime, isDir: false })
        follow(this.#core, file, info)
        file.pagesOf = version.etag
        file.covers = false
        file.exclusive = false
        this.#lost.delete(inodes.path(file))
        if (file.parent === undefined) return
        metadata.changed(inodes.path(file.parent), file.name, info)
        markers.stored(file)
      },
    }
  }

  /** Finds out which etag a file has where this mount has moved it. */
  async #settle(file: FileInode, signal: AbortSignal): Promise<void> {
    const { driver, inodes, metadata } = this.#core
    const began = metadata.now()
    const info = await driver.stat(inodes.path(file), { expect: 'file', signal })
    file.unsettled &&= file.version?.size === info.size
    adopt(this.#core, file, info, began)
    file.unsettled = false
  }

  /** What is stored of an unlinked file must not be left behind. */
  async #announce(file: FileInode): Promise<void> {
    if (file.hidden) await this.#core.unlinked.announce(this.#core.inodes.path(file))
  }

  /** Nobody waits for it, so nobody can interrupt it. */
  async #lastFlush(file: FileInode): Promise<void> {
    const isTold = (file.dirty?.failures ?? 0) > 0
    try {
      await file.dirty?.flush()
    } catch (error) {
      const request = error instanceof DriverError ? { requestId: error.requestId } : {}
      const path = this.#core.inodes.path(file)
      if (!isTold && this.#lost.size < MOST_LOST) this.#lost.set(path, error)
      this.#core.log.error(
        { path, err: error, ...request },
        'a file could not be stored when its last handle was closed; what was not stored is dropped',
      )
    }
  }

  async #close(file: FileInode): Promise<void> {
    const { inodes } = this.#core
    const { dirty } = file
    file.dirty = undefined
    if (dirty?.isDirty === true) {
      // Dropped: what the kernel's pages and the attributes say of it is not so.
      file.pagesOf = undefined
      delete file.overrides.mtime
      delete file.overrides.ctime
      if (file.version === undefined) inodes.unlink(file)
    }
    await dirty?.discard()
    // Opened again meanwhile: the kernel keeps the inode of an open file, name or not.
    if (file.hidden && file.handles === 0) await this.#core.unlinked.remove(inodes.path(file))
    inodes.drop(file)
  }
}

/** Bytes of the file as this mount sees it. */
function sizeOf({ dirty, version }: FileInode): Bytes {
  return dirty?.isDirty === true ? dirty.size : (version?.size ?? 0)
}
