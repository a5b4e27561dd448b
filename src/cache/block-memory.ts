/**
 * Memory for blocks of one size, carved from slabs and used again for ever.
 *
 * Why used again for ever: the first touch of fresh memory costs the kernel 0.4 to 0.5 ms per MiB, as
 * much as all the rest of a read. A slab that was never touched costs nothing. Why slabs that could be
 * shared between threads, though nobody does: V8 collects garbage after so many bytes of new memory
 * outside its heap, for each slab of 64 MiB the whole heap; shared memory it does not count.
 * ARCHITECTURE.md has the figures.
 *
 * More blocks than the capacity are possible for a while; those have memory of their own, which is not
 * kept. Contents are not cleared.
 */
import { Buffer } from 'node:buffer'
import { MiB, type Bytes } from '../util/units.js'

const SLAB: Bytes = 64 * MiB

export class BlockMemory {
  readonly blockSize: Bytes
  readonly #slabs = new Set<ArrayBufferLike>()
  readonly #free: Buffer[] = []
  /** Blocks that may still be carved, of all slabs and of the last one. */
  #left: number
  #slab: Buffer = Buffer.alloc(0)
  #position: Bytes = 0

  /** @param capacity  in whole blocks of this at most is memory kept */
  constructor(blockSize: Bytes, capacity: Bytes) {
    this.blockSize = blockSize
    this.#left = Math.floor(capacity / blockSize)
  }

  take(): Buffer {
    // The last one used is the likeliest to be in the processor's cache.
    return this.#free.pop() ?? this.#carve() ?? Buffer.allocUnsafeSlow(this.blockSize)
  }

  /** The caller must not touch the buffer afterwards. Buffers from elsewhere are dropped. */
  give(buffer: Buffer): void {
    if (this.#slabs.has(buffer.buffer)) this.#free.push(buffer)
  }

  #carve(): Buffer | undefined {
    if (this.#left === 0) return undefined
    if (this.#position === this.#slab.length) {
      const blocks = Math.max(1, Math.min(this.#left, Math.floor(SLAB / this.blockSize)))
      this.#slab = Buffer.from(new SharedArrayBuffer(blocks * this.blockSize))
      this.#slabs.add(this.#slab.buffer)
      this.#position = 0
    }
    this.#left -= 1
    const from = this.#position
    this.#position += this.blockSize
    return this.#slab.subarray(from, this.#position)
  }
}
