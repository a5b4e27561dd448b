/**
 * The checksums of a body: what the client announced, what came, and whether they agree.
 *
 * All of it happens on the main thread. MD5 is most of the cost of a PUT, but moving it to a worker over
 * shared buffers has not paid where a client shares the two cores: between 0.8 and 1.2 times as fast.
 *
 * MD5 is always computed, because it is the etag, and CRC-32, because it costs little; SHA-256,
 * CRC-32C and CRC-64 only when announced.
 */
import { createHash, type Hash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { crc32 } from 'node:zlib'
import { crc32c } from './crc32c.js'
import { Crc64 } from './crc64.js'
import { ServiceError } from './errors.js'

/** Announced checksums in the form that `Digests` ends with. */
export interface AnnouncedDigests {
  /** Hex. */
  readonly md5?: string
  /** Hex. */
  readonly sha256?: string
  readonly crc32?: number
  readonly crc32c?: number
  /** Unsigned, in decimal. */
  readonly crc64?: string
}

export interface FinishedDigests {
  /** Hex. */
  readonly md5: string
  /** Unsigned. */
  readonly crc32: number
  readonly crc32c?: number
}

/** @throws ServiceError BadDigest for a value that no body could have */
export function readAnnounced(headers: IncomingHttpHeaders): AnnouncedDigests {
  const md5 = headers['content-md5']
  const sha256 = text(headers['x-bce-content-sha256'])?.toLowerCase()
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256)) throw new ServiceError('BadDigest')
  const crc = decimal(headers['x-bce-content-crc32'])
  const castagnoli = decimal(headers['x-bce-content-crc32c'])
  const crc64 = text(headers['x-bce-content-crc64ecma'])
  if (crc64 !== undefined && !/^\d{1,20}$/.test(crc64)) throw new ServiceError('BadDigest')
  return {
    ...(typeof md5 === 'string' && md5 !== '' ? { md5: fromBase64(md5) } : {}),
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(crc === undefined ? {} : { crc32: crc }),
    ...(castagnoli === undefined ? {} : { crc32c: castagnoli }),
    ...(crc64 === undefined ? {} : { crc64: String(BigInt(crc64)) }),
  }
}

function text(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function decimal(value: string | string[] | undefined): number | undefined {
  const digits = text(value)
  if (digits === undefined) return undefined
  const number = Number(digits)
  if (!/^\d{1,10}$/.test(digits) || number > 0xffffffff) throw new ServiceError('BadDigest')
  return number
}

function fromBase64(value: string): string {
  const bytes = Buffer.from(value, 'base64')
  if (bytes.length !== 16) throw new ServiceError('BadDigest')
  return bytes.toString('hex')
}

/** Computes what is needed to answer and to check the announced values. */
export class Digests {
  readonly #announced: AnnouncedDigests
  readonly #md5: Hash = createHash('md5')
  readonly #sha256: Hash | undefined
  #crc32 = 0
  #crc32c: number | undefined
  readonly #crc64: Crc64 | undefined

  constructor(announced: AnnouncedDigests = {}) {
    this.#announced = announced
    this.#sha256 = announced.sha256 === undefined ? undefined : createHash('sha256')
    this.#crc32c = announced.crc32c === undefined ? undefined : 0
    this.#crc64 = announced.crc64 === undefined ? undefined : new Crc64()
  }

  update(bytes: Uint8Array): void {
    this.#md5.update(bytes)
    this.#crc32 = crc32(bytes, this.#crc32)
    this.#sha256?.update(bytes)
    this.#crc64?.update(bytes)
    if (this.#crc32c !== undefined) this.#crc32c = crc32c(bytes, this.#crc32c)
  }

  /** @throws ServiceError BadDigest */
  finish(): FinishedDigests {
    const md5 = this.#md5.digest('hex')
    const announced = this.#announced
    const differs =
      (announced.md5 ?? md5) !== md5 ||
      announced.sha256 !== this.#sha256?.digest('hex') ||
      (announced.crc32 ?? this.#crc32) !== this.#crc32 ||
      announced.crc32c !== this.#crc32c ||
      announced.crc64 !== this.#crc64?.digest()
    if (differs) throw new ServiceError('BadDigest')
    const castagnoli = this.#crc32c
    return { md5, crc32: this.#crc32, ...(castagnoli === undefined ? {} : { crc32c: castagnoli }) }
  }
}
