/**
 * Checks bce-auth-v1 signatures, in the Authorization header or in the `authorization` query parameter
 * of a presigned URL. Pure: the caller brings request, credentials and time. Written from the
 * description of the scheme; shares no code with any client.
 *
 * Header values arrive as Node.js delivers them, one character per byte, and are signed as those bytes.
 *
 * @see BOS "Generating an authentication string"
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { ServiceError } from './errors.js'
import { uriDecode, uriEncode, uriEncodePath } from './names.js'

export interface Credential {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Makes the credential a temporary one: requests must carry this token. */
  readonly sessionToken?: string
  /** When the token ends, milliseconds since the epoch. Default never. */
  readonly expires?: number
}

/** The parts of a request that are signed. */
export interface SignedRequest {
  readonly method: string
  /** Path as sent, still percent-encoded, a `/v1` prefix included. */
  readonly rawPath: string
  /** Decoded query parameters in any order. */
  readonly query: readonly (readonly [string, string])[]
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

export interface AuthContext {
  readonly credentials: ReadonlyMap<string, Credential>
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly hostSigned: boolean
}

/** An authorization string taken apart. */
export interface Authorization {
  readonly accessKeyId: string
  /** As sent. */
  readonly timestamp: string
  /** Seconds; -1 never expires. */
  readonly expires: number
  /** Lower-case names; empty stands for the default set. */
  readonly signedHeaders: readonly string[]
  readonly signature: string
}

/** How far a timestamp may lie ahead of the server's clock. */
const MAX_SKEW = 15 * 60 * 1000
const DEFAULT_SIGNED = new Set(['host', 'content-md5', 'content-length', 'content-type'])
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/

/**
 * @returns the access key id that signed
 * @throws ServiceError AccessDenied without authorization, else one of the authentication codes
 */
export function authenticate(request: SignedRequest, context: AuthContext): string {
  const header = request.headers['authorization']
  const text = authorizationOf(request)
  if (text === undefined) throw new ServiceError('AccessDenied', { message: 'Anonymous access.' })

  const authorization = parseAuthorization(text)
  const credential = context.credentials.get(authorization.accessKeyId)
  if (credential === undefined) throw new ServiceError('InvalidAccessKeyId')
  checkTime(authorization, context.now)
  if (text === header) checkDateHeader(request.headers)
  if (
    context.hostSigned &&
    authorization.signedHeaders.length > 0 &&
    !authorization.signedHeaders.includes('host')
  ) {
    throw new ServiceError('InvalidHTTPAuthHeader', { message: 'The Host header is not signed.' })
  }
  const expected = sign(request, authorization, credential.secretAccessKey)
  if (!equal(expected, authorization.signature)) throw new ServiceError('SignatureDoesNotMatch')
  checkToken(request, credential, context.now)
  return credential.accessKeyId
}

/** The authorization of a request, wherever it is. */
function authorizationOf(request: SignedRequest): string | undefined {
  const header = request.headers['authorization']
  if (typeof header === 'string' && header !== '') return header
  return request.query.find(([name]) => name.toLowerCase() === 'authorization')?.[1]
}

export function isAnonymous(request: SignedRequest): boolean {
  return authorizationOf(request) === undefined
}

/** @throws ServiceError InvalidHTTPAuthHeader */
export function parseAuthorization(text: string): Authorization {
  const parts = text.split('/')
  const [scheme, accessKeyId, timestamp, expires, signedHeaders, signature] = parts
  if (
    parts.length !== 6 ||
    scheme !== 'bce-auth-v1' ||
    accessKeyId === undefined ||
    accessKeyId === '' ||
    timestamp === undefined ||
    expires === undefined ||
    signedHeaders === undefined ||
    signature === undefined ||
    !TIMESTAMP.test(timestamp) ||
    Number.isNaN(Date.parse(timestamp)) ||
    !/^(-1|\d{1,10})$/.test(expires) ||
    !/^[0-9a-f]{64}$/.test(signature)
  ) {
    throw new ServiceError('InvalidHTTPAuthHeader')
  }
  const names = signedHeaders.split(';').filter(name => name !== '')
  return {
    accessKeyId,
    timestamp,
    expires: Number(expires),
    signedHeaders: names.map(name => name.toLowerCase()),
    signature,
  }
}

/** The signature in hex that `authorization` should carry; its own `signature` is not looked at. */
export function sign(
  request: SignedRequest,
  authorization: Omit<Authorization, 'signature'>,
  secret: string,
): string {
  const { accessKeyId, timestamp, expires, signedHeaders } = authorization
  const prefix = `bce-auth-v1/${accessKeyId}/${timestamp}/${expires}`
  const signingKey = hmac(secret, prefix)
  const canonical = [
    request.method,
    canonicalUri(request.rawPath),
    canonicalQuery(request.query),
    canonicalHeaders(request.headers, signedHeaders),
  ]
  return hmac(signingKey, canonical.join('\n'))
}

function hmac(key: string, message: string): string {
  return createHmac('sha256', key).update(message).digest('hex')
}

function canonicalUri(rawPath: string): string {
  const path = uriEncodePath(uriDecode(rawPath))
  return path === '' ? '/' : path
}

function canonicalQuery(query: SignedRequest['query']): string {
  return query
    .filter(([name]) => name.toLowerCase() !== 'authorization')
    .map(([name, value]) => `${uriEncode(name)}=${uriEncode(value)}`)
    .sort()
    .join('&')
}

/** The encoded lines are sorted, not the names: `x-bce-meta-a-b:` comes before `x-bce-meta-a:`. */
function canonicalHeaders(headers: SignedRequest['headers'], signed: readonly string[]): string {
  const names =
    signed.length > 0
      ? new Set(signed)
      : Object.keys(headers).filter(name => DEFAULT_SIGNED.has(name) || name.startsWith('x-bce-'))
  const lines: string[] = []
  for (const name of names) {
    const header = headers[name]
    const value = (typeof header === 'string' ? header : (header?.join(', ') ?? '')).trim()
    if (value !== '') lines.push(`${uriEncode(name)}:${encodeHeaderValue(value)}`)
  }
  return lines.sort().join('\n')
}

function encodeHeaderValue(value: string): string {
  if (!/[\x80-\xff]/.test(value)) return uriEncode(value)
  const bytes = Buffer.from(value, 'latin1')
  return Array.from(bytes, byte =>
    byte < 0x80 ? uriEncode(String.fromCharCode(byte)) : `%${byte.toString(16).toUpperCase()}`,
  ).join('')
}

function checkTime(authorization: Authorization, now: number): void {
  const start = Date.parse(authorization.timestamp)
  if (start > now + MAX_SKEW) throw new ServiceError('RequestTimeTooSkewed')
  if (authorization.expires !== -1 && now > start + authorization.expires * 1000) {
    throw new ServiceError('RequestExpired', {
      message: `Request has expired. Timestamp date is ${authorization.timestamp}.`,
    })
  }
}

function checkDateHeader(headers: SignedRequest['headers']): void {
  if ((headers['x-bce-date'] ?? headers['date'] ?? '') === '') {
    throw new ServiceError('MissingDateHeader')
  }
}

function checkToken(request: SignedRequest, credential: Credential, now: number): void {
  const header = request.headers['x-bce-security-token']
  const sent =
    typeof header === 'string' && header !== ''
      ? header
      : request.query.find(([name]) => name === 'x-bce-security-token')?.[1]
  if (sent === undefined && credential.sessionToken === undefined) return
  if (
    sent === undefined ||
    credential.sessionToken === undefined ||
    now >= (credential.expires ?? Infinity) ||
    !equal(hmac('token', sent), hmac('token', credential.sessionToken))
  ) {
    throw new ServiceError('InvalidSessionToken')
  }
}

/** Constant time for texts of equal length. */
function equal(one: string, other: string): boolean {
  const left = Buffer.from(one)
  const right = Buffer.from(other)
  return left.length === right.length && timingSafeEqual(left, right)
}
