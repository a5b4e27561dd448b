/**
 * From any error to the errno that a system call reports, and how loudly to log it. The only such
 * table: bindings see ErrnoError alone.
 */
import { DriverError, PathTooLongError } from '../../driver/errors.js'
import type { DriverErrorCode } from '../../driver/errors.js'
import { ErrnoError } from '../../util/errno.js'
import type { ErrnoName } from '../../util/errno.js'

export type LogLevel = 'debug' | 'warn' | 'error'

export interface Failure {
  readonly errno: ErrnoName
  readonly level: LogLevel
}

const DRIVER_FAILURES: Readonly<Record<DriverErrorCode, Failure>> = {
  PATH_NOT_FOUND: { errno: 'ENOENT', level: 'debug' },
  INVALID_PATH: { errno: 'EINVAL', level: 'debug' },
  INVALID_OFFSET: { errno: 'EINVAL', level: 'warn' },
  UNSUPPORTED: { errno: 'EOPNOTSUPP', level: 'debug' },
  ACCESS_DENIED: { errno: 'EACCES', level: 'warn' },
  // The version that was open is not there any more.
  PRECONDITION: { errno: 'ESTALE', level: 'warn' },
  CONFLICT: { errno: 'EEXIST', level: 'warn' },
  THROTTLED: { errno: 'EIO', level: 'warn' },
  TIMEOUT: { errno: 'EIO', level: 'warn' },
  QUOTA: { errno: 'ENOSPC', level: 'warn' },
  INTEGRITY: { errno: 'EIO', level: 'error' },
  NOT_FOUND: { errno: 'EIO', level: 'error' },
  CLOSED: { errno: 'EIO', level: 'error' },
  FAILED: { errno: 'EIO', level: 'error' },
}

/** Errno of ErrnoErrors that are everyday answers and not worth more than a debug line. */
const EXPECTED: ReadonlySet<ErrnoName> = new Set([
  'EEXIST',
  'EFBIG',
  'EINTR',
  'EINVAL',
  'EISDIR',
  'ENAMETOOLONG',
  'ENODATA',
  'ENOENT',
  'ENOSYS',
  'ENOTDIR',
  'ENOTEMPTY',
  'EOPNOTSUPP',
  'EPERM',
  'EROFS',
])

export function toFailure(error: unknown): Failure {
  if (error instanceof ErrnoError) {
    return { errno: error.code, level: EXPECTED.has(error.code) ? 'debug' : 'warn' }
  }
  if (error instanceof PathTooLongError) return { errno: 'ENAMETOOLONG', level: 'debug' }
  if (error instanceof DriverError) return DRIVER_FAILURES[error.code]
  if (error instanceof Error && error.name === 'AbortError')
    return { errno: 'EINTR', level: 'debug' }
  return { errno: 'EIO', level: 'error' }
}

export function toErrnoError(error: unknown): ErrnoError {
  if (error instanceof ErrnoError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new ErrnoError(toFailure(error).errno, message, { cause: error })
}
