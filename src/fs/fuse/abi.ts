/**
 * The FUSE kernel protocol as data: opcodes, flags and sizes of records.
 *
 * Facts from linux/fuse.h (package linux-libc-dev), protocol 7.38, under the kernel's own names
 * without their common prefix. All values are in the byte order of the host; the binding runs on
 * little-endian machines only. What this protocol can do beyond the names here, the binding neither
 * asks for at INIT nor understands.
 */
import { KiB, MiB } from '../../util/units.js'

export const KERNEL_VERSION = 7
/** The newest minor version whose records are described here. */
export const KERNEL_MINOR_VERSION = 38
/** Linux 3.15: from here on INIT's answer has the size of today. */
export const OLDEST_MINOR_VERSION = 23

export const OPCODE = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SYNCFS: 50,
  TMPFILE: 51,
} as const

/** Bits of `flags` at INIT. */
export const INIT_FLAG = {
  ASYNC_READ: 1 << 0,
  POSIX_LOCKS: 1 << 1,
  ATOMIC_O_TRUNC: 1 << 3,
  EXPORT_SUPPORT: 1 << 4,
  BIG_WRITES: 1 << 5,
  DONT_MASK: 1 << 6,
  FLOCK_LOCKS: 1 << 10,
  AUTO_INVAL_DATA: 1 << 12,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  WRITEBACK_CACHE: 1 << 16,
  PARALLEL_DIROPS: 1 << 18,
  HANDLE_KILLPRIV: 1 << 19,
  MAX_PAGES: 1 << 22,
  HANDLE_KILLPRIV_V2: 1 << 28,
  /** `flags2` counts. */
  INIT_EXT: 1 << 30,
} as const

/** Bits of `flags2` at INIT: those from the 32nd on. */
export const INIT_FLAG2 = {
  DIRECT_IO_ALLOW_MMAP: 1 << 4,
} as const

/** Bits of `valid` in SETATTR. */
export const SETATTR_VALID = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  FH: 1 << 6,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  CTIME: 1 << 10,
  KILL_SUIDGID: 1 << 11,
} as const

/** Bits of `open_flags` in the answers to OPEN, CREATE and OPENDIR. */
export const OPEN_FLAG = {
  DIRECT_IO: 1 << 0,
  KEEP_CACHE: 1 << 1,
  NONSEEKABLE: 1 << 2,
  CACHE_DIR: 1 << 3,
} as const

export const GETATTR_FH = 1 << 0
export const WRITE_CACHE = 1 << 0
export const WRITE_KILL_SUIDGID = 1 << 2
export const OPEN_KILL_SUIDGID = 1 << 0
export const FSYNC_DATA_ONLY = 1 << 0

/** Codes of notifications; they travel in the `error` field of an answer with unique 0. */
export const NOTIFY = { INVAL_INODE: 2, INVAL_ENTRY: 3 } as const

/** Sizes of records, in bytes. */
export const SIZE = {
  IN_HEADER: 40,
  OUT_HEADER: 16,
  ATTR: 88,
  ATTR_OUT: 104,
  ENTRY_OUT: 128,
  OPEN_OUT: 16,
  WRITE_IN: 40,
  STATFS_OUT: 80,
  INIT_OUT: 64,
  /** Without its name. */
  DIRENT: 24,
  /** entry_out and dirent, without the name. */
  DIRENTPLUS: 152,
} as const

/** Directory entries start at multiples of this (FUSE_REC_ALIGN). */
export const RECORD_ALIGNMENT = 8

/** NAME_MAX of linux/limits.h; the kernel itself would pass longer names. */
export const NAME_MAX = 255
/** XATTR_NAME_MAX of linux/limits.h. */
export const XATTR_NAME_MAX = 255
/** PATH_MAX of linux/limits.h less the NUL: the longest target of a symlink. */
export const SYMLINK_MAX = 4095

export const PAGE_SIZE = 4 * KiB
/** Largest request: FUSE_MAX_MAX_PAGES (256) pages of 4 KiB, see fs/fuse/fuse_i.h in Linux. */
export const MAX_REQUEST = 1 * MiB
/** Largest request without FUSE_MAX_PAGES: 32 pages. */
export const MAX_REQUEST_BEFORE_MAX_PAGES = 32 * PAGE_SIZE
/** A request's header, its record and its names; the kernel wants a page for them beside the data. */
export const REQUEST_BUFFER_SIZE = MAX_REQUEST + PAGE_SIZE
