/**
 * The waist between the file system and the bindings that speak FUSE: one method per operation,
 * named as the kernel's opcode in lower case, with records for what goes in and comes out.
 *
 * Rules for implementations:
 * - a method returns its result or a promise of it: an answer that is known at once needs no promise;
 * - it throws, or rejects with, ErrnoError and nothing else; the binding answers EIO to all else;
 * - it never answers the kernel itself, and never touches its own mount.
 * Rules for bindings:
 * - every request is answered exactly once; `forget` has no answer;
 * - INTERRUPT aborts the request's `signal`; the method then rejects with EINTR, or finishes;
 * - names are valid UTF-8 without `/` and NUL; a name that is not never gets here.
 *
 * Lookup counts: `lookup`, `create`, `mkdir`, `mknod`, `symlink`, `link`, and each entry but `.` and
 * `..` of a `readdir` with `plus`, raise the count of the inode they return by one once the answer
 * has been accepted by the kernel; `forget` lowers it. At zero, with no handle open, the inode may go.
 *
 * @see linux/fuse.h (package linux-libc-dev) for the records, and fuse(4)
 */
import type { Bytes } from '../util/units.js'

declare const inoBrand: unique symbol
declare const fhBrand: unique symbol

/** What the kernel knows an inode by (its "nodeid"), minted by the file system. The root is 1. */
export type Ino = number & { readonly [inoBrand]: true }
/** What the kernel knows an open file or directory by, minted by the file system. */
export type Fh = number & { readonly [fhBrand]: true }

export const ROOT_INO = 1 as Ino

export type MaybePromise<T> = T | Promise<T>

/** Who asks, and how to learn that nobody waits any longer. */
export interface RequestContext {
  readonly uid: number
  readonly gid: number
  readonly pid: number
  /** Aborted by INTERRUPT and at the end of the session. Made when first read. */
  readonly signal: AbortSignal
}

export interface Timestamp {
  readonly seconds: number
  readonly nanoseconds: number
}

export interface Attributes {
  /** Inode number as stat(2) shows it; need not equal the nodeid. */
  readonly ino: number
  readonly size: Bytes
  /** Number of 512-byte units. */
  readonly blocks: number
  readonly atime: Timestamp
  readonly mtime: Timestamp
  readonly ctime: Timestamp
  /** Type and permission bits, as in st_mode. */
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly rdev: number
  /** Preferred I/O size. */
  readonly blksize: Bytes
}

/** Attributes, and how long the kernel may believe them. */
export interface AttributesReply {
  readonly attributes: Attributes
  /** Seconds, may be fractional. */
  readonly attributesValid: number
}

export interface Entry extends AttributesReply {
  readonly ino: Ino
  /** Tells two uses of one nodeid apart. */
  readonly generation: number
  /** Seconds that the kernel may keep the dentry. */
  readonly entryValid: number
}

/** The name does not exist, and the kernel may remember that for `entryValid` seconds. */
export interface NegativeEntry {
  readonly ino: undefined
  readonly entryValid: number
}

export interface SetAttributes {
  readonly fh?: Fh
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly size?: Bytes
  /** 'now' is UTIME_NOW. */
  readonly atime?: Timestamp | 'now'
  readonly mtime?: Timestamp | 'now'
  readonly ctime?: Timestamp
  /** The change takes away set-user-id and set-group-id bits. */
  readonly killPrivileges?: boolean
}

export interface OpenReply {
  readonly fh: Fh
  /** Bypass the page cache (FOPEN_DIRECT_IO). */
  readonly directIo?: boolean
  /** The cached pages are still right (FOPEN_KEEP_CACHE). */
  readonly keepCache?: boolean
  /** lseek is meaningless (FOPEN_NONSEEKABLE). */
  readonly nonSeekable?: boolean
  /** The kernel may cache the directory's entries (FOPEN_CACHE_DIR). */
  readonly cacheDirectory?: boolean
}

export interface CreateReply extends Entry, OpenReply {}

