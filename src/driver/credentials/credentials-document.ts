/**
 * What a credentials command prints: one JSON object with an access key id, a secret, and for temporary
 * credentials a token and the time they expire. Names are read as Baidu's STS answers them
 * (`accessKeyId`, `secretAccessKey`, `sessionToken`, `expiration`), in any case and with or without
 * underscores; `accesskeysecret`, `securitytoken` and `expiretime` mean the same.
 *
 * Pure. An error never repeats what was printed.
 *
 * @see https://cloud.baidu.com/doc/IAM/s/Qjwvyc8ov (GetSessionToken)
 */
import { Secret } from '../../util/secret.js'
import type { Milliseconds } from '../../util/units.js'
import type { BosCredentials } from './credentials.js'

export interface CredentialsDocument {
  readonly credentials: BosCredentials
  /** Milliseconds since 1970; absent for credentials that last. */
  readonly expires?: Milliseconds
}

const NAMES = {
  id: ['accesskeyid'],
  secret: ['secretaccesskey', 'accesskeysecret'],
  token: ['sessiontoken', 'securitytoken'],
  expires: ['expiration', 'expiretime'],
} as const

/** @throws Error that says what is missing */
export function parseCredentialsDocument(text: string): CredentialsDocument {
  const values = readObject(text)
  const find = (names: readonly string[]): string => {
    const value = names.map(name => values.get(name)).find(found => found !== undefined)
    return typeof value === 'string' ? value : ''
  }
  const [id, secret, token] = [find(NAMES.id), find(NAMES.secret), find(NAMES.token)]
  if (id === '' || /[\s/]/.test(id)) throw new Error('no usable accessKeyId in the JSON')
  if (secret === '') throw new Error('no secretAccessKey in the JSON')
  const expires = readExpiry(find(NAMES.expires))
  return {
    credentials: {
      accessKeyId: id,
      secretAccessKey: new Secret(secret),
      ...(token === '' ? {} : { sessionToken: new Secret(token) }),
    },
    ...(expires === undefined ? {} : { expires }),
  }
}

function readObject(text: string): ReadonlyMap<string, unknown> {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    // The parser's own message quotes the text.
    throw new Error('its output is not JSON')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new Error('its output is not a JSON object')
  }
  return new Map(
    Object.entries(parsed).map(([name, value]) => [name.toLowerCase().replaceAll('_', ''), value]),
  )
}

function readExpiry(text: string): Milliseconds | undefined {
  if (text === '') return undefined
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw new Error('expiration in the JSON is no time')
  return time
}
