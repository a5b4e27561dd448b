/**
 * Encoding and signing of requests (bce-auth-v1). The signature is computed by the SDK's Auth; what is
 * signed is exactly what is sent.
 *
 * @see https://cloud.baidu.com/doc/Reference/s/njwvz1yfu
 */
import { createHmac } from 'node:crypto'
import Auth from '@baiducloud/sdk/src/auth.js'
import type { Milliseconds } from '../../util/units.js'
import type { BosCredentials } from '../credentials/credentials.js'

/** Header, or query parameter, of temporary credentials. */
export const TOKEN_NAME = 'x-bce-security-token'

/** Percent-encodes as bce-auth-v1 demands: everything but A-Z a-z 0-9 - _ . ~ */
function uriEncode(text: string): string {
  if (/^[\w.~-]*$/.test(text)) return text
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** As `uriEncode`, slashes kept; nothing is normalised. */
export function encodeKey(key: string): string {
  if (/^[\w.~/-]*$/.test(key)) return key
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

/** What is signed beside `x-bce-*` where a request does not say. */
const SIGNED_HEADERS = ['host', 'content-md5', 'content-length', 'content-type']

/**
 * The SDK's Auth for one pair of keys. Requests come many to a second, and within one second the key
 * that signs and the text of the time are the same: they are computed once.
 */
class KeptAuth extends Auth {
  readonly #secret: string
  #time = NaN
  #timestamp = ''
  #session = ''
  #signingKey = ''

  constructor({ accessKeyId, secretAccessKey }: BosCredentials) {
    super(accessKeyId, secretAccessKey.reveal())
    this.#secret = secretAccessKey.reveal()
  }

  override getTimestamp(seconds: number): string {
    if (seconds !== this.#time) {
      this.#timestamp = timestamp(seconds * 1000)
      this.#time = seconds
    }
    return this.#timestamp
  }

  /** As the SDK's, for names that need no encoding, at a third of the time and of the garbage. */
  override headersCanonicalization(
    headers: Readonly<Record<string, string>>,
    headersToSign: readonly string[] = SIGNED_HEADERS,
  ): [string, string[]] {
    const lines: string[] = []
    for (const [name, value] of Object.entries(headers)) {
      const lower = name.toLowerCase()
      if (!lower.startsWith('x-bce-') && !headersToSign.includes(lower)) continue
      const text = value.trim()
      if (text !== '') lines.push(`${lower}:${uriEncode(text)}`)
    }
    // Whole lines are sorted, not names: a hyphen comes before the colon.
    lines.sort()
    return [lines.join('\n'), lines.map(line => line.slice(0, line.indexOf(':')))]
  }

  /** Called with the secret for the session's key, then with that for the request. */
  override hash(data: string, key: string): string {
    if (key !== this.#secret) return hmac(data, key)
    if (data !== this.#session) {
      this.#signingKey = hmac(data, key)
      this.#session = data
    }
    return this.#signingKey
  }
}

function hmac(data: string, key: string): string {
  return createHmac('sha256', key).update(data).digest('hex')
}

/** Signs for one client. */
export class Signer {
  #credentials: BosCredentials | undefined
  #auth: KeptAuth | undefined

  /** @returns the value of the Authorization header */
  authorization(credentials: BosCredentials, request: Signable): string {
    const { method, path, params, headers, time, expires = 30 * 60_000, headersToSign } = request
    return this.#authOf(credentials).generateAuthorization(
      method,
      path,
      namesEncoded(params),
      headers,
      Math.floor(time / 1000),
      Math.max(1, Math.ceil(expires / 1000)),
      headersToSign,
    )
  }

  /** The time of a request in `x-bce-date`. */
  timestamp(credentials: BosCredentials, time: Milliseconds): string {
    return this.#authOf(credentials).getTimestamp(Math.floor(time / 1000))
  }

  #authOf(credentials: BosCredentials): KeptAuth {
    if (this.#auth === undefined || credentials !== this.#credentials) {
      this.#auth = new KeptAuth(credentials)
      this.#credentials = credentials
    }
    return this.#auth
  }
}

/** Auth encodes the values of a query, not its names. */
function namesEncoded(params: Readonly<Record<string, string>>): Record<string, string> {
  const encoded: Record<string, string> = {}
  for (const [name, value] of Object.entries(params)) encoded[uriEncode(name)] = value
  return encoded
}
