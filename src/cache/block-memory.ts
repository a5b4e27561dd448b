/**
 * Memory for blocks of one size, carved from slabs and used again for ever.
 *
 * Why used again for ever: the first touch of fresh memory costs the kernel 0.4 to 0.5 ms per MiB, as
 * much as all the rest of a read. A slab that was never touched costs nothing. Why slabs that could be
 * shared between threads, though nobody does: V8 collects garbage after so many bytes of new memory
 * outside its heap, for each slab of 64 MiB the whole heap; shared memory it does not count.
 * docs/PERFORMANCE.md has the figures.
 *
 * More blocks than the capacity are possible for a while; those have memory of their own, which is not
 * kept. Contents are not cleared.
 *
 * SizedMemory has such memory for whole blocks and for shorter ones: small files, the ends of files.
 */
import { Buffer } from 'node:buffer'
import { KiB, MiB, type Bytes } from '../util/units.js'

const SLAB: Bytes = 64 * MiB
/** Sizes of memory for short blocks that is used again: what is made anew costs 10 to 25 µs. */
const SHORT_BLOCKS: readonly Bytes[] = [0.5, 1, 2, 4, 8, 16, 32, 64].map(size => size * KiB)
/** Each of them has no more than this part of the capacity. */
const SHORT_SHARE = 32

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

export class SizedMemory {
  readonly #whole: BlockMemory
  /** By size, the least first. */
  readonly #short: readonly BlockMemory[]

  /** @param capacity  most bytes of whole blocks that are kept; short ones may add a quarter to it */
  constructor(blockSize: Bytes, capacity: Bytes) {
    this.#whole = new BlockMemory(blockSize, capacity)
    this.#short = SHORT_BLOCKS.filter(size => size < blockSize).map(
      size => new BlockMemory(size, Math.floor(capacity / SHORT_SHARE)),
    )
  }

  /** The memory of the least size that holds so many bytes, at most those of a whole block. */
  for(length: Bytes): BlockMemory {
    if (length > this.#whole.blockSize / 2) return this.#whole
    return this.#short.find(({ blockSize }) => length <= blockSize) ?? this.#whole
  }

  /** As BlockMemory.give. */
  give(buffer: Buffer): void {
    const { length } = buffer
    const memory =
      length === this.#whole.blockSize
        ? this.#whole
        : this.#short.find(({ blockSize }) => blockSize === length)
    memory?.give(buffer)
  }
}
