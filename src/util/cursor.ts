/**
 * Bounds-checked cursors over bytes in little-endian order, for wire and file formats.
 *
 * A cursor is made once and pointed at one stretch of bytes after another (`reset`), so that a
 * codec on a hot path makes no garbage. Every access checks the limit of that stretch, not the size
 * of the memory around it. 64-bit values are numbers: one outside the safe range is refused, unless
 * the method says otherwise. Neither class copies what it is pointed at.
 */
import { Buffer, isUtf8 } from 'node:buffer'
import type { Bytes } from './units.js'

const TWO_TO_32 = 2 ** 32
const REPLACEMENT = '\ufffd'

/** A Buffer over the same memory: it alone decodes and encodes text at an offset without a copy. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

const NOTHING = Buffer.alloc(0)

/** Reads forward. Every method throws RangeError rather than read past the end. */
export class ByteReader {
  #bytes: Buffer = NOTHING
  #view: DataView = viewOf(NOTHING)
  #position = 0
  #end = 0

  /** Points the cursor at `bytes[start, end)`. */
  reset(bytes: Uint8Array, start = 0, end = bytes.length): this {
    if (start < 0 || end > bytes.length || start > end) {
      throw new RangeError(`no bytes ${start} to ${end} in ${bytes.length}`)
    }
    if (bytes !== this.#bytes) {
      this.#bytes = asBuffer(bytes)
      this.#view = viewOf(bytes)
    }
    this.#position = start
    this.#end = end
    return this
  }

  get position(): Bytes {
    return this.#position
  }

  get remaining(): Bytes {
    return this.#end - this.#position
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2), true)
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true)
  }

  i32(): number {
    return this.#view.getInt32(this.#advance(4), true)
  }

  /** @throws RangeError above Number.MAX_SAFE_INTEGER */
  u64(): number {
    const value = this.u64Rounded()
    if (value > Number.MAX_SAFE_INTEGER) throw new RangeError(`${value} is no safe integer`)
    return value
  }

  /** As `u64`, but a value above the safe range is returned rounded, and is still above it. */
  u64Rounded(): number {
    const at = this.#advance(8)
    return this.#view.getUint32(at + 4, true) * TWO_TO_32 + this.#view.getUint32(at, true)
  }

  /** @throws RangeError outside the safe range */
  i64(): number {
    const at = this.#advance(8)
    const value = this.#view.getInt32(at + 4, true) * TWO_TO_32 + this.#view.getUint32(at, true)
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no safe integer`)
    return value
  }

  skip(length: Bytes): this {
    this.#advance(length)
    return this
  }

  /** The next bytes, as they lie in memory. */
  bytes(length: Bytes): Uint8Array {
    const at = this.#advance(length)
    return this.#bytes.subarray(at, at + length)
  }

  /** How many bytes there are before the next NUL. @throws RangeError without one */
  lengthBeforeNul(): Bytes {
    const nul = this.#bytes.indexOf(0, this.#position)
    if (nul < 0 || nul >= this.#end) throw new RangeError('text without a NUL at its end')
    return nul - this.#position
  }

  /** Text of so many bytes, or undefined if they are not UTF-8. */
  utf8(length: Bytes): string | undefined {
    const at = this.#advance(length)
    const text = this.#bytes.toString('utf8', at, at + length)
    // Decoding replaces what is invalid; only then is it worth to look at the bytes again.
    if (text.includes(REPLACEMENT) && !isUtf8(this.#bytes.subarray(at, at + length))) {
      return undefined
    }
    return text
  }

  #advance(length: Bytes): number {
    const at = this.#position
    if (length < 0 || length > this.#end - at) {
      throw new RangeError(`${length} bytes wanted at ${at}, but the end is ${this.#end}`)
    }
    this.#position = at + length
    return at
  }
}

/** Writes forward. Every method throws RangeError rather than write past the end. */
export class ByteWriter {
  #bytes: Buffer = NOTHING
  #view: DataView = viewOf(NOTHING)
  #position = 0

  /** Points the cursor at `bytes`, from `start` to their end. */
  reset(bytes: Uint8Array, start = 0): this {
    if (bytes !== this.#bytes) {
      this.#bytes = asBuffer(bytes)
      this.#view = viewOf(bytes)
    }
    return this.seek(start)
  }

  /** Moves the cursor, for example back to a length that is known only at the end. */
  seek(position: Bytes): this {
    if (position < 0 || position > this.#bytes.length) {
      throw new RangeError(`no position ${position} in ${this.#bytes.length} bytes`)
    }
    this.#position = position
    return this
  }

  get position(): Bytes {
    return this.#position
  }

  get remaining(): Bytes {
    return this.#bytes.length - this.#position
  }

  u16(value: number): this {
    this.#view.setUint16(this.#advance(2), value, true)
    return this
  }

  u32(value: number): this {
    this.#view.setUint32(this.#advance(4), value, true)
    return this
  }

  i32(value: number): this {
    this.#view.setInt32(this.#advance(4), value, true)
    return this
  }

  /** Signed or not: a negative number is written as its two's complement. */
  u64(value: number): this {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no safe integer`)
    const at = this.#advance(8)
    this.#view.setUint32(at, value >>> 0, true)
    this.#view.setUint32(at + 4, Math.floor(value / TWO_TO_32), true)
    return this
  }

  zeros(length: Bytes): this {
    const at = this.#advance(length)
    this.#bytes.fill(0, at, at + length)
    return this
  }

  bytes(source: Uint8Array): this {
    this.#bytes.set(source, this.#advance(source.length))
    return this
  }

  /** @returns how many bytes the text took */
  utf8(text: string): Bytes {
    const length = Buffer.byteLength(text)
    this.#bytes.write(text, this.#advance(length))
    return length
  }

  #advance(length: Bytes): number {
    const at = this.#position
    if (length < 0 || length > this.#bytes.length - at) {
      throw new RangeError(`no room for ${length} bytes at ${at} of ${this.#bytes.length}`)
    }
    this.#position = at + length
    return at
  }
}
