/**
 * Checks the bytes of a whole object against what the service says of it: its CRC-32 if it gives one,
 * else the MD5 in Content-MD5 or, where that is one, in the etag. Parts of an object have no checksum.
 *
 * An etag is the MD5 of an object that was put in one piece (multipart etags begin with a hyphen); of appendable, symbolic and encrypted objects that is not promised, so they are not checked
 * by it.
 */
import { createHash } from 'node:crypto'
import { crc32Of } from '../../util/checksum.js'
import { BosError } from './error.js'

/** The bytes are not those that were stored. */
export class DamagedError extends BosError {
  constructor(message: string) {
    super(message, { kind: 'integrity' })
  }
}

export interface Verifier {
  /** Takes the next bytes, in order. */
  update(chunk: Uint8Array): void
  /** @throws DamagedError */
  check(): void
}

type Headers = Readonly<Record<string, string>>

/** What can be checked about a whole object; undefined if the service gives no checksum. */
export function verifierOf(headers: Headers): Verifier | undefined {
  const crc = headers['x-bce-content-crc32']
  if (crc !== undefined && /^\d{1,10}$/.test(crc)) return byCrc(Number(crc))
  const md5 = md5Of(headers)
  return md5 === undefined ? undefined : byMd5(md5)
}

function md5Of(headers: Headers): string | undefined {
  const given = Buffer.from(headers['content-md5'] ?? '', 'base64')
  if (given.length === 16) return given.toString('hex')
  const type = headers['x-bce-object-type'] ?? 'Normal'
  const isEncrypted = headers['x-bce-server-side-encryption'] !== undefined
  if (type !== 'Normal' || isEncrypted) return undefined
  return /^"?([0-9a-f]{32})"?$/.exec(headers['etag'] ?? '')?.[1]
}

function byCrc(expected: number): Verifier {
  let crc = 0
  return {
    update: chunk => {
      crc = crc32Of([chunk], crc)
    },
    check: () => compare('CRC-32', String(crc), String(expected)),
  }
}

function byMd5(expected: string): Verifier {
  const hash = createHash('md5')
  return {
    update: chunk => void hash.update(chunk),
    check: () => compare('MD5', hash.digest('hex'), expected),
  }
}

function compare(what: string, received: string, expected: string): void {
  if (received === expected) return
  throw new DamagedError(`the content has ${what} ${received} instead of ${expected}`)
}
