/**
 * What the server answers when it does not do what was asked: one table of BOS error codes with their
 * HTTP status, and the error class that handlers throw. Nothing else in the server writes a status of
 * 400 or more.
 *
 * @see BOS "Error codes"; statuses that sources disagree on are those of the real service's SDK tests
 */

/** BOS code to [HTTP status, default message]. */
const ERROR_TABLE = {
  AccessDenied: [403, 'Access denied.'],
  BadDigest: [400, 'A checksum of the request does not match the body that was received.'],
  BucketAlreadyExists: [409, 'The bucket already exists.'],
  BucketNotEmpty: [409, 'The bucket still holds objects.'],
  DirNotEmpty: [409, 'The directory is not empty.'],
  EntityTooLarge: [400, 'The body is larger than one request may carry.'],
  EntityTooSmall: [400, 'A part other than the last is smaller than the minimum.'],
  FileAlreadyExists: [409, 'The object exists and overwriting it was forbidden.'],
  InappropriateJSON: [400, 'The JSON body is well formed but not what this request takes.'],
  InternalError: [500, 'The server met an unexpected condition.'],
  InvalidAccessKeyId: [403, 'The access key id is unknown.'],
  InvalidArgument: [400, 'A parameter of the request is invalid.'],
  InvalidBucketName: [400, 'The bucket name is invalid.'],
  InvalidEncryptionAlgorithm: [400, 'The encryption algorithm is unknown.'],
  InvalidHTTPAuthHeader: [400, 'The authorization string is malformed.'],
  InvalidHTTPRequest: [400, 'The request is malformed.'],
  InvalidObjectName: [400, 'The object name is invalid.'],
  InvalidPart: [400, 'A part is unknown or its eTag differs.'],
  InvalidPartOrder: [400, 'The parts are not in ascending order.'],
  InvalidRange: [416, 'The range cannot be satisfied.'],
  InvalidSessionToken: [400, 'The session token is missing, unknown or expired.'],
  InvalidURI: [400, 'The URI cannot be parsed.'],
  InvalidTargetType: [400, 'The target of the symbolic link is a symbolic link.'],
  MalformedJSON: [400, 'The JSON body cannot be parsed.'],
  MaxMessageLengthExceeded: [400, 'The JSON body is too large.'],
  MetadataTooLarge: [400, 'The user metadata is larger than allowed.'],
  MethodNotAllowed: [405, 'The method is not allowed for this resource.'],
  MissingContentLength: [411, 'The Content-Length header is missing.'],
  MissingDateHeader: [400, 'Neither x-bce-date nor Date is present.'],
  NamespaceDirAlreadyExists: [409, 'The directory already exists.'],
  NamespaceNameConflict: [409, 'The name is taken by a file or directory of the other kind.'],
  NamespaceParentNotExists: [404, 'The parent directory does not exist.'],
  NoSuchBucket: [404, 'The bucket does not exist.'],
  NoSuchKey: [404, 'The object does not exist.'],
  NoSuchUpload: [404, 'The multipart upload does not exist.'],
  NotSymlink: [400, 'The object is not a symbolic link.'],
  NotImplemented: [501, 'This server does not implement the function asked for.'],
  ObjectAclNotExists: [404, 'The object has no access control list of its own.'],
  ObjectUnappendable: [403, 'The object cannot be appended to.'],
  OffsetIncorrect: [409, 'The offset is not the size of the object.'],
  PreconditionFailed: [412, 'A precondition of the request does not hold.'],
  RenameConflict: [409, 'The target of the rename is in the way.'],
  RequestExpired: [400, 'Request has expired.'],
  RequestRateLimitExceeded: [429, 'Too many requests.'],
  RequestTimeTooSkewed: [403, 'The time of the request is too far from the time of the server.'],
  RequestTimeout: [400, 'The body was not received in time.'],
  ServiceUnavailable: [503, 'Please try again later.'],
  SymlinkTargetNotExist: [404, 'The target of the symbolic link does not exist.'],
  SignatureDoesNotMatch: [403, 'The signature is not the one the server computed.'],
} as const satisfies Readonly<Record<string, readonly [number, string]>>

export type ErrorCode = keyof typeof ERROR_TABLE

export interface ServiceErrorOptions {
  /** What went wrong, for people; default the table's sentence. Never holds a secret. */
  message?: string
  /** Overrides the table, for the few codes that come with two statuses. */
  status?: number
  headers?: Readonly<Record<string, string>>
  cause?: unknown
}

/** A refusal that the client gets as `{code, message, requestId}`. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError'
  readonly code: ErrorCode
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(code: ErrorCode, options: ServiceErrorOptions = {}) {
    const [status, message] = ERROR_TABLE[code]
    super(options.message ?? message, options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.status = options.status ?? status
    this.headers = options.headers ?? {}
  }
}

/** The client is gone, or a fault cut the connection: there is nobody to answer. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost'
}
