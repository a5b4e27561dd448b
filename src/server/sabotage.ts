/**
 * What the faults that act on one request do to the bytes and headers that come in and go out. Pure but
 * for the bytes of an upload, which are changed in place.
 */
import type { Bytes, Milliseconds } from '../util/units.js'
import type { Fault } from './faults.js'

type Kind = Fault['kind']
type Of<K extends Kind> = Extract<Fault, { kind: K }>

export class Sabotage {
  readonly #faults: readonly Fault[]

  constructor(faults: readonly Fault[] = []) {
    this.#faults = faults
  }

  find<K extends Kind>(kind: K): Of<K> | undefined {
    return this.#faults.find((fault): fault is Of<K> => fault.kind === kind)
  }

  has(kind: Kind): boolean {
    return this.find(kind) !== undefined
  }

  /** How long to wait before anything is done. */
  get pause(): Milliseconds {
    return this.#faults.reduce((sum, fault) => sum + (fault.kind === 'delay' ? fault.delay : 0), 0)
  }

  /** How far the Date of the response is off. */
  get skew(): Milliseconds {
    return this.find('skew-date')?.skew ?? 0
  }

  /** Bytes of the request body after which the connection is reset. */
  get uploadLimit(): Bytes {
    return this.find('reset-upload')?.after ?? Infinity
  }

  /** Bytes of the response body that go out. */
  get downloadLimit(): Bytes {
    const cut = this.find('reset-download') ?? this.find('truncate') ?? this.find('hang-download')
    return cut?.after ?? Infinity
  }

  /** @param position of the first byte in the request body */
  spoilUpload(bytes: Uint8Array, position: Bytes): void {
    flip(bytes, this.find('corrupt-upload'), position)
  }

  /**
   * The bytes to send instead of these: fewer, or others.
   * @param position of the first byte in the response body
   */
  spoilDownload(bytes: Uint8Array, position: Bytes): Uint8Array {
    const left = Math.max(0, this.downloadLimit - position)
    const allowed = left >= bytes.byteLength ? bytes : bytes.subarray(0, left)
    const corrupt = this.find('corrupt')
    if (corrupt === undefined) return allowed
    // The bytes may be those that are stored.
    const copy = Uint8Array.from(allowed)
    flip(copy, corrupt, position)
    return copy
  }

  spoilHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const wrong = this.find('wrong-length')
    const length = headers['Content-Length']
    if (wrong === undefined || length === undefined) return headers
    return { ...headers, 'Content-Length': String(Math.max(0, Number(length) + wrong.by)) }
  }
}

function flip(bytes: Uint8Array, fault: { at?: Bytes } | undefined, position: Bytes): void {
  const at = (fault?.at ?? 0) - position
  const byte = bytes[at]
  if (fault !== undefined && byte !== undefined) bytes[at] = byte ^ 0x01
}
