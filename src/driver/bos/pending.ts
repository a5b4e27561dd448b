/**
 * Bytes on their way into a part: copied from what the caller gives, into slabs that grow, so that a
 * small file takes little memory and tiny writes do not make thousands of pieces.
 */
import { KiB, MiB, type Bytes } from '../../util/units.js'

const FIRST_SLAB: Bytes = 64 * KiB
const LARGEST_SLAB: Bytes = MiB

export class PendingBytes {
  #slabs: Buffer[] = []
  /** Bytes used of the last slab. */
  #used: Bytes = 0
  #length: Bytes = 0

  get length(): Bytes {
    return this.#length
  }

  /** Copies `data` behind what is there. */
  append(data: Uint8Array): void {
    let at = 0
    while (at < data.length) {
      const slab = this.#room()
      const piece = data.subarray(at, at + slab.length - this.#used)
      slab.set(piece, this.#used)
      this.#used += piece.length
      this.#length += piece.length
      at += piece.length
    }
  }

  /** Everything, as it lies; valid until the next call of another method. */
  peek(): Buffer[] {
    return this.#slabs.map((slab, index) =>
      index === this.#slabs.length - 1 ? slab.subarray(0, this.#used) : slab,
    )
  }

  /** Takes the first `count` bytes out. What is left is not copied but shares their slab. */
  take(count: Bytes): Buffer[] {
    const taken: Buffer[] = []
    const left: Buffer[] = []
    let missing = count
    for (const slab of this.peek()) {
      const piece = slab.subarray(0, missing)
      if (piece.length > 0) taken.push(piece)
      if (piece.length < slab.length) left.push(slab.subarray(piece.length))
      missing -= piece.length
    }
    this.#length -= count - missing
    this.#slabs = left
    this.#used = left.at(-1)?.length ?? 0
    return taken
  }

  #room(): Buffer {
    const last = this.#slabs.at(-1)
    if (last !== undefined && this.#used < last.length) return last
    const size = Math.min(LARGEST_SLAB, Math.max(FIRST_SLAB, this.#length))
    const slab = Buffer.allocUnsafeSlow(size)
    this.#slabs.push(slab)
    this.#used = 0
    return slab
  }
}
