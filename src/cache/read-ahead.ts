/**
 * Decides which blocks to fetch before they are asked for. One per open handle; pure, no I/O.
 *
 * Model: a read that starts where the last one ended, or within one block after it (the kernel may
 * send neighbouring reads out of order), is sequential. Each sequential read doubles the window up to
 * its maximum; any other read closes it, so random reads fetch only what they ask for.
 */
import type { Bytes } from '../util/units.js'

export interface ReadAheadOptions {
  blockSize: Bytes
  /** Most blocks fetched ahead. */
  maxBlocks: number
}

export class ReadAhead {
  readonly #blockSize: Bytes
  readonly #maxBlocks: number
  #next: Bytes = 0
  #window = 0
  #fetched = 0

  constructor({ blockSize, maxBlocks }: ReadAheadOptions) {
    this.#blockSize = blockSize
    this.#maxBlocks = maxBlocks
  }

  /**
   * Takes note of a read of [offset, offset+length).
   *
   * @returns indices of blocks to fetch now, in order: those of the window that were not yet named
   */
  advance(offset: Bytes, length: Bytes): readonly number[] {
    const end = offset + length
    const distance = offset - this.#next
    const sequential = distance > -2 * this.#blockSize && distance <= this.#blockSize
    if (!sequential) {
      this.#next = end
      this.#window = 0
      this.#fetched = 0
      return []
    }
    // Of reads out of order, the one furthest on tells where the reader is.
    this.#next = Math.max(this.#next, end)
    this.#window = Math.min(Math.max(1, this.#window * 2), this.#maxBlocks)
    const first = Math.max(Math.ceil(this.#next / this.#blockSize), this.#fetched)
    const last = Math.floor((this.#next - 1) / this.#blockSize) + this.#window
    if (last < first) return []
    this.#fetched = last + 1
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  }
}
