/**
 * Requests of the kernel, from bytes to records. Pure: bytes in, record or error out.
 *
 * A request is `fuse_in_header`, then the record of its opcode, then names that end in NUL (see
 * linux/fuse.h for each). A record that is cut short throws RangeError, which the session answers
 * with EIO; names and offsets that no file system of ours can have throw the ErrnoError that the
 * system call deserves.
 */
import { ErrnoError, type ErrnoName } from '../../util/errno.js'
import type { ByteReader } from '../../util/cursor.js'
import type { Bytes } from '../../util/units.js'
import type {
  AllocateRequest,
  CopyRangeRequest,
  CreateRequest,
  Fh,
  Ino,
  RenameRequest,
  SeekRequest,
  SetAttributes,
  SetXattrRequest,
  Timestamp,
  WriteRequest,
} from '../operations.js'
import {
  FSYNC_DATA_ONLY,
  GETATTR_FH,
  NAME_MAX,
  OPEN_KILL_SUIDGID,
  SETATTR_VALID as VALID,
  SIZE,
  SYMLINK_MAX,
  WRITE_CACHE,
  WRITE_KILL_SUIDGID,
  XATTR_NAME_MAX,
} from './abi.js'

const PERMISSIONS = 0o7777

export interface RequestHeader {
  readonly length: Bytes
  readonly opcode: number
  readonly unique: number
  readonly ino: Ino
  readonly uid: number
  readonly gid: number
  readonly pid: number
}

/** @throws RangeError if the header's length is not that of the bytes */
export function decodeHeader(reader: ByteReader): RequestHeader {
  const available = reader.remaining
  const length = reader.u32()
  if (length !== available || length < SIZE.IN_HEADER) {
    throw new RangeError(`a request of ${length} bytes came as ${available}`)
  }
  const header = {
    length,
    opcode: reader.u32(),
    unique: reader.u64(),
    ino: reader.u64() as Ino,
    uid: reader.u32(),
    gid: reader.u32(),
    pid: reader.u32(),
  }
  // total_extlen and padding: extensions come only to those who ask for them.
  reader.skip(4)
  return header
}

/**
 * A name for which nothing exists yet.
 * @throws ErrnoError EILSEQ if it is not UTF-8, ENAMETOOLONG above 255 bytes
 */
export function decodeNewName(reader: ByteReader): string {
  return decodeText(reader, NAME_MAX, 'EILSEQ')
}

/**
 * A name to look up or remove.
 * @throws ErrnoError ENOENT if it is not UTF-8: no such name can exist; ENAMETOOLONG
 */
export function decodeName(reader: ByteReader): string {
  return decodeText(reader, NAME_MAX, 'ENOENT')
}

function decodeText(reader: ByteReader, limit: Bytes, invalid: ErrnoName): string {
  const length = reader.lengthBeforeNul()
  if (length > limit) throw new ErrnoError('ENAMETOOLONG', `a name of ${length} bytes`)
  const text = reader.utf8(length)
  if (text === undefined) throw new ErrnoError(invalid, 'a name that is not UTF-8')
  reader.skip(1)
  return text
}

export interface InitRequest {
  readonly major: number
  readonly minor: number
  readonly maxReadahead: Bytes
  readonly flags: number
  /** What the kernel offers in a second word, if its INIT_EXT says that there is one. */
  readonly flags2: number
}

export function decodeInit(reader: ByteReader): InitRequest {
  const major = reader.u32()
  const minor = reader.u32()
  // A kernel of another major version may send these two alone, and is told to try again.
  if (reader.remaining < 8) return { major, minor, maxReadahead: 0, flags: 0, flags2: 0 }
  const maxReadahead = reader.u32()
  const flags = reader.u32()
  // Sent since protocol 7.36 (Linux 5.17).
  const flags2 = reader.remaining < 4 ? 0 : reader.u32()
  return { major, minor, maxReadahead, flags, flags2 }
}

export interface Forget {
  readonly ino: Ino
  readonly lookups: number
}

export function decodeForget(reader: ByteReader, ino: Ino): Forget {
  return { ino, lookups: reader.u64() }
}

