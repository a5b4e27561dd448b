/**
 * Open files: open, create, read, write, truncate, flush and release.
 *
 * A file that is being written has a DirtyFile, which holds or knows every byte of it; any other
 * file is read through the block cache, pinned to the version that was open (file-handles.ts). What may
 * be asked of ranges beyond reading and writing them is in ranges.ts.
 */
import type { DirtyFile } from '../../cache/dirty-file.js'
import { DriverError, PathNotFoundError, PreconditionError } from '../../driver/errors.js'
import { isUnlinked } from '../../driver/path.js'
import { abortable } from '../../util/abort.js'
import { ErrnoError } from '../../util/errno.js'
import type { Bytes } from '../../util/units.js'
import type { Fh, MaybePromise, OpenReply, RequestContext, WriteRequest } from '../operations.js'
import type { Core } from './core.js'
import { checkVersion, dirtyOf, FileHandles, isReadOnly, touch } from './file-handles.js'
import type { FileHandle } from './file-handles.js'
import { atRest, isSame, objectOf } from './file-version.js'
import type { DirectoryInode, FileInode } from './inode.js'
import { Ranges } from './ranges.js'
import { isSameContent, revalidate, revalidateReader, settle } from './revalidation.js'
import { saveAll } from './unsaved.js'
import type { Silence, Unsaved } from './unsaved.js'

const O_EXCL = 0o200
const O_TRUNC = 0o1000

/** Names kept for the message at the end; the log has all. */
const MOST_LOST = 1000

export class Files {
  readonly #core: Core
  readonly #handles: FileHandles
  readonly ranges: Ranges
  /** What was dropped, and no program was told of. */
  readonly #lost = new Map<string, unknown>()

