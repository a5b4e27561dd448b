/**
 * What a storage driver rejects with. The first five are distribution's; the others tell a file
 * system what it must know to choose an errno and whether trying again can help.
 *
 * Each carries a literal `code` to match on, the driver's name, and the path where there is one;
 * `cause` holds the error underneath. Messages never contain a secret.
 */

export interface DriverErrorOptions {
  driver?: string
  path?: string
  cause?: unknown
  /** The service's own error code, e.g. `NoSuchKey`. */
  serviceCode?: string
  /** The service's request id: what its support asks for. */
  requestId?: string
  /** Etag of the version that a write has made if it took effect all the same, its answer lost. */
  attempted?: string | undefined
}

export type DriverErrorCode =
  | 'PATH_NOT_FOUND'
  | 'INVALID_PATH'
  | 'INVALID_OFFSET'
  | 'UNSUPPORTED'
  | 'ACCESS_DENIED'
  | 'PRECONDITION'
  | 'CONFLICT'
  | 'THROTTLED'
  | 'TIMEOUT'
  | 'QUOTA'
  | 'INTEGRITY'
  | 'NOT_FOUND'
  | 'CLOSED'
  | 'FAILED'

/** Anything the classes below do not say more exactly. */
export class DriverError extends Error {
  readonly code: DriverErrorCode = 'FAILED'
  readonly driver: string | undefined
  readonly path: string | undefined
  readonly serviceCode: string | undefined
  readonly requestId: string | undefined
  /** Etag of the version that a write has made if it took effect all the same, its answer lost. */
  readonly attempted: string | undefined

  constructor(message: string, options: DriverErrorOptions = {}) {
    const { driver, path, serviceCode, requestId, cause } = options
    const details = [
      serviceCode === undefined ? undefined : `BOS code ${serviceCode}`,
      requestId === undefined ? undefined : `request ${requestId}`,
    ].filter(detail => detail !== undefined)
    super(
      (driver === undefined ? '' : `${driver}: `) +
        message +
        (details.length === 0 ? '' : ` (${details.join(', ')})`),
      cause === undefined ? {} : { cause },
    )
    this.name = new.target.name
    this.driver = driver
    this.path = path
    this.serviceCode = serviceCode
    this.requestId = requestId
    this.attempted = options.attempted
  }
}

/** Nothing is stored at the path. */
export class PathNotFoundError extends DriverError {
  override readonly code = 'PATH_NOT_FOUND'
  constructor(path: string, options: DriverErrorOptions = {}) {
    super(`path not found: ${path}`, { ...options, path })
  }
}

/** The path breaks the rules of path.ts or of the store. */
export class InvalidPathError extends DriverError {
  override readonly code = 'INVALID_PATH'
  readonly reason: string
  constructor(path: string, reason: string, options: DriverErrorOptions = {}) {
    super(`invalid path ${JSON.stringify(path)}: ${reason}`, { ...options, path })
    this.reason = reason
  }
}

/** A component, or the whole key, is longer than the store or the kernel takes. */
export class PathTooLongError extends InvalidPathError {}

/** A negative offset, or one past the end. */
export class InvalidOffsetError extends DriverError {
  override readonly code = 'INVALID_OFFSET'
  readonly offset: number
  constructor(path: string, offset: number, options: DriverErrorOptions = {}) {
    super(`invalid offset ${offset} for path: ${path}`, { ...options, path })
    this.offset = offset
  }
}

/** The store cannot do this. */
export class UnsupportedError extends DriverError {
  override readonly code = 'UNSUPPORTED'
}

/** Credentials or policy forbid it. */
export class AccessDeniedError extends DriverError {
  override readonly code = 'ACCESS_DENIED'
}

/** The path does not hold the version that the caller named. */
export class PreconditionError extends DriverError {
  override readonly code = 'PRECONDITION'
}

/** Something in the way: a file where a directory is needed, or the reverse. */
export class ConflictError extends DriverError {
  override readonly code = 'CONFLICT'
}

/** The store asked to slow down, and still did after all retries. */
export class ThrottledError extends DriverError {
  override readonly code = 'THROTTLED'
}

/** No answer before the deadline. */
export class TimeoutError extends DriverError {
  override readonly code = 'TIMEOUT'
}

/** A quota of the bucket or the account is used up. */
export class QuotaError extends DriverError {
  override readonly code = 'QUOTA'
}

/** Bytes or their checksum or number are not what was promised. */
export class IntegrityError extends DriverError {
  override readonly code = 'INTEGRITY'
}

/** The bucket or the upload is gone. */
export class NotFoundError extends DriverError {
  override readonly code = 'NOT_FOUND'
}

/** The driver, writer or composition was already closed, committed or cancelled. */
export class ClosedError extends DriverError {
  override readonly code = 'CLOSED'
}

/** Failures after which the request may have been executed all the same. */
const UNCLEAR: ReadonlySet<DriverErrorCode> = new Set(['TIMEOUT', 'FAILED', 'INTEGRITY'])

/** Whether what a driver was asked for may have happened although it says that it failed. */
export function isUnclear(error: unknown): boolean {
  return error instanceof DriverError && UNCLEAR.has(error.code)
}
