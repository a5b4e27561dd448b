/**
 * Checksums of a content's file, one for each block of 128 KiB, and how they are kept: in a table behind the
 * content. Pure.
 *
 * What is written at once begins at the beginning of a block, so each block is known as a whole when it is
 * written; the last of a write may be short. The table says how long each block is and its CRC-32; a
 * trailer of magic number, number of blocks and CRC-32 of the table ends the file.
 */
import { crc32Of } from '../util/checksum.js'
import { KiB, type Bytes } from '../util/units.js'

/** What a checksum covers. Small, so that who wants little of a content has little to read for it. */
export const SUMMED: Bytes = 128 * KiB
/** `BMC1` */
const MAGIC = 0x424d4331
/** Magic number, number of blocks, CRC-32 of the table. */
export const TRAILER: Bytes = 12
/** Length and CRC-32 of one block. */
const ROW: Bytes = 8

export interface BlockSum {
  readonly start: Bytes
  readonly length: Bytes
  readonly crc: number
}

export class ContentSums {
  readonly #lengths: Bytes[] = []
  readonly #crcs: number[] = []

  /** Takes note of what is written at `offset`, which is the beginning of a block. */
  add(offset: Bytes, pieces: readonly Uint8Array[]): void {
    let index = offset / SUMMED
    let block: Uint8Array[] = []
    let length = 0
    const end = (): void => {
      this.#lengths[index] = length
      this.#crcs[index] = crc32Of(block)
      index += 1
      block = []
      length = 0
    }
    for (const piece of pieces) {
      for (let at = 0; at < piece.length;) {
        const taken = piece.subarray(at, at + SUMMED - length)
        block.push(taken)
        length += taken.length
        at += taken.length
        if (length === SUMMED) end()
      }
    }
    if (length > 0) end()
  }

  /** The blocks that bytes [offset, offset+length) lie in; of none that was never written. */
  *covering(offset: Bytes, length: Bytes): Generator<BlockSum> {
    for (let index = Math.floor(offset / SUMMED); index * SUMMED < offset + length; index += 1) {
      const [size = 0, crc = 0] = [this.#lengths[index], this.#crcs[index]]
      yield { start: index * SUMMED, length: size, crc }
    }
  }

  /** What is to be written behind the content. */
  encode(): Buffer {
    const count = this.#lengths.length
    const bytes = Buffer.alloc(count * ROW + TRAILER)
    for (let index = 0; index < count; index += 1) {
      bytes.writeUInt32BE(this.#lengths[index] ?? 0, index * ROW)
      bytes.writeUInt32BE(this.#crcs[index] ?? 0, index * ROW + 4)
    }
    const table = bytes.subarray(0, count * ROW)
    bytes.writeUInt32BE(MAGIC, table.length)
    bytes.writeUInt32BE(count, table.length + 4)
    bytes.writeUInt32BE(crc32Of([table]), table.length + 8)
    return bytes
  }

  /** How many bytes the table takes that a trailer ends; undefined if it is none. */
  static tableLength(trailer: Buffer): Bytes | undefined {
    return trailer.readUInt32BE(0) === MAGIC ? trailer.readUInt32BE(4) * ROW : undefined
  }

  /** @returns undefined if the table is not what was written */
  static decode(table: Buffer, trailer: Buffer): ContentSums | undefined {
    if (crc32Of([table]) !== trailer.readUInt32BE(8)) return undefined
    const sums = new ContentSums()
    for (let at = 0; at < table.length; at += ROW) {
      sums.#lengths.push(table.readUInt32BE(at))
      sums.#crcs.push(table.readUInt32BE(at + 4))
    }
    return sums
  }
}
