/**
 * Reads of open files through the block cache, with what will be read next fetched ahead.
 *
 * One budget of memory for all readers that are being read ahead for: each may be ahead by an equal
 * share of it, so that a new reader is served as well as the old ones. A reader that has not read for
 * some seconds counts no more until it reads again.
 */
import type { Bytes, Milliseconds } from '../util/units.js'
import type { BlockCache } from './block-cache.js'
import type { Prefetch } from './flight.js'
import type { ObjectId } from './object-id.js'
import { ReadAhead } from './read-ahead.js'

export interface PrefetcherOptions {
  blocks: BlockCache
  /** Most bytes ahead of one reader. */
  window: Bytes
  /** Most bytes ahead of all; default half of what the cache holds. */
  budget?: Bytes
  /** A clock that never goes back. */
  now: () => Milliseconds
}

/** A reader that was quiet for so long has its share given to others. */
const QUIET: Milliseconds = 5000
/** How often quiet readers are looked for. */
const LOOK: Milliseconds = 1000

export class Prefetcher {
  readonly blocks: BlockCache
  readonly #window: Bytes
  readonly #budget: Bytes
  readonly #now: () => Milliseconds
  /** Readers that are being read ahead for, and when they last read. */
  readonly #active = new Map<FileReader, Milliseconds>()
  #looked: Milliseconds = 0

  constructor({ blocks, window, budget = blocks.capacity / 2, now }: PrefetcherOptions) {
    this.blocks = blocks
    this.#window = window
    this.#budget = budget
    this.#now = now
  }

  /** Readers that have a share of the budget. */
  get activeReaders(): number {
    return this.#active.size
  }

  /** For one open file. Whoever opens it closes it. */
  open(): FileReader {
    return new FileReader(this)
  }

  /** How far `reader` may be ahead, now that it reads. */
  share(reader: FileReader): Bytes {
    const now = this.#now()
    if (now - this.#looked > LOOK) {
      this.#looked = now
      for (const [other, last] of this.#active) if (now - last > QUIET) this.#active.delete(other)
    }
    const isNew = !this.#active.has(reader)
    if (!isNew) this.#active.set(reader, now)
    return Math.min(this.#window, this.#budget / (this.#active.size + (isNew ? 1 : 0)))
  }

  /** The reader is, or is no more, one that is read ahead for. */
  note(reader: FileReader, isAhead: boolean): void {
    if (!isAhead) this.#active.delete(reader)
    else if (!this.#active.has(reader)) this.#active.set(reader, this.#now())
  }
}

export class FileReader {
  readonly #prefetcher: Prefetcher
  readonly #readAhead: ReadAhead
  #prefetches: Prefetch[] = []

  constructor(prefetcher: Prefetcher) {
    this.#prefetcher = prefetcher
    this.#readAhead = new ReadAhead({ blockSize: prefetcher.blocks.blockSize })
  }

  /** As BlockCache.read, and starts to fetch what will be read next. */
  read(
    object: ObjectId,
    offset: Bytes,
    length: Bytes,
    waiter: { readonly signal: AbortSignal },
  ): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    const { blocks } = this.#prefetcher
    const most = this.#prefetcher.share(this)
    const advice = this.#readAhead.advance({ offset, length }, object.size, most)
    if (advice.jumped) this.#cancel()
    // What is asked for goes out first.
    const slices = blocks.read(object, offset, length, { waiter, reach: advice.reach })
    // Where there was nothing to ask for, what lies within reach has come with nothing.
    if (advice.isFirst && !(slices instanceof Promise)) {
      this.#fetch(object, [{ offset: offset + length, length: advice.reach }])
    }
    if (advice.ahead.length > 0) this.#fetch(object, advice.ahead)
    this.#prefetcher.note(this, this.#readAhead.isAhead)
    return slices
  }

  /** Nobody reads any more. */
  close(): void {
    this.#cancel()
    this.#prefetcher.note(this, false)
  }

  #fetch(object: ObjectId, ranges: readonly { offset: Bytes; length: Bytes }[]): void {
    this.#prefetches = this.#prefetches.filter(({ isOver }) => !isOver)
    for (const { offset, length } of ranges) {
      this.#prefetches.push(...this.#prefetcher.blocks.prefetch(object, offset, length))
    }
  }

  #cancel(): void {
    for (const prefetch of this.#prefetches) prefetch.cancel()
    this.#prefetches = []
  }
}