export function decodeBatchForget(reader: ByteReader): Forget[] {
  const count = reader.u32()
  reader.skip(4)
  if (count * 16 > reader.remaining) throw new RangeError(`${count} forgets do not fit`)
  return Array.from({ length: count }, () => ({ ino: reader.u64() as Ino, lookups: reader.u64() }))
}

export function decodeInterrupt(reader: ByteReader): number {
  return reader.u64()
}

/** The handle that the caller has open, if it asks through one. */
export function decodeGetattr(reader: ByteReader): Fh | undefined {
  const flags = reader.u32()
  reader.skip(4)
  return (flags & GETATTR_FH) === 0 ? undefined : decodeFh(reader)
}

/** @throws ErrnoError EFBIG for a size beyond 2^53 */
export function decodeSetattr(reader: ByteReader): SetAttributes {
  const valid = reader.u32()
  reader.skip(4)
  const fh = reader.u64() as Fh
  const size = reader.u64Rounded()
  reader.skip(8)
  const seconds = [reader.i64(), reader.i64(), reader.i64()] as const
  const [atime, mtime, ctime] = seconds.map((value): Timestamp => ({
    seconds: value,
    nanoseconds: reader.u32(),
  })) as [Timestamp, Timestamp, Timestamp]
  const mode = reader.u32()
  reader.skip(4)
  const uid = reader.u32()
  const gid = reader.u32()
  if ((valid & VALID.SIZE) !== 0) checkOffset(size)
  return {
    ...((valid & VALID.FH) !== 0 && { fh }),
    ...((valid & VALID.MODE) !== 0 && { mode: mode & PERMISSIONS }),
    ...((valid & VALID.UID) !== 0 && { uid }),
    ...((valid & VALID.GID) !== 0 && { gid }),
    ...((valid & VALID.SIZE) !== 0 && { size }),
    ...((valid & VALID.ATIME) !== 0 && { atime: (valid & VALID.ATIME_NOW) !== 0 ? 'now' : atime }),
    ...((valid & VALID.MTIME) !== 0 && { mtime: (valid & VALID.MTIME_NOW) !== 0 ? 'now' : mtime }),
    ...((valid & VALID.CTIME) !== 0 && { ctime }),
    ...((valid & VALID.KILL_SUIDGID) !== 0 && { killPrivileges: true }),
  }
}

export function decodeMknod(reader: ByteReader): CreateRequest & { readonly rdev: number } {
  const mode = reader.u32()
  const rdev = reader.u32()
  const umask = reader.u32()
  reader.skip(4)
  return { name: decodeNewName(reader), mode, umask, rdev }
}

export function decodeMkdir(reader: ByteReader): CreateRequest {
  const mode = reader.u32() & PERMISSIONS
  const umask = reader.u32()
  return { name: decodeNewName(reader), mode, umask }
}

export function decodeSymlink(reader: ByteReader): { name: string; target: string } {
  return { name: decodeNewName(reader), target: decodeText(reader, SYMLINK_MAX, 'EILSEQ') }
}

export function decodeRename(reader: ByteReader, parent: Ino): RenameRequest {
  const newParent = reader.u64() as Ino
  return { parent, newParent, flags: 0, ...decodeNames(reader) }
}

export function decodeRename2(reader: ByteReader, parent: Ino): RenameRequest {
  const newParent = reader.u64() as Ino
  const flags = reader.u32()
  reader.skip(4)
  return { parent, newParent, flags, ...decodeNames(reader) }
}

function decodeNames(reader: ByteReader): { name: string; newName: string } {
  return { name: decodeName(reader), newName: decodeNewName(reader) }
}

export function decodeLink(reader: ByteReader): { ino: Ino; newName: string } {
  return { ino: reader.u64() as Ino, newName: decodeNewName(reader) }
}

export function decodeOpen(reader: ByteReader): { flags: number; killPrivileges: boolean } {
  return { flags: reader.u32(), killPrivileges: (reader.u32() & OPEN_KILL_SUIDGID) !== 0 }
}

