/**
 * System calls as a C program makes them, for what Node.js lacks: flags, offsets, locks, mappings,
 * directory positions, names that are no text. Every call is made at once, on the calling thread, so
 * it must never reach a mount that this process serves.
 *
 * Paths are bytes. A failure is thrown as SystemError with the name of the errno.
 *
 * @see the man pages of section 2
 */
import { Buffer } from 'node:buffer'
import koffi from 'koffi'
import { ERRNO } from '../../src/util/errno.js'

/** What a system call failed with. */
export class SystemError extends Error {
  override readonly name = 'SystemError'
  readonly code: string

  constructor(errno: number, call: string) {
    const code = NAMES.get(errno) ?? `errno ${errno}`
    super(`${code}: ${call}`)
    this.code = code
  }
}

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ERRNO).map(([name, number]) => [number, name]),
)

const LIBC = 'libc.so.6'
const AT_FDCWD = -100
const MAP_FAILED = 0xffff_ffff_ffff_ffffn
const F_RDLCK = 0
const F_WRLCK = 1
const F_UNLCK = 2
const F_GETLK = 5
const F_OFD_SETLK = 37
const F_OFD_GETLK = 36
/** struct dirent of 64-bit systems: the length of the record, and where the name begins. */
const DIRENT = { length: 16, type: 18, name: 19 } as const
const UTIME_NOW = 0x3fff_ffff
const UTIME_OMIT = 0x3fff_fffe

export const LOCK = { shared: F_RDLCK, exclusive: F_WRLCK, none: F_UNLCK } as const
export const FLOCK = { shared: 1, exclusive: 2, nonBlocking: 4, unlock: 8 } as const
export const SEEK = { set: 0, current: 1, end: 2, data: 3, hole: 4 } as const
export const FALLOCATE = { allocate: 0, keepSize: 1, punch: 2, collapse: 8, zero: 16, insert: 32 }
export const RENAME = { plain: 0, noReplace: 1, exchange: 2, whiteout: 4 } as const
export const XATTR = { any: 0, create: 1, replace: 2 } as const

export type Path = string | Uint8Array
/** 'now' is UTIME_NOW, 'omit' UTIME_OMIT. */
export type TimeArgument =
  { readonly seconds: number; readonly nanoseconds: number } | 'now' | 'omit'

const library = koffi.load(LIBC)

