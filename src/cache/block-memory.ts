/**
 * Memory for blocks of one size, carved from slabs and used again for ever.
 *
 * Why not a buffer per block: V8 counts every piece of memory outside its heap, and collects garbage
 * after so many bytes of new ones, a fifth of the time of a cold read while a cache fills. Why for ever:
 * the first touch of fresh memory costs about 0.5 ms per MiB, more than the bytes that are put there.
 * A slab that was never touched costs nothing.
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
      this.#slab = Buffer.allocUnsafeSlow(blocks * this.blockSize)
      this.#slabs.add(this.#slab.buffer)
      this.#position = 0
    }
    this.#left -= 1
    const from = this.#position
    this.#position += this.blockSize
    return this.#slab.subarray(from, this.#position)
  }
}
