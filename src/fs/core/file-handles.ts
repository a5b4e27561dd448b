/**
 * Open file descriptors: what each may do, and what its holder has been told.
 *
 * A version that somebody else has put in the place of the one that was open makes the handle stale:
 * ESTALE, never a mix of two versions.
 */
import type { DirtyFile, Observer } from '../../cache/dirty-file.js'
import type { FileReader } from '../../cache/prefetch.js'
import { ErrnoError } from '../../util/errno.js'
import type { Bytes } from '../../util/units.js'
import type { Fh, OpenReply } from '../operations.js'
import { timestamp } from './attributes.js'
import type { Core } from './core.js'
import { objectOf } from './file-version.js'
import { HandleTable } from './handle-table.js'
import type { FileInode } from './inode.js'
import { goesPastPageCache } from './page-cache.js'
import type { Access } from './page-cache.js'
import { storedFile } from './stored-file.js'

const O_ACCMODE = 0o3
const O_RDONLY = 0o0
const O_WRONLY = 0o1
/** O_SYNC has this bit too. */
const O_DSYNC = 0o10000

/** O_ACCMODE in words; its fourth value stands for both as well. */
const ACCESS: Readonly<Record<number, Access>> = { [O_RDONLY]: 'read', [O_WRONLY]: 'write' }

export interface FileHandle {
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

export class FileHandles {
  readonly #core: Core
  readonly #handles = new HandleTable<FileHandle>()

  constructor(core: Core) {
    this.#core = core
  }

  get size(): number {
    return this.#handles.size
  }

  open(file: FileInode, flags: number): OpenReply & { fh: Fh } {
    const access = flags & O_ACCMODE
    const keepsOut = this.#core.directMappings && this.#hasStale(file)
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
    if (keepsOut) {
      file.pagesOf = undefined
      return { fh, keepCache: false, directIo: true }
    }
    const keepCache = dirty || (file.pagesOf !== undefined && file.pagesOf === file.version?.etag)
    if (!dirty) file.pagesOf = file.version?.etag
    const size = file.version?.size ?? 0
    const directIo = goesPastPageCache({ size, access: ACCESS[access], dirty }, this.#core)
    return { fh, keepCache, directIo }
  }

  /**
   * Whether somebody has an older version open, which another host has replaced. The kernel has one page
   * cache per inode: pages of the new version would be read through the old descriptor too.
   */
  #hasStale(file: FileInode): boolean {
    if (file.replaced === 0 || file.handles === 0) return false
    for (const handle of this.#handles.values()) {
      if (handle.file === file && handle.replaced !== file.replaced) return true
    }
    return false
  }

  /** @throws EBADF, ESTALE, or what storing the file has failed with since the holder was last told */
  writable(fh: Fh): FileHandle {
    const handle = this.#handles.get(fh)
    const { file } = handle
    if (!handle.writable) throw new ErrnoError('EBADF', `handle ${fh} is not open for writing`)
    if (file.dirty?.isDirty === true) file.dirty.report(handle.failures)
    else checkVersion(this.#core, handle)
    return handle
  }

  /** @throws ErrnoError EBADF */
  get(fh: Fh): FileHandle {
    return this.#handles.get(fh)
  }

  remove(fh: Fh): FileHandle | undefined {
    return this.#handles.remove(fh)
  }
}

/** @throws ErrnoError ESTALE if another host has put another version in its place */
export function checkVersion(core: Core, { file, replaced }: FileHandle): void {
  if (file.replaced === replaced) return
  const path = core.inodes.path(file)
  throw new ErrnoError('ESTALE', `${path} was replaced or removed by another host while open`)
}

/** What is written to the file, begun if nothing is. */
export function dirtyOf(core: Core, file: FileInode): DirtyFile {
  if (file.dirty !== undefined) return file.dirty
  const base = file.version === undefined ? undefined : objectOf(core, file)
  file.dirty = core.writeBack.open(storedFile(core, file), base)
  return file.dirty
}

/** The content was changed by this mount. */
export function touch(core: Core, file: FileInode): void {
  const now = timestamp(core.clock())
  file.overrides.mtime = now
  file.overrides.ctime = now
}

export function isReadOnly(flags: number): boolean {
  return (flags & O_ACCMODE) === O_RDONLY
}

/** Bytes of the file as this mount sees it. */
export function sizeOf({ dirty, version }: FileInode): Bytes {
  return dirty?.isDirty === true ? dirty.size : (version?.size ?? 0)
}
