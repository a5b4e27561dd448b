/**
 * What is agreed with the kernel at INIT. Pure: the kernel's offer and our wishes in, our answer out.
 *
 * The kernel offers what it can do, and does what of it is repeated in the answer. What an older
 * kernel lacks is simply not agreed: without MAX_PAGES (before Linux 4.20) requests carry 128 KiB,
 * without READDIRPLUS a listing is looked up entry by entry, without DIRECT_IO_ALLOW_MMAP (before 6.6)
 * all files are read through the page cache.
 *
 * Not asked for: POSIX_LOCKS and FLOCK_LOCKS (locks hold within the host, and the kernel does that
 * best), DONT_MASK (the kernel applies the umask), EXPORT_SUPPORT (no NFS export), WRITEBACK_CACHE
 * (with it the kernel believes its own size and mtime over the store's).
 */
import { ErrnoError } from '../../util/errno.js'
import type { Bytes } from '../../util/units.js'
import {
  INIT_FLAG,
  INIT_FLAG2,
  KERNEL_MINOR_VERSION,
  KERNEL_VERSION,
  MAX_REQUEST,
  MAX_REQUEST_BEFORE_MAX_PAGES,
  OLDEST_MINOR_VERSION,
  PAGE_SIZE,
} from './abi.js'
import type { InitRequest } from './decode.js'
import type { InitReply } from './encode.js'

/** What any kernel may do for us, if it can. */
const WANTED =
  INIT_FLAG.ASYNC_READ |
  INIT_FLAG.ATOMIC_O_TRUNC |
  INIT_FLAG.BIG_WRITES |
  INIT_FLAG.AUTO_INVAL_DATA |
  INIT_FLAG.DO_READDIRPLUS |
  INIT_FLAG.READDIRPLUS_AUTO |
  INIT_FLAG.ASYNC_DIO |
  INIT_FLAG.PARALLEL_DIROPS |
  INIT_FLAG.MAX_PAGES |
  INIT_FLAG.INIT_EXT

/** As WANTED, of the second word. */
const WANTED2 = INIT_FLAG2.DIRECT_IO_ALLOW_MMAP

export interface NegotiationOptions {
  /**
   * Set-user-id bits mean nothing on this mount (`nosuid`), so that there is nothing to clear on a
   * write; else the kernel asks for an xattr before each one.
   */
  readonly noSetuid: boolean
  readonly maxWrite?: Bytes
  /** Requests such as readahead that the kernel has under way at a time; default 64. */
  readonly maxBackground?: number
}

/**
 * @returns the answer, or one with our version alone if the kernel's major version is newer: it then
 *   asks again with ours
 * @throws ErrnoError EPROTO for a kernel that is too old
 */
export function negotiate(request: InitRequest, options: NegotiationOptions): InitReply {
  const { major, minor } = request
  if (major < KERNEL_VERSION || (major === KERNEL_VERSION && minor < OLDEST_MINOR_VERSION)) {
    throw new ErrnoError(
      'EPROTO',
      `the kernel speaks FUSE ${major}.${minor}; ${KERNEL_VERSION}.${OLDEST_MINOR_VERSION} (Linux 3.15) is needed`,
    )
  }
  const maxBackground = options.maxBackground ?? 64
  const flags = request.flags & (WANTED | (options.noSetuid ? INIT_FLAG.HANDLE_KILLPRIV_V2 : 0))
  const limit = (flags & INIT_FLAG.MAX_PAGES) === 0 ? MAX_REQUEST_BEFORE_MAX_PAGES : MAX_REQUEST
  const maxWrite = Math.min(options.maxWrite ?? MAX_REQUEST, limit)
  return {
    major: KERNEL_VERSION,
    minor: major > KERNEL_VERSION ? KERNEL_MINOR_VERSION : Math.min(minor, KERNEL_MINOR_VERSION),
    maxReadahead: request.maxReadahead,
    flags: flags >>> 0,
    flags2: (flags & INIT_FLAG.INIT_EXT) === 0 ? 0 : request.flags2 & WANTED2,
    maxBackground,
    // From here on the kernel holds back readahead, so that reads that somebody waits for get through.
    congestionThreshold: Math.floor((maxBackground * 3) / 4),
    maxWrite,
    maxPages: Math.ceil(maxWrite / PAGE_SIZE),
  }
}
