/**
 * Encoding and signing of requests (bce-auth-v1). The signature is computed by the SDK's Auth; what is
 * signed is exactly what is sent.
 *
 * @see https://cloud.baidu.com/doc/Reference/s/njwvz1yfu
 */
import Auth from '@baiducloud/sdk/src/auth.js'
import type { Milliseconds } from '../../util/units.js'
import type { BosCredentials } from '../credentials/credentials.js'

/** Header, or query parameter, of temporary credentials. */
export const TOKEN_NAME = 'x-bce-security-token'

/** Percent-encodes as bce-auth-v1 demands: everything but A-Z a-z 0-9 - _ . ~ */
export function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** As `uriEncode`, slashes kept; nothing is normalised. */
export function encodeKey(key: string): string {
  return uriEncode(key).replaceAll('%2F', '/')
}

/** The query with its question mark; empty without parameters. */
export function encodeQuery(params: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(params).map(([name, value]) =>
    value === '' ? uriEncode(name) : `${uriEncode(name)}=${uriEncode(value)}`,
  )
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`
}

/** As `x-bce-date` wants it: whole seconds, UTC. */
export function timestamp(time: Milliseconds): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`
}

export interface Signable {
  readonly method: string
  /** Percent-encoded. */
  readonly path: string
  /** Raw. */
  readonly params: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  /** When it is signed, by the service's clock. */
  readonly time: Milliseconds
  /** How long the signature holds; default 30 minutes. */
  readonly expires?: Milliseconds
  /** Default host, content-length, content-type, content-md5; `x-bce-*` are always signed. */
  readonly headersToSign?: readonly string[]
}

/** The value of the Authorization header. */
export function authorization(credentials: BosCredentials, request: Signable): string {
  const { method, path, params, headers, time, expires = 30 * 60_000, headersToSign } = request
  // Auth encodes the values of a query, not its names.
  const named = Object.entries(params).map(([name, value]) => [uriEncode(name), value] as const)
  return new Auth(
    credentials.accessKeyId,
    credentials.secretAccessKey.reveal(),
  ).generateAuthorization(
    method,
    path,
    Object.fromEntries(named),
    headers,
    Math.floor(time / 1000),
    Math.max(1, Math.ceil(expires / 1000)),
    headersToSign,
  )
}
