/**
 * How a file is cut into parts. BOS takes 10,000 parts of up to 5 GiB, and objects of up to 48.8 TB: no
 * more than about 900 of the parts may be small if such an object is to be reached. Parts of one fixed
 * size would end either small files' parallelism or large files early. So the first 400 parts are one
 * chunk each, and from there on each is an 80th larger than the one before it, up to 5 GiB.
 *
 * With chunks of 5 MiB that reaches 48.9 TB, with larger ones more. Chunks of 10 MiB last for the first
 * 3.9 GiB; parts are 87 MiB at 10 GiB and 1.2 GiB at 100 GiB. A part waits in memory until it is full:
 * growing slower would take less of it, and end at a fraction of what BOS allows.
 *
 * Pure. The same limits always give the same cut, in any process.
 */
import { MiB, type Bytes } from '../util/units.js'
import type { PartLimits } from './driver.js'

type Limits = Pick<PartLimits, 'partSize' | 'maxPartSize' | 'maxParts'>

/** Parts of one chunk. */
const EVEN_PARTS = 400
/** What each further part is larger by. */
const GROWTH = 1 / 80

/**
 * Size of a part: whole mebibytes if the chunk size is one. It follows from the number alone, so that
 * what is appended to a large object, copied as few parts, is cut small again.
 *
 * @param partNumber  from 1
 */
export function partSizeOf(partNumber: number, { partSize, maxPartSize }: Limits): Bytes {
  if (partNumber <= EVEN_PARTS) return Math.min(partSize, maxPartSize)
  const grown = partSize * (1 + GROWTH) ** (partNumber - EVEN_PARTS)
  return Math.min(maxPartSize, Math.ceil(grown / MiB) * MiB)
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
    for (let number = 1; number <= limits.maxParts; number++) {
      offset += partSizeOf(number, limits)
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