export interface DirectoryEntry {
  readonly name: string
  /** st_ino of the entry. */
  readonly ino: number
  /** Cookie that continues after this entry. Never 0. */
  readonly offset: number
  /** Type bits of st_mode (S_IFMT). */
  readonly type: number
  /** With `plus`, the looked-up entry; absent for `.` and `..` and where attributes are not known. */
  readonly entry?: Entry
}

/**
 * Takes one entry into the reply. Returns false, and takes nothing, when the reply is full; the
 * lookup count of an entry that was not taken must not be raised.
 */
export type AddEntry = (entry: DirectoryEntry) => boolean

export interface CreateRequest {
  readonly name: string
  /** Permission bits; already reduced by `umask` unless FUSE_DONT_MASK was agreed. */
  readonly mode: number
  readonly umask: number
}

export interface RenameRequest {
  readonly parent: Ino
  readonly name: string
  readonly newParent: Ino
  readonly newName: string
  /** RENAME_NOREPLACE 1, RENAME_EXCHANGE 2, RENAME_WHITEOUT 4. */
  readonly flags: number
}

export interface WriteRequest {
  readonly offset: Bytes
  /** Valid during the call only: until the method's promise settles. */
  readonly data: Uint8Array
  /** Written back from the page cache, perhaps by another process than the writer. */
  readonly fromPageCache: boolean
  /** The write takes away set-user-id and set-group-id bits. */
  readonly killPrivileges?: boolean
}

export interface SetXattrRequest {
  readonly name: string
  readonly value: Uint8Array
  readonly flags: number
}

export interface AllocateRequest {
  /** FALLOC_FL_* of linux/falloc.h. */
  readonly mode: number
  readonly offset: Bytes
  readonly length: Bytes
}

export interface SeekRequest {
  readonly offset: Bytes
  /** SEEK_DATA 3 or SEEK_HOLE 4; the kernel does the others itself. */
  readonly whence: number
}

/** A file open on a handle, and a place in it. */
export interface FilePosition {
  readonly ino: Ino
  readonly fh: Fh
  readonly offset: Bytes
}

export interface CopyRangeRequest {
  readonly source: FilePosition
  readonly target: FilePosition
  readonly length: Bytes
}

/** File system totals as statfs(2) shows them. */
export interface StatfsReply {
  readonly blockSize: Bytes
  readonly blocks: number
  readonly blocksFree: number
  readonly blocksAvailable: number
  readonly files: number
  readonly filesFree: number
  readonly nameLength: Bytes
}

/** What was agreed with the kernel at INIT. */
export interface SessionInfo {
  /** A file that is open past the page cache can nevertheless be mapped shared. Default false. */
  readonly directMappings?: boolean
  readonly maxWrite: Bytes
  readonly maxReadahead: Bytes
}

/** Tells the kernel to drop what it caches. Every call is a no-op on a binding without it. */
export interface Notifier {
  /** Drops cached attributes and pages [offset, offset+length); a length of 0 is to the end. */
  invalidateInode(ino: Ino, offset: Bytes, length: Bytes): void
  /** Drops a dentry. */
  invalidateEntry(parent: Ino, name: string): void
}

export interface Operations {
  /**
   * Whether something comes in over the network that nobody may be waiting for yet. A binding then
   * leaves the thread to it, instead of asking the kernel for the next request time and again.
   * Default false.
   */
  readonly isReceiving?: boolean
  /** Called once before all others. */
  init(session: SessionInfo, notifier: Notifier): void
  /** The session is over, nothing more will be asked. Flushes and releases what is still open. */
  destroy(): Promise<void>

  lookup(context: RequestContext, parent: Ino, name: string): MaybePromise<Entry | NegativeEntry>
  forget(ino: Ino, lookups: number): void
  getattr(context: RequestContext, ino: Ino, fh?: Fh): MaybePromise<AttributesReply>
  setattr(context: RequestContext, ino: Ino, set: SetAttributes): MaybePromise<AttributesReply>
  readlink(context: RequestContext, ino: Ino): MaybePromise<string>
  /** `mode` carries the type bits (S_IFMT) too. */
  mknod(
    context: RequestContext,
    parent: Ino,
    request: CreateRequest & { readonly rdev: number },
  ): MaybePromise<Entry>
  mkdir(context: RequestContext, parent: Ino, request: CreateRequest): MaybePromise<Entry>
  unlink(context: RequestContext, parent: Ino, name: string): MaybePromise<void>
  rmdir(context: RequestContext, parent: Ino, name: string): MaybePromise<void>
  symlink(context: RequestContext, parent: Ino, name: string, target: string): MaybePromise<Entry>
  rename(context: RequestContext, request: RenameRequest): MaybePromise<void>
  link(context: RequestContext, ino: Ino, newParent: Ino, newName: string): MaybePromise<Entry>

