/** What a file must hold, and how what is read of it is held against that. */
import type { Buffer } from 'node:buffer'

/** What was wrong, with the operations before it. */
export class FsxError extends Error {
  override readonly name = 'FsxError'
}

export class Model {
  readonly #bytes: Buffer
  #size = 0

  /** @param bytes As many as the file may ever have. */
  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get size(): number {
    return this.#size
  }

  get limit(): number {
    return this.#bytes.length
  }

  /** What is there of a range. */
  slice(offset: number, length: number): Buffer {
    return this.#bytes.subarray(Math.min(offset, this.#size), Math.min(offset + length, this.#size))
  }

  /** Takes other content than it had. */
  become(content: Buffer): void {
    content.copy(this.#bytes)
    this.#size = content.length
  }

  write(offset: number, bytes: Uint8Array): void {
    if (offset > this.#size) this.#bytes.fill(0, this.#size, offset)
    this.#bytes.set(bytes, offset)
    this.#size = Math.max(this.#size, offset + bytes.length)
  }

  resize(size: number): void {
    if (size > this.#size) this.#bytes.fill(0, this.#size, size)
    this.#size = size
  }

  /** Zeros where the range lies in the file. */
  clear(offset: number, length: number): void {
    if (offset < this.#size) this.#bytes.fill(0, offset, Math.min(offset + length, this.#size))
  }

  /** @throws FsxError that tells where it differs */
  compare(found: Buffer, offset: number, length: number): void {
    const expected = this.slice(offset, length)
    if (found.equals(expected)) return
    if (found.length !== expected.length) {
      throw new FsxError(`${found.length} bytes at ${offset}, not ${expected.length}`)
    }
    const at = found.findIndex((byte, index) => byte !== expected[index])
    const end = found.findLastIndex((byte, index) => byte !== expected[index])
    throw new FsxError(
      `wrong bytes from ${offset + at} to ${offset + end}: ` +
        `${found.subarray(at, at + 8).toString('hex')}… not ${expected.subarray(at, at + 8).toString('hex')}…`,
    )
  }
}
