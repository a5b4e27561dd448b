/**
 * Buffers of one size, used again: the first touch of fresh memory costs the kernel about 1 ms per
 * MiB, more than the copy of the bytes themselves.
 *
 * Keeps at most `maxIdle` buffers that nobody uses. Contents are not cleared.
 */
import type { Bytes } from '../util/units.js'

export class BufferPool {
  readonly bufferSize: Bytes
  readonly #maxIdle: number
  readonly #idle: Buffer[] = []

  constructor(bufferSize: Bytes, maxIdle: number) {
    this.bufferSize = bufferSize
    this.#maxIdle = maxIdle
  }

  take(): Buffer {
    // Not from Node's shared slab: a pooled buffer lives long and would keep the slab alive.
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(this.bufferSize)
  }

  /** The caller must not touch the buffer afterwards. Buffers of another size are dropped. */
  give(buffer: Buffer): void {
    if (buffer.length === this.bufferSize && this.#idle.length < this.#maxIdle)
      this.#idle.push(buffer)
  }
}