  /** `flags` are open(2)'s without O_CREAT, O_EXCL and O_NOCTTY. */
  open(
    context: RequestContext,
    ino: Ino,
    flags: number,
    /** As in `SetAttributes`, for a truncation by O_TRUNC. */
    options?: { readonly killPrivileges?: boolean },
  ): MaybePromise<OpenReply>
  create(
    context: RequestContext,
    parent: Ino,
    request: CreateRequest & { readonly flags: number },
  ): MaybePromise<CreateReply>
  /**
   * At most `size` bytes; fewer only at the end of the file. The slices are written to the kernel
   * as they are, before control returns to the event loop.
   */
  read(
    context: RequestContext,
    ino: Ino,
    fh: Fh,
    offset: Bytes,
    size: Bytes,
  ): MaybePromise<readonly Uint8Array[]>
  /** Bytes taken: all or an error. */
  write(context: RequestContext, ino: Ino, fh: Fh, request: WriteRequest): MaybePromise<number>
  /** Rejects with EOPNOTSUPP for a mode that it does not know. */
  fallocate(context: RequestContext, ino: Ino, fh: Fh, request: AllocateRequest): MaybePromise<void>
  /** The offset found; ENXIO if there is none. */
  lseek(context: RequestContext, ino: Ino, fh: Fh, request: SeekRequest): MaybePromise<Bytes>
  /** Bytes copied. With EOPNOTSUPP the kernel copies by reading and writing. */
  copyfilerange(context: RequestContext, request: CopyRangeRequest): MaybePromise<Bytes>
  /** A close(2) of a descriptor; may come several times for one handle, and its error is close's. */
  flush(context: RequestContext, ino: Ino, fh: Fh): MaybePromise<void>
  /** The last descriptor is gone; comes once, its error reaches nobody. */
  release(context: RequestContext, ino: Ino, fh: Fh): MaybePromise<void>
  fsync(context: RequestContext, ino: Ino, fh: Fh, dataOnly: boolean): MaybePromise<void>

  opendir(context: RequestContext, ino: Ino, flags: number): MaybePromise<OpenReply>
  /** Adds entries after the cookie `offset`, 0 at the start, until `add` refuses or all are there. */
  readdir(
    context: RequestContext,
    ino: Ino,
    fh: Fh,
    request: { readonly offset: number; readonly plus: boolean; readonly add: AddEntry },
  ): MaybePromise<void>
  releasedir(context: RequestContext, ino: Ino, fh: Fh): MaybePromise<void>
  fsyncdir(context: RequestContext, ino: Ino, fh: Fh): MaybePromise<void>
  /** syncfs(2) and sync(2): all that was written is in the store. */
  syncfs(context: RequestContext): MaybePromise<void>

  /** @throws ErrnoError ENODATA where there is none of that name, EOPNOTSUPP where there never is */
  getxattr(context: RequestContext, ino: Ino, name: string): MaybePromise<Uint8Array>
  listxattr(context: RequestContext, ino: Ino): MaybePromise<readonly string[]>
  /** `value` is valid during the call only; `flags` are XATTR_CREATE 1 and XATTR_REPLACE 2. */
  setxattr(context: RequestContext, ino: Ino, request: SetXattrRequest): MaybePromise<void>
  removexattr(context: RequestContext, ino: Ino, name: string): MaybePromise<void>

  statfs(context: RequestContext): MaybePromise<StatfsReply>
  access(context: RequestContext, ino: Ino, mask: number): MaybePromise<void>
}
