/**
 * Buffers of a few sizes, used again: the first touch of fresh memory costs the kernel about 1 ms per
 * MiB, more than the copy of the bytes themselves, and a small buffer of its own 10 to 25 µs to make and
 * to collect.
 *
 * Keeps a bounded number of bytes that nobody uses. Contents are not cleared.
 */
import type { Bytes } from '../util/units.js'

export class BufferPool {
  readonly #maxIdle: Bytes
  /** By size; those that nobody has asked for are not kept. */
  readonly #idle = new Map<Bytes, Buffer[]>()
  #idleBytes: Bytes = 0

  constructor(maxIdle: Bytes) {
    this.#maxIdle = maxIdle
  }

  take(size: Bytes): Buffer {
    const idle = this.#idle.get(size)
    if (idle === undefined) this.#idle.set(size, [])
    const buffer = idle?.pop()
    // Not from Node's shared slab: a pooled buffer lives long and would keep the slab alive.
    if (buffer === undefined) return Buffer.allocUnsafeSlow(size)
    this.#idleBytes -= size
    return buffer
  }

  /** The caller must not touch the buffer afterwards. */
  give(buffer: Buffer): void {
    if (this.#idleBytes + buffer.length > this.#maxIdle) return
    const idle = this.#idle.get(buffer.length)
    if (idle === undefined) return
    idle.push(buffer)
    this.#idleBytes += buffer.length
  }
}
