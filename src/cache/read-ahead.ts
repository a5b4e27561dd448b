/**
 * Tells from the reads of one open file what will be read next. Pure, no I/O.
 *
 * Model: a read that starts about where the last one ended (the kernel may send neighbouring reads out
 * of order) goes on with a run. How far it is worth to fetch ahead follows from how long the run has
 * been: who has read that much is likely to read as much again, and more. A run that begins at the
 * start of the file is believed sooner than one that begins in the middle of it. Reads that are all
 * the same distance apart are a stride, and the next ones of it are named. All other reads are random:
 * nothing is fetched ahead of them.
 */
import { MiB, type Bytes } from '../util/units.js'

export interface Range {
  readonly offset: Bytes
  readonly length: Bytes
}

export interface Advice {
  /** How many bytes behind this read may come by the same request, if one is needed. */
  readonly reach: Bytes
  /** The first read of a run from the start of the file. */
  readonly isFirst?: boolean
  /** What to fetch now, in this order; what was named before is not named again. */
  readonly ahead: readonly Range[]
  /** The reader has gone elsewhere: what was named before is wanted no more. */
  readonly jumped: boolean
}

export interface ReadAheadOptions {
  /** Ranges begin and end at multiples of this, or at the end of the file. */
  blockSize: Bytes
}

/** What comes with the first read of a file: small files come whole. */
const FIRST_REACH: Bytes = MiB
/** A run from the start of a file, or a long one, is followed this much further than it has come. */
const FAST_GROWTH = 8
/** So long a run in the middle of a file is no accident. */
const LONG_RUN: Bytes = MiB
/** The window is fetched by so many requests, or more once they have grown … */
const REQUESTS = 2
/** … for they are of no less, and no more, than this. */
const LEAST_REQUEST: Bytes = MiB
const MOST_REQUEST: Bytes = 8 * MiB
/** Strides of the same length before one is believed, and how many are followed. */
const STRIDES_NEEDED = 2
const STRIDES_AHEAD = 8

export class ReadAhead {
  readonly #blockSize: Bytes
  /** The run: where it began and where it is expected to go on. */
  #start: Bytes = 0
  #next: Bytes = 0
  /** Up to here everything was named. */
  #named: Bytes = 0
  #hasRead = false
  #last: Range = { offset: 0, length: 0 }
  #stride: Bytes = 0
  #strides = 0
  /** The furthest record of the stride that was named. */
  #strideNamed: Bytes = 0

  constructor({ blockSize }: ReadAheadOptions) {
    this.#blockSize = blockSize
  }

  /** Whether it has something fetched ahead of its reader. */
  get isAhead(): boolean {
    return this.#named > this.#next
  }

  /** Where the present run began, and how far it has come. */
  get run(): { readonly start: Bytes; readonly end: Bytes } {
    return { start: this.#start, end: this.#next }
  }

  /**
   * Takes note of a read of [offset, offset+length) of a file of this size.
   * @param most  bytes to be ahead of the reader at most
   */
  advance({ offset, length }: Range, size: Bytes, most: Bytes): Advice {
    const isFirst = !this.#hasRead
    this.#hasRead = true
    const slack = 2 * length
    if (
      offset >= this.#next - slack &&
      offset <= this.#next + slack &&
      (!isFirst || offset === 0)
    ) {
      this.#last = { offset, length }
      this.#strides = 0
      return this.#goOn(offset + length, size, most, isFirst)
    }
    return this.#jump({ offset, length }, size, most)
  }

  #goOn(end: Bytes, size: Bytes, most: Bytes, isFirst: boolean): Advice {
    // Of reads out of order, the one furthest on tells where the reader is.
    this.#next = Math.max(this.#next, end)
    if (isFirst) {
      const reach = Math.max(0, Math.min(FIRST_REACH, most) - end)
      this.#named = this.#roundUp(end + reach)
      return { reach: this.#named - end, isFirst: true, ahead: [], jumped: false }
    }
    const run = this.#next - this.#start
    const growth = this.#start === 0 || run > LONG_RUN ? FAST_GROWTH : 1
    const window = Math.min(run * growth, most)
    const limit = Math.min(size, this.#next + window)
    const request = this.#roundUp(
      Math.min(MOST_REQUEST, Math.max(LEAST_REQUEST, window / REQUESTS), Math.max(most, 1)),
    )
    const ahead: Range[] = []
    this.#named = Math.max(this.#named, this.#roundUp(this.#next))
    while (this.#named < limit) {
      const wanted = Math.min(request, size - this.#named)
      if (this.#named + wanted > limit) break
      ahead.push({ offset: this.#named, length: wanted })
      this.#named += wanted
    }
    return { reach: Math.min(request, window), ahead, jumped: false }
  }

  #jump(read: Range, size: Bytes, most: Bytes): Advice {
    const stride = read.offset - this.#last.offset
    this.#strides = stride === this.#stride ? this.#strides + 1 : 0
    if (this.#strides === 0) this.#strideNamed = read.offset
    const jumped = this.isAhead
    this.#stride = stride
    this.#last = read
    this.#start = read.offset
    this.#next = read.offset + read.length
    this.#named = 0
    const ahead = this.#strides < STRIDES_NEEDED ? [] : this.#alongStride(read, size, most)
    return { reach: 0, ahead, jumped }
  }

  #alongStride({ offset, length }: Range, size: Bytes, most: Bytes): Range[] {
    const count = Math.min(STRIDES_AHEAD, Math.floor(most / Math.max(length, this.#blockSize)))
    const ahead: Range[] = []
    for (let i = 1; i <= count; i++) {
      const at = offset + i * this.#stride
      const isNew = this.#stride > 0 ? at > this.#strideNamed : at < this.#strideNamed
      if (!isNew) continue
      if (at < 0 || at >= size) break
      ahead.push({ offset: at, length })
      this.#strideNamed = at
    }
    return ahead
  }

  #roundUp(position: Bytes): Bytes {
    return Math.ceil(position / this.#blockSize) * this.#blockSize
  }
}