/** A function that answers -1 with errno on failure. */
function bind(prototype: string): (...values: unknown[]) => number {
  const call = library.func(prototype) as (...values: unknown[]) => number
  const name = /(\w+)\(/.exec(prototype)?.[1] ?? prototype
  return (...values) => {
    const result = call(...values)
    if (result === -1) throw new SystemError(koffi.errno(), name)
    return result
  }
}

const c = {
  open: bind('int open(const void *path, int flags, unsigned int mode)'),
  close: bind('int close(int fd)'),
  pread: bind('long pread(int fd, void *into, size_t length, long offset)'),
  pwrite: bind('long pwrite(int fd, const void *from, size_t length, long offset)'),
  read: bind('long read(int fd, void *into, size_t length)'),
  write: bind('long write(int fd, const void *from, size_t length)'),
  lseek: bind('long lseek(int fd, long offset, int whence)'),
  ftruncate: bind('int ftruncate(int fd, long length)'),
  truncate: bind('int truncate(const void *path, long length)'),
  fsync: bind('int fsync(int fd)'),
  fdatasync: bind('int fdatasync(int fd)'),
  fallocate: bind('int fallocate(int fd, int mode, long offset, long length)'),
  copy: bind(
    'long copy_file_range(int from, long *at, int to, long *there, size_t n, unsigned int flags)',
  ),
  rename: bind(
    'int renameat2(int from, const void *path, int to, const void *other, unsigned int flags)',
  ),
  unlink: bind('int unlink(const void *path)'),
  rmdir: bind('int rmdir(const void *path)'),
  mkdir: bind('int mkdir(const void *path, unsigned int mode)'),
  mknod: bind('int mknod(const void *path, unsigned int mode, unsigned long device)'),
  link: bind('int link(const void *path, const void *other)'),
  symlink: bind('int symlink(const void *target, const void *path)'),
  readlink: bind('long readlink(const void *path, void *into, size_t length)'),
  chmod: bind('int chmod(const void *path, unsigned int mode)'),
  fchmod: bind('int fchmod(int fd, unsigned int mode)'),
  lchown: bind('int lchown(const void *path, unsigned int uid, unsigned int gid)'),
  access: bind('int access(const void *path, int mode)'),
  utimensat: bind('int utimensat(int at, const void *path, const void *times, int flags)'),
  flock: bind('int flock(int fd, int operation)'),
  fcntl: bind('int fcntl(int fd, int command, void *argument)'),
  setxattr: bind(
    'int lsetxattr(const void *path, const char *name, const void *value, size_t n, int flags)',
  ),
  getxattr: bind('long lgetxattr(const void *path, const char *name, void *into, size_t n)'),
  listxattr: bind('long llistxattr(const void *path, void *into, size_t n)'),
  removexattr: bind('int lremovexattr(const void *path, const char *name)'),
  munmap: bind('int munmap(uint64_t address, size_t length)'),
  msync: bind('int msync(uint64_t address, size_t length, int flags)'),
  memfd: bind('int memfd_create(const char *name, unsigned int flags)'),
  writeFrom: bind('long pwrite(int fd, uint64_t address, size_t length, long offset)'),
  readTo: bind('long pread(int fd, uint64_t address, size_t length, long offset)'),
  closedir: bind('int closedir(uint64_t directory)'),
}

const mmapCall = library.func(
  'uint64_t mmap(uint64_t address, size_t length, int protection, int flags, int fd, long offset)',
) as (...values: unknown[]) => bigint | number
const opendirCall = library.func('uint64_t opendir(const void *path)') as (
  path: Uint8Array,
) => bigint | number
const readdirCall = library.func('void *readdir(uint64_t directory)') as (
  directory: bigint,
) => unknown
const telldirCall = library.func('long telldir(uint64_t directory)') as (
  directory: bigint,
) => number | bigint
const seekdirCall = library.func('void seekdir(uint64_t directory, long position)') as (
  directory: bigint,
  position: number | bigint,
) => void

/** Bytes of a path, with the NUL that ends it. */
function bytesOf(path: Path): Buffer {
  return Buffer.concat([Buffer.from(path as Uint8Array), Buffer.of(0)])
}

export const open = (path: Path, flags: number, mode = 0o644): number =>
  c.open(bytesOf(path), flags, mode)
export const close = (fd: number): number => c.close(fd)
export const lseek = (fd: number, offset: number, whence: number): number =>
  c.lseek(fd, offset, whence)
export const ftruncate = (fd: number, size: number): number => c.ftruncate(fd, size)
export const truncate = (path: Path, size: number): number => c.truncate(bytesOf(path), size)
export const fsync = (fd: number): number => c.fsync(fd)
export const fdatasync = (fd: number): number => c.fdatasync(fd)
export const fallocate = (fd: number, mode: number, offset: number, length: number): number =>
  c.fallocate(fd, mode, offset, length)
export const unlink = (path: Path): number => c.unlink(bytesOf(path))
export const rmdir = (path: Path): number => c.rmdir(bytesOf(path))
export const mkdir = (path: Path, mode = 0o755): number => c.mkdir(bytesOf(path), mode)
export const mknod = (path: Path, mode: number, device = 0): number =>
  c.mknod(bytesOf(path), mode, device)
export const link = (path: Path, other: Path): number => c.link(bytesOf(path), bytesOf(other))
export const symlink = (target: Path, path: Path): number =>
  c.symlink(bytesOf(target), bytesOf(path))
export const chmod = (path: Path, mode: number): number => c.chmod(bytesOf(path), mode)
export const fchmod = (fd: number, mode: number): number => c.fchmod(fd, mode)
export const lchown = (path: Path, uid: number, gid: number): number =>
  c.lchown(bytesOf(path), uid >>> 0, gid >>> 0)
export const access = (path: Path, mode: number): number => c.access(bytesOf(path), mode)
export const flock = (fd: number, operation: number): number => c.flock(fd, operation)

/** Reads at an offset, or at the descriptor's own; as much as comes at once. */
export function read(fd: number, length: number, offset?: number): Buffer {
  const into = Buffer.alloc(length)
  const count = offset === undefined ? c.read(fd, into, length) : c.pread(fd, into, length, offset)
  return into.subarray(0, count)
}

/** Writes at an offset, or at the descriptor's own. @returns bytes taken */
export function write(fd: number, bytes: Uint8Array, offset?: number): number {
  if (offset === undefined) return c.write(fd, bytes, bytes.length)
  return c.pwrite(fd, bytes, bytes.length, offset)
}

/** @param flags of renameat2(2): RENAME */
export function rename(from: Path, to: Path, flags = 0): number {
  return c.rename(AT_FDCWD, bytesOf(from), AT_FDCWD, bytesOf(to), flags)
}

export interface CopyRange {
  readonly from: number
  readonly at: number
  readonly to: number
  readonly there: number
  readonly length: number
}

/** copy_file_range(2), once. @returns bytes copied */
export function copyFileRange({ from, at, to, there, length }: CopyRange): number {
  return c.copy(from, longOf(at), to, longOf(there), length, 0)
}

function longOf(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(BigInt(value))
  return bytes
}

export function readlink(path: Path): Buffer {
  const into = Buffer.alloc(4096)
  return into.subarray(0, c.readlink(bytesOf(path), into, into.length))
}

/** utimensat(2), not following a link at the end. */
export function utimens(path: Path, atime: TimeArgument, mtime: TimeArgument): number {
  const AT_SYMLINK_NOFOLLOW = 0x100
  const times = Buffer.concat([atime, mtime].map(timespec))
  return c.utimensat(AT_FDCWD, bytesOf(path), times, AT_SYMLINK_NOFOLLOW)
}

function timespec(time: TimeArgument): Buffer {
  const bytes = Buffer.alloc(16)
  const nanoseconds = time === 'now' ? UTIME_NOW : time === 'omit' ? UTIME_OMIT : time.nanoseconds
  bytes.writeBigInt64LE(typeof time === 'string' ? 0n : BigInt(time.seconds))
  bytes.writeBigInt64LE(BigInt(nanoseconds), 8)
  return bytes
}

export function setxattr(path: Path, name: string, value: Uint8Array, flags = 0): number {
  return c.setxattr(bytesOf(path), name, value, value.length, flags)
}

export function getxattr(path: Path, name: string, room = 65536): Buffer {
  const into = Buffer.alloc(room)
  return into.subarray(0, c.getxattr(bytesOf(path), name, into, room))
}

/** Names in the order given. */
export function listxattr(path: Path): string[] {
  const into = Buffer.alloc(65536)
  const length = c.listxattr(bytesOf(path), into, into.length)
  return into
    .toString('utf8', 0, length)
    .split('\0')
    .filter(name => name !== '')
}

export const removexattr = (path: Path, name: string): number => c.removexattr(bytesOf(path), name)

export interface LockRequest {
  readonly kind: number
  readonly start: number
  /** 0 reaches to the end of the file and beyond. */
  readonly length: number
}

/** A lock that belongs to the open file, not to the process. @throws SystemError EAGAIN if taken */
export function lock(fd: number, request: LockRequest): number {
  return c.fcntl(fd, F_OFD_SETLK, flockRecord(request))
}

/** The kind of lock that stands in the way of this one, F_UNLOCK if none does. */
export function testLock(fd: number, request: LockRequest, ofProcess = false): number {
  const record = flockRecord(request)
  c.fcntl(fd, ofProcess ? F_GETLK : F_OFD_GETLK, record)
  return record.readInt16LE(0)
}

/** struct flock: type, whence, start, length, pid. */
function flockRecord({ kind, start, length }: LockRequest): Buffer {
  const bytes = Buffer.alloc(32)
  bytes.writeInt16LE(kind, 0)
  bytes.writeInt16LE(SEEK.set, 2)
  bytes.writeBigInt64LE(BigInt(start), 8)
  bytes.writeBigInt64LE(BigInt(length), 16)
  return bytes
}

/**
 * A shared mapping of a file. Bytes go in and out by way of a file in memory, so that the kernel
 * answers EFAULT where a program would be ended by SIGBUS.
 */
export class Mapping {
  readonly #address: bigint
  readonly #length: number
  readonly #memory: number

  constructor(fd: number, length: number, { writable = true, offset = 0 } = {}) {
    const PROT_READ = 1
    const PROT_WRITE = 2
    const MAP_SHARED = 1
    const protection = PROT_READ | (writable ? PROT_WRITE : 0)
    const address = BigInt(mmapCall(0, length, protection, MAP_SHARED, fd, offset))
    if (address === MAP_FAILED) throw new SystemError(koffi.errno(), 'mmap')
    this.#address = address
    this.#length = length
    this.#memory = c.memfd('mapping', 0)
  }

  read(offset: number, length: number): Buffer {
    c.writeFrom(this.#memory, this.#address + BigInt(offset), length, 0)
    return read(this.#memory, length, 0)
  }

  write(offset: number, bytes: Uint8Array): void {
    write(this.#memory, bytes, 0)
    c.readTo(this.#memory, this.#address + BigInt(offset), bytes.length, 0)
  }

  /** msync(2) with MS_SYNC. */
  sync(): void {
    const MS_SYNC = 4
    c.msync(this.#address, this.#length, MS_SYNC)
  }

  unmap(): void {
    c.close(this.#memory)
    c.munmap(this.#address, this.#length)
  }
}

export interface Dirent {
  readonly name: string
  /** DT_DIR 4, DT_REG 8, DT_LNK 10, DT_FIFO 1. */
  readonly type: number
}

/** A directory stream, as opendir(3) makes it. */
export class DirectoryStream {
  readonly #directory: bigint

  constructor(path: Path) {
    this.#directory = BigInt(opendirCall(bytesOf(path)))
    if (this.#directory === 0n) throw new SystemError(koffi.errno(), 'opendir')
  }

  /** The next entry; undefined at the end. */
  next(): Dirent | undefined {
    const entry = readdirCall(this.#directory)
    if (entry === null || entry === 0n) return undefined
    const pointer = entry as bigint
    const head = Buffer.from(koffi.view(pointer, DIRENT.name).slice(0))
    const record = Buffer.from(koffi.view(pointer, head.readUInt16LE(DIRENT.length)).slice(0))
    const end = record.indexOf(0, DIRENT.name)
    return { name: record.toString('utf8', DIRENT.name, end), type: record[DIRENT.type] ?? 0 }
  }

  tell(): number | bigint {
    return telldirCall(this.#directory)
  }

  seek(position: number | bigint): void {
    seekdirCall(this.#directory, position)
  }

  close(): void {
    c.closedir(this.#directory)
  }
}