/** @throws ErrnoError EILSEQ if the name is not UTF-8: none such can be kept */
export function decodeSetxattr(reader: ByteReader): SetXattrRequest {
  const size = reader.u32()
  const flags = reader.u32()
  const name = decodeText(reader, XATTR_NAME_MAX, 'EILSEQ')
  return { name, value: reader.bytes(size), flags }
}

/** The room that the caller has, 0 to ask how much is needed; the name of GETXATTR follows. */
export function decodeXattrRoom(reader: ByteReader): Bytes {
  const room = reader.u32()
  reader.skip(4)
  return room
}

/** The name of GETXATTR and REMOVEXATTR. @throws ErrnoError ENODATA if it is not UTF-8 */
export function decodeXattrName(reader: ByteReader): string {
  return decodeText(reader, XATTR_NAME_MAX, 'ENODATA')
}

export function decodeCreate(reader: ByteReader): CreateRequest & { readonly flags: number } {
  const flags = reader.u32()
  const mode = reader.u32() & PERMISSIONS
  const umask = reader.u32()
  reader.skip(4)
  return { name: decodeNewName(reader), mode, umask, flags }
}

export interface ReadRequest {
  readonly fh: Fh
  /** May be beyond the safe range: nothing is there to read. */
  readonly offset: Bytes
  readonly size: Bytes
}

/** Of READ, and of READDIR and READDIRPLUS, whose `offset` is a cookie. */
export function decodeRead(reader: ByteReader): ReadRequest {
  return { fh: decodeFh(reader), offset: reader.u64Rounded(), size: reader.u32() }
}

/** `data` lies in the request's own bytes. @throws ErrnoError EFBIG beyond 2^53 */
export function decodeWrite(reader: ByteReader): WriteRequest & { readonly fh: Fh } {
  const fh = decodeFh(reader)
  const offset = reader.u64Rounded()
  const size = reader.u32()
  const flags = reader.u32()
  // lock_owner, flags of the descriptor, padding
  reader.skip(16)
  checkOffset(offset + size)
  const killPrivileges = (flags & WRITE_KILL_SUIDGID) !== 0
  const fromPageCache = (flags & WRITE_CACHE) !== 0
  return {
    fh,
    offset,
    data: reader.bytes(size),
    fromPageCache,
    ...(killPrivileges && { killPrivileges }),
  }
}

/** @throws ErrnoError EFBIG beyond 2^53 */
export function decodeFallocate(reader: ByteReader): AllocateRequest & { readonly fh: Fh } {
  const fh = decodeFh(reader)
  const offset = reader.u64Rounded()
  const length = reader.u64Rounded()
  checkOffset(offset + length)
  return { fh, offset, length, mode: reader.u32() }
}

export function decodeLseek(reader: ByteReader): SeekRequest & { readonly fh: Fh } {
  return { fh: decodeFh(reader), offset: reader.u64Rounded(), whence: reader.u32() }
}

/** @throws ErrnoError EFBIG beyond 2^53 */
export function decodeCopyFileRange(reader: ByteReader, ino: Ino): CopyRangeRequest {
  const source = { ino, fh: decodeFh(reader), offset: reader.u64Rounded() }
  const target = {
    ino: reader.u64() as Ino,
    fh: decodeFh(reader),
    offset: reader.u64Rounded(),
  }
  const length = reader.u64Rounded()
  checkOffset(Math.max(source.offset, target.offset) + length)
  return { source, target, length }
}

/** The handle that FLUSH, RELEASE, RELEASEDIR, FSYNC and FSYNCDIR begin with. */
export function decodeFh(reader: ByteReader): Fh {
  return reader.u64() as Fh
}

export function decodeFsync(reader: ByteReader): { fh: Fh; dataOnly: boolean } {
  return { fh: decodeFh(reader), dataOnly: (reader.u32() & FSYNC_DATA_ONLY) !== 0 }
}

export function decodeAccess(reader: ByteReader): number {
  return reader.u32()
}

function checkOffset(offset: Bytes): void {
  if (offset > Number.MAX_SAFE_INTEGER) throw new ErrnoError('EFBIG', `offset ${offset}`)
}
