/**
 * What can go wrong with one request, and the one table from BOS codes to driver errors.
 *
 * @see https://cloud.baidu.com/doc/BOS/s/Ajwvysfpl (error codes)
 */
import type { Milliseconds } from '../../util/units.js'
import {
  AccessDeniedError,
  ConflictError,
  DriverError,
  IntegrityError,
  InvalidPathError,
  NotFoundError,
  PathNotFoundError,
  PreconditionError,
  QuotaError,
  ThrottledError,
  TimeoutError,
  UnsupportedError,
  type DriverErrorOptions,
} from '../errors.js'

/**
 * - `response`: the service answered with an error;
 * - `connect`: no connection, the request was never sent;
 * - `tls`: the server's certificate is not to be trusted;
 * - `network`, `timeout`: the request was sent and may have been executed;
 * - `integrity`: the answer is not what was asked for: too short, too long, wrong checksum.
 */
export type BosErrorKind = 'response' | 'connect' | 'tls' | 'network' | 'timeout' | 'integrity'

export interface BosErrorDetails {
  kind: BosErrorKind
  /** HTTP status, of `response` only. */
  status?: number
  /** The service's code, or one made from the status where there is no body. */
  code?: string
  requestId?: string
  /** From `Retry-After`. */
  retryAfter?: Milliseconds
  /** From `Date`: the service's clock. */
  serverTime?: Milliseconds
  cause?: unknown
}

/** A failed request, before anybody knows which path it was for. */
export class BosError extends Error {
  override readonly name = 'BosError'
  readonly kind: BosErrorKind
  readonly status: number | undefined
  readonly code: string | undefined
  readonly requestId: string | undefined
  readonly retryAfter: Milliseconds | undefined
  readonly serverTime: Milliseconds | undefined
  /** See DriverError. Set once it is known that no later attempt has told. */
  attempted: string | undefined

  constructor(message: string, details: BosErrorDetails) {
    super(message, details.cause === undefined ? {} : { cause: details.cause })
    this.kind = details.kind
    this.status = details.status
    this.code = details.code
    this.requestId = details.requestId
    this.retryAfter = details.retryAfter
    this.serverTime = details.serverTime
  }

  /** The service may have done what was asked although it looks like a failure. */
  get ambiguous(): boolean {
    if (this.kind === 'response') return (this.status ?? 0) >= 500 && this.status !== 501
    return this.kind !== 'connect' && this.kind !== 'tls'
  }
}

export type Meaning =
  | 'path-not-found'
  | 'not-found'
  | 'access-denied'
  | 'precondition'
  | 'conflict'
  | 'throttled'
  | 'timeout'
  | 'quota'
  | 'integrity'
  | 'invalid-path'
  | 'unsupported'
  | 'failed'

interface CodeRow {
  /** The status that normally comes with the code; needed where a 200 carries it. */
  readonly status: number
  readonly meaning: Meaning
}

function row(status: number, meaning: Meaning): CodeRow {
  return { status, meaning }
}

/** Every code that means more than its status. */
export const BOS_CODES: Readonly<Record<string, CodeRow>> = {
  AccessDenied: row(403, 'access-denied'),
  AccountOverdue: row(403, 'access-denied'),
  BadDigest: row(400, 'integrity'),
  BucketAlreadyExists: row(409, 'conflict'),
  BucketNotEmpty: row(409, 'conflict'),
  CapacityExceeded: row(403, 'quota'),
  BucketCapacityExceeded: row(403, 'quota'),
  BucketObjectNumExceeded: row(403, 'quota'),
  DirNotEmpty: row(409, 'conflict'),
  EntityTooLarge: row(400, 'failed'),
  EntityTooSmall: row(400, 'failed'),
  FileAlreadyExists: row(409, 'precondition'),
  InternalError: row(500, 'failed'),
  InvalidAccessKeyId: row(403, 'access-denied'),
  InvalidHTTPAuthHeader: row(400, 'access-denied'),
  InvalidObjectName: row(400, 'invalid-path'),
  InvalidPart: row(400, 'integrity'),
  InvalidPartOrder: row(400, 'integrity'),
  InvalidRange: row(416, 'failed'),
  InvalidSessionToken: row(400, 'access-denied'),
  InvalidURI: row(400, 'invalid-path'),
  MethodNotAllowed: row(405, 'unsupported'),
  NamespaceDirAlreadyExists: row(409, 'conflict'),
  NamespaceNameConflict: row(409, 'conflict'),
  NamespaceParentNotExists: row(404, 'path-not-found'),
  NoSuchBucket: row(404, 'not-found'),
  NoSuchKey: row(404, 'path-not-found'),
  NoSuchUpload: row(404, 'not-found'),
  NotAllowCopy: row(400, 'unsupported'),
  NotImplemented: row(501, 'unsupported'),
  ObjectImmutable: row(409, 'access-denied'),
  ObjectNumExceeded: row(403, 'quota'),
  ObjectUnappendable: row(403, 'conflict'),
  OffsetIncorrect: row(409, 'conflict'),
  PreconditionFailed: row(412, 'precondition'),
  RenameConflict: row(409, 'conflict'),
  RequestExpired: row(400, 'access-denied'),
  RequestRateLimitExceeded: row(429, 'throttled'),
  RequestTimeTooSkewed: row(403, 'access-denied'),
  RequestTimeout: row(400, 'timeout'),
  ServiceUnavailable: row(503, 'throttled'),
  SignatureDoesNotMatch: row(403, 'access-denied'),
  SlowDown: row(503, 'throttled'),
  SymlinkTargetNotExist: row(404, 'path-not-found'),
  TooManyBuckets: row(400, 'quota'),
}

