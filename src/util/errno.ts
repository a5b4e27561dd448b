/**
 * Linux errno names and numbers, and the one error class that carries them.
 *
 * The numbers are those of the kernel's asm-generic/errno{-base,}.h, which every Linux
 * architecture that Node.js runs on shares. They are not taken from `os.constants.errno`,
 * because a FUSE reply always speaks the kernel's numbers.
 */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  EPROTO: 71,
  EILSEQ: 84,
  EOPNOTSUPP: 95,
  ECONNABORTED: 103,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ESTALE: 116,
  EDQUOT: 122,
} as const

export type ErrnoName = keyof typeof ERRNO

export interface ErrnoErrorOptions {
  cause?: unknown
}

/** An error with the errno that a system call shall report. */
export class ErrnoError extends Error {
  override readonly name = 'ErrnoError'
  readonly code: ErrnoName

  constructor(code: ErrnoName, message: string, options: ErrnoErrorOptions = {}) {
    super(`${code}: ${message}`, options)
    this.code = code
  }

  /** The positive errno number, e.g. 2 for ENOENT. */
  get errno(): number {
    return ERRNO[this.code]
  }
}