  constructor(core: Core) {
    this.#core = core
    this.#handles = new FileHandles(core)
    const flush = (context: RequestContext, file: FileInode): Promise<void> =>
      this.flush(context, file)
    this.ranges = new Ranges({ core, handles: this.#handles, flush })
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
      const readsOnly = isReadOnly(flags) && (flags & O_TRUNC) === 0
      if (readsOnly) await revalidateReader(this.#core, context, file)
      else await revalidate(this.#core, context, file)
      if ((flags & O_TRUNC) !== 0) await this.truncate(context, file, 0)
      return this.#handles.open(file, flags)
    })
  }

  /** A new file, which its first flush will store, however empty. */
  create(parent: DirectoryInode, name: string, flags: number): { file: FileInode } & OpenReply {
    const file = this.#core.inodes.addFile(parent, name)
    file.exclusive = (flags & O_EXCL) !== 0
    this.#core.attributes.made(file)
    dirtyOf(this.#core, file)
    return { file, ...this.#handles.open(file, flags) }
  }

  /** Stores a file that was just created, empty. @throws ErrnoError EEXIST, and it is gone again */
  async claim(file: FileInode, fh: Fh): Promise<void> {
    try {
      await dirtyOf(this.#core, file).flush()
    } catch (error) {
      this.#core.inodes.unlink(file)
      await this.release(fh)
      throw error
    }
  }

  /**
   * A new file that no handle is open on, and nobody has made before: stored before this resolves.
   * Nothing retains it then but what the caller does at once.
   */
  async make(
    parent: DirectoryInode,
    name: string,
    own: (file: FileInode) => void,
  ): Promise<FileInode> {
    const file = this.#core.inodes.addFile(parent, name)
    file.exclusive = true
    this.#core.attributes.made(file)
    own(file)
    const dirty = dirtyOf(this.#core, file)
    file.handles += 1
    try {
      await dirty.flush()
    } catch (error) {
      file.handles -= 1
      this.#core.inodes.unlink(file)
      await this.#close(file)
      throw error
    }
    file.dirty = undefined
    await dirty.discard()
    file.handles -= 1
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
    checkVersion(this.#core, handle)
    const object = objectOf(this.#core, file)
    const slices = handle.reader.read(object, offset, size, context)
    if (!(slices instanceof Promise)) return slices
    return slices.catch(async (error: unknown) => {
      const isGone = error instanceof PathNotFoundError
      if (!isGone && !(error instanceof PreconditionError)) throw error
      await atRest(this.#core, file, context.signal)
      const back = isGone && this.#core.unlinked.returning.bring(object.path)
      if (back !== false && (await abortable(back, context.signal))) {
        return this.read(context, fh, offset, size)
      }
      if (file.dirty?.isDirty === true || !isSame(object, objectOf(this.#core, file))) {
        // Stored anew or moved by this mount: the bytes are there, in another version or place.
        return this.read(context, fh, offset, size)
      }
      if (file.unsettled && !isGone) {
        await settle(this.#core, file, context.signal)
        return this.read(context, fh, offset, size)
      }
      if (!isGone && (await isSameContent(this.#core, context, file, object))) {
        return this.read(context, fh, offset, size)
      }
      if (!isGone) throw error
      throw new ErrnoError('ESTALE', `${object.path} was removed while open`, { cause: error })
    })
  }

  write(context: RequestContext, fh: Fh, request: WriteRequest): MaybePromise<number> {
    // Pages that were mapped are written back through any handle that could write.
    const handle = this.#handles.writable(fh)
    const { file } = handle
    const written = dirtyOf(this.#core, file).write(request.offset, request.data, context)
    touch(this.#core, file)
    if (!handle.synchronous) return written
    return Promise.resolve(written).then(async count => {
      await this.#flushFor(context, handle)
      return count
    })
  }

  /** Sets the size. Stored at the next flush, like a write. */
  async truncate(context: RequestContext, file: FileInode, size: Bytes): Promise<void> {
    await dirtyOf(this.#core, file).truncate(size, context.signal)
    touch(this.#core, file)
  }

  /** As `truncate`, through an open handle. */
  truncateHandle(context: RequestContext, fh: Fh, size: Bytes): Promise<void> {
    return this.truncate(context, this.#handles.writable(fh).file, size)
  }

  /** Sets the size of a file that this caller has not open: stored before this resolves. */
  truncateByPath(context: RequestContext, file: FileInode, size: Bytes): Promise<void> {
    return this.#held(context, file, async () => {
      await revalidate(this.#core, context, file)
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
   * What close(2) and fsync(2) wait for. The close of a descriptor that could not write waits for nothing:
   * what others have written is theirs to be told of, and attributes that were set through it (rsync
   * does that before it renames) are left for later. fsync is about the file, whatever the descriptor.
   */
  flushHandle(
    context: RequestContext,
    fh: Fh,
    { isSync = false }: { readonly isSync?: boolean } = {},
  ): MaybePromise<void> {
    const handle = this.#handles.get(fh)
    const { file, writable } = handle
    if (!isSync && !writable) return
    if (file.dirty?.isDirty === true) return this.#flushFor(context, handle)
    if (!this.#core.attributes.isUnsaved(file)) return
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

  release(fh: Fh): MaybePromise<void> {
    const handle = this.#handles.remove(fh)
    if (handle === undefined) return
    handle.reader.close()
    return this.#letGo(handle.file)
  }

  /** As a handle does, keeps others from closing the file while `work` waits. */
  async #held<T>(context: RequestContext, file: FileInode, work: () => Promise<T>): Promise<T> {
    const busy = this.#core.changes.freeFile(context, file)
    if (busy !== undefined) await busy
    file.handles += 1
    const result = await work().catch(async (error: unknown): Promise<never> => {
      // Whoever was interrupted does not wait for what may have to be stored now.
      await abortable(Promise.resolve(this.#letGo(file)), context.signal)
      throw error
    })
    await this.#letGo(file)
    return result
  }

  #letGo(file: FileInode): MaybePromise<void> {
    file.handles -= 1
    if (file.handles > 0) return
    // Dirty even now: written through a mapping after close, or a close that failed or was interrupted.
    if (file.dirty?.isDirty === true && file.parent !== undefined) {
      // Opened again meanwhile: whoever has it now goes on with what is there.
      return this.#lastFlush(file).then(() => (file.handles === 0 ? this.#close(file) : undefined))
    }
    if (this.#lost.size > 0) this.#lost.delete(this.#core.inodes.path(file))
    return this.#close(file)
  }

  /** Flushes every file. @throws UnsavedError */
  async flushAll(context: RequestContext, silence?: Silence): Promise<void> {
    // Unlinked while open: nobody but its holders ever sees it.
    const files = this.#core.writeBack.dirtyFiles.filter(
      dirty => dirty.isLinked && !isUnlinked(dirty.path),
    )
    const flush = (dirty: DirtyFile): Promise<void> => abortable(dirty.flush(), context.signal)
    await saveAll([files], flush, ({ path }) => path, silence)
  }

  /** Nobody waits for it, so nobody can interrupt it. */
  async #lastFlush(file: FileInode): Promise<void> {
    const path = this.#core.inodes.path(file)
    const isTold = (file.dirty?.failures ?? 0) > 0
    try {
      await file.dirty?.flush()
      this.#lost.delete(path)
    } catch (error) {
      const request = error instanceof DriverError ? { requestId: error.requestId } : {}
      if (!isTold && this.#lost.size < MOST_LOST) this.#lost.set(path, error)
      this.#core.log.error(
        { path, err: error, ...request },
        'a file could not be stored when its last handle was closed; what was not stored is dropped',
      )
    }
  }

  #close(file: FileInode): MaybePromise<void> {
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
    const discarded = dirty?.discard()
    if (discarded !== undefined) return discarded.then(() => this.#closed(file))
    return this.#closed(file)
  }

  #closed(file: FileInode): MaybePromise<void> {
    const { inodes, unlinked } = this.#core
    // Opened again meanwhile: the kernel keeps the inode of an open file, name or not.
    if (!file.hidden || file.handles > 0) return inodes.drop(file)
    return unlinked.remove(inodes.path(file)).then(() => inodes.drop(file))
  }
}
