/**
 * Reads of open files through the block cache, with what will be read next fetched ahead.
 *
 * One budget of memory for all readers that are being read ahead for: each may be ahead by an equal
 * share of it, so that a new reader is served as well as the old ones. A reader that has not read for
 * some seconds counts no more until it reads again.
 *
 * A file that is larger than the cache would be gone from it by the time it is read a second time, and all
 * else with it. Who reads such a file from end to end has what lies behind it dropped at once, so that the
 * same few blocks of memory are used for all of it; unless others are reading that file too, for whom it
 * may be what comes next.
 */
import { MiB, type Bytes, type Milliseconds } from '../util/units.js'
import type { BlockCache } from './block-cache.js'
import type { Prefetch } from './flight.js'
import type { ObjectId } from './object-id.js'
import { ReadAhead, type Range } from './read-ahead.js'

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
/** What stays behind a reader of a file that the cache cannot hold: programs go back a little. */
const BEHIND: Bytes = 32 * MiB
/** Of the cache at most so much of that. */
const SHARE_BEHIND = 1 / 8

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

  /** Whether nobody else is being read ahead for in the same version of the same file. */
  isAlone(reader: FileReader, { path, etag }: ObjectId): boolean {
    for (const other of this.#active.keys()) {
      if (other !== reader && other.object?.path === path && other.object.etag === etag)
        return false
    }
    return true
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
  /** What is to be fetched as soon as the present read has been answered. */
  #wanted: (readonly [ObjectId, Range])[] = []
  #object: ObjectId | undefined
  /** Of the run that began there, all before `to` was looked at when it lay behind. */
  #left = { start: 0, to: 0 }

  constructor(prefetcher: Prefetcher) {
    this.#prefetcher = prefetcher
    this.#readAhead = new ReadAhead({ blockSize: prefetcher.blocks.blockSize })
  }

  /** What it read last. */
  get object(): ObjectId | undefined {
    return this.#object
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
    const slices = blocks.read(object, offset, length, { waiter, reach: advice.reach })
    // Where there was nothing to ask for, what lies within reach has come with nothing.
    if (advice.isFirst && !(slices instanceof Promise)) {
      this.#want(object, { offset: offset + length, length: advice.reach })
    }
    for (const range of advice.ahead) this.#want(object, range)
    this.#prefetcher.note(this, this.#readAhead.isAhead)
    this.#object = object
    if (object.size > blocks.capacity) this.#leaveBehind(object)
    return slices
  }

  /** Nobody reads any more. */
  close(): void {
    this.#cancel()
    this.#prefetcher.note(this, false)
  }

  #want(object: ObjectId, range: Range): void {
    if (this.#wanted.length === 0) queueMicrotask(this.#fetch)
    this.#wanted.push([object, range])
  }

  /** Sending requests takes time, and what was read is given to its reader first. */
  readonly #fetch = (): void => {
    const wanted = this.#wanted
    this.#wanted = []
    this.#prefetches = this.#prefetches.filter(({ isOver }) => !isOver)
    for (const [object, { offset, length }] of wanted) {
      this.#prefetches.push(...this.#prefetcher.blocks.prefetch(object, offset, length))
    }
  }

  #leaveBehind(object: ObjectId): void {
    const { blocks } = this.#prefetcher
    const { start, end } = this.#readAhead.run
    const from = this.#left.start === start ? this.#left.to : start
    const most = end - Math.min(BEHIND, blocks.capacity * SHARE_BEHIND)
    const to = Math.floor(most / blocks.blockSize) * blocks.blockSize
    if (to <= from) return
    this.#left = { start, to }
    if (this.#prefetcher.isAlone(this, object)) blocks.dropUsed(object, from, to)
  }

  #cancel(): void {
    this.#wanted = []
    for (const prefetch of this.#prefetches) prefetch.cancel()
    this.#prefetches = []
  }
}
