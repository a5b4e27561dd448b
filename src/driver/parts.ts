/**
 * How a file is cut into parts. BOS takes 10,000 parts of up to 5 GiB, and so objects of up to 48.8 TiB:
 * parts of one fixed size would end either small files' parallelism or large files early. So a part is
 * one chunk until a thousand are full, and from there on a thousandth of what lies before it.
 *
 * With chunks of 5 MiB that reaches 15 TiB, with 10 MiB 18 TiB, three times the 5 TB that BOS's older
 * documents allow, at parts of 100 MiB for the first 100 GiB: a part has to fit into memory. BOS's
 * own limit needs 5 GiB in every part, and so a `chunksize` of that.
 *
 * Pure. The same limits always give the same cut, in any process.
 */
import { MiB, type Bytes } from '../util/units.js'
import type { PartLimits } from './driver.js'

type Limits = Pick<PartLimits, 'partSize' | 'maxPartSize' | 'maxParts'>

/** A part is one chunk, or this fraction of what lies before it. */
const GROWTH = 1000

/** Size of the part that begins at `offset`: whole mebibytes if the chunk size is one. */
export function partSizeAt(offset: Bytes, { partSize, maxPartSize }: Limits): Bytes {
  const grown = Math.ceil(offset / GROWTH / MiB) * MiB
  return Math.min(maxPartSize, Math.max(partSize, grown))
}

export interface PartRange {
  /** From 1. */
  readonly partNumber: number
  readonly offset: Bytes
  readonly size: Bytes
}

/** The cut of a file from its beginning: which part holds which bytes. */
export class PartLayout {
  /** Where each part begins, and after the last one the end of all. */
  readonly #offsets: readonly Bytes[]

  constructor(limits: Limits) {
    const offsets = [0]
    let offset = 0
    for (let i = 0; i < limits.maxParts; i++) {
      offset += partSizeAt(offset, limits)
      offsets.push(offset)
    }
    this.#offsets = offsets
  }

  /** The largest file that can be cut so. */
  get maxSize(): Bytes {
    return this.#offsets.at(-1) ?? 0
  }

  /** @throws RangeError for a number that no part has */
  part(partNumber: number): PartRange {
    const offset = this.#offsets[partNumber - 1]
    const end = this.#offsets[partNumber]
    if (offset === undefined || end === undefined) {
      throw new RangeError(`there is no part ${partNumber}`)
    }
    return { partNumber, offset, size: end - offset }
  }

  /** The part that holds the byte at `offset`. @throws RangeError at `maxSize` and behind it */
  partAt(offset: Bytes): PartRange {
    if (offset < 0 || offset >= this.maxSize) throw new RangeError(`no part holds byte ${offset}`)
    let low = 0
    let high = this.#offsets.length - 1
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if ((this.#offsets[middle] ?? 0) <= offset) low = middle
      else high = middle
    }
    return this.part(low + 1)
  }
}