/** What a status means when its code says nothing. */
const STATUS_MEANINGS: Readonly<Record<number, Meaning>> = {
  401: 'access-denied',
  403: 'access-denied',
  404: 'path-not-found',
  405: 'unsupported',
  408: 'timeout',
  409: 'conflict',
  412: 'precondition',
  429: 'throttled',
  501: 'unsupported',
  503: 'throttled',
  504: 'timeout',
}

/** Codes for answers without a body: HEAD, 304. */
const STATUS_CODES: Readonly<Record<number, string>> = {
  400: 'InvalidHTTPRequest',
  403: 'AccessDenied',
  404: 'NoSuchKey',
  412: 'PreconditionFailed',
  416: 'InvalidRange',
  429: 'RequestRateLimitExceeded',
  500: 'InternalError',
  503: 'ServiceUnavailable',
}

/** The code to assume for a status whose answer has no body. */
export function codeOfStatus(status: number): string {
  return STATUS_CODES[status] ?? `Http${status}`
}

/** The status that belongs to an error code found in a 200. */
export function statusOfCode(code: string): number {
  return Object.hasOwn(BOS_CODES, code) ? (BOS_CODES[code]?.status ?? 500) : 500
}

export function meaningOf(error: BosError): Meaning {
  const { kind, code = '', status = 0 } = error
  if (kind === 'timeout' || kind === 'integrity') return kind
  if (kind !== 'response') return 'failed'
  const known = Object.hasOwn(BOS_CODES, code) ? BOS_CODES[code] : undefined
  if (known !== undefined) return known.meaning
  if (code.endsWith('Exceeded') && status === 403) return 'quota'
  return STATUS_MEANINGS[status] ?? 'failed'
}

/** The driver error for a failed request; anything but a BosError is returned as it is. */
export function toDriverError(error: unknown, driver: string, path: string): unknown {
  if (!(error instanceof BosError)) return error
  const options: DriverErrorOptions = { driver, path, cause: error }
  if (error.code !== undefined) options.serviceCode = error.code
  if (error.requestId !== undefined) options.requestId = error.requestId
  if (error.attempted !== undefined) options.attempted = error.attempted
  const message = `${path}: ${error.message}`
  switch (meaningOf(error)) {
    case 'path-not-found':
      return new PathNotFoundError(path, options)
    case 'invalid-path':
      return new InvalidPathError(path, error.message, options)
    case 'not-found':
      return new NotFoundError(message, options)
    case 'access-denied':
      return new AccessDeniedError(message, options)
    case 'precondition':
      return new PreconditionError(message, options)
    case 'conflict':
      return new ConflictError(message, options)
    case 'throttled':
      return new ThrottledError(message, options)
    case 'timeout':
      return new TimeoutError(message, options)
    case 'quota':
      return new QuotaError(message, options)
    case 'integrity':
      return new IntegrityError(message, options)
    case 'unsupported':
      return new UnsupportedError(message, options)
    case 'failed':
      return new DriverError(message, options)
  }
}
