/**
 * A cache of file blocks, bounded in bytes.
 *
 * Model: a version of a file (ObjectId) is cut into blocks of one size. Blocks that are missing are
 * fetched by one request for as many neighbours as are wanted; each is fetched once, however many
 * readers wait for it (single flight), and can be read as soon as it has come. Blocks are keyed by path,
 * etag and index, so a replaced file can never be served from old blocks: the old ones are never asked
 * for again and age out. What to drop is decided by segmented-lru.ts: a block counts as used again when
 * a read does not go on where the last one ended.
 *
 * Buffers are reused, so a block that readers still hold slices of must stay untouched:
 * INVARIANT: a buffer is used again only when its block is out of the cache, no fetch writes
 * to it, and its pins are zero. Slices handed out stay pinned until the event loop's next turn, which
 * is what the contract of Operations.read promises its caller.
 *
 * Bytes come from the function given; the cache itself does no I/O. It does not decide what to read
 * ahead (prefetch.ts does).
 */
import { KiB, MiB, type Bytes } from '../util/units.js'
import { blockId, type Block } from './block.js'
import { SizedMemory } from './block-memory.js'
import { ahead, Flight, type Prefetch, type Start } from './flight.js'
import { Loans } from './loans.js'
import type { ObjectId } from './object-id.js'
import { PendingRead, type Coming } from './pending-read.js'
import { SegmentedLru } from './segmented-lru.js'

export interface FetchOptions {
  readonly signal: AbortSignal
  /** One more target, the first at first, has all its bytes. Need not be called: resolving says so of all. */
  readonly filled: (target: Uint8Array) => void
}

/**
 * Fills the targets, one after the other, with the bytes from `offset`, all of them, of exactly this
 * version, or rejects. Once it has settled it writes to none of them; before, not to those `filled`.
 */
export type FetchBlocks = (
  object: ObjectId,
  offset: Bytes,
  targets: readonly Uint8Array[],
  options: FetchOptions,
) => Promise<void>

export interface BlockCacheOptions {
  /** Bytes of blocks kept or on their way. */
  capacity: Bytes
  /** Default 128 KiB: the least that is fetched, where a request costs more than so many bytes. */
  blockSize?: Bytes
  /** Most bytes of one fetch; default 8 MiB. */
  maxFetch?: Bytes
  fetch: FetchBlocks
}

export interface ReadBlocksOptions {
  /** Whose signal is read only if there is something to wait for. */
  readonly waiter?: { readonly signal: AbortSignal } | undefined
  /** So many bytes behind what is read may come by the same request. Default 0. */
  readonly reach?: Bytes | undefined
}

const DEFAULT_BLOCK_SIZE: Bytes = 128 * KiB
const DEFAULT_MAX_FETCH: Bytes = 8 * MiB
/** What a block costs beside its bytes: small files must not be many for free. */
const LEAST_PER_BLOCK: Bytes = KiB
/** What was just stored is kept if it takes no more than this part of the capacity. */
const KEPT_SHARE = 16

export class BlockCache {
  readonly blockSize: Bytes
  readonly capacity: Bytes
  readonly #maxRun: number
  readonly #maxCount: number
  readonly #fetch: FetchBlocks
  readonly #memory: SizedMemory
  readonly #blocks: SegmentedLru<Block>
  readonly #coming = new Map<string, Coming>()
  readonly #flights = new Set<Flight>()
  /** Memory that fetches write to, or may still write to. */
  #bytesInFlight: Bytes = 0
  readonly #loans = new Loans(block => this.#unpin(block))
  #closed = false
  #hits = 0
  #misses = 0
  #unread: Bytes = 0

  constructor(options: BlockCacheOptions) {
    const { blockSize = DEFAULT_BLOCK_SIZE, maxFetch = DEFAULT_MAX_FETCH } = options
    this.blockSize = blockSize
    this.capacity = Math.max(options.capacity, blockSize)
    this.#maxRun = Math.max(1, Math.floor(maxFetch / blockSize))
    this.#maxCount = Math.ceil(this.capacity / Math.min(blockSize, LEAST_PER_BLOCK))
    this.#fetch = options.fetch
    this.#memory = new SizedMemory(blockSize, this.capacity)
    this.#blocks = new SegmentedLru(this.capacity, block => {
      block.cached = false
      if (block.cursor === -1) this.#unread += block.length
      this.#recycle(block)
    })
  }

  /** Since the beginning: blocks that reads found, or had to wait for; bytes that nobody has read. */
  get sums(): Readonly<
    Record<'cacheHitsTotal' | 'cacheMissesTotal' | 'cacheUnreadBytesTotal', number>
  > {
    return {
      cacheHitsTotal: this.#hits,
      cacheMissesTotal: this.#misses,
      cacheUnreadBytesTotal: this.#unread,
    }
  }

  /** Bytes held in blocks. */
  get size(): Bytes {
    return this.#blocks.size
  }

  /** Blocks being fetched. */
  get inFlight(): number {
    return this.#coming.size
  }

  /**
   * The bytes [offset, offset+length) as slices of cached blocks, fewer where the file ends; at once
   * if all are cached, else when all were fetched. The slices hold until the event loop's next turn.
   *
   * @throws what the fetch rejects with, or the signal's reason
   */
  read(
    object: ObjectId,
    offset: Bytes,
    length: Bytes,
    options: ReadBlocksOptions = {},
  ): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    const end = Math.min(offset + length, object.size)
    if (offset >= end) return []
    const first = Math.floor(offset / this.blockSize)
    const last = Math.floor((end - 1) / this.blockSize)
    const blocks: Block[] = []
    for (let index = first; index <= last; index++) {
      const block = this.#blocks.get(blockId(object, index))
      if (block === undefined) {
        return this.#awaitBlocks(object, { offset, end }, options, all =>
          this.#slices(all, offset, end),
        )
      }
      blocks.push(block)
    }
    this.#hits += blocks.length
    return this.#slices(blocks, offset, end)
  }

  /**
   * Waits until the bytes [offset, offset+length) are there, fetching what is missing. No use of them: who
   * reads them afterwards is the first.
   *
   * @throws as `read`
   */
  async load(
    object: ObjectId,
    offset: Bytes,
    length: Bytes,
    options: ReadBlocksOptions = {},
  ): Promise<void> {
    const end = Math.min(offset + length, object.size)
    if (offset < end) await this.#awaitBlocks(object, { offset, end }, options, nothing)
  }

  /**
   * Starts fetching what will be wanted soon, as far as it is not there or on its way. Does nothing if
   * so much is on its way that blocks would be dropped before they were read.
   */
  prefetch(object: ObjectId, offset: Bytes, length: Bytes): readonly Prefetch[] {
    const end = Math.min(offset + length, object.size)
    if (this.#closed || offset >= end) return []
    const first = Math.floor(offset / this.blockSize)
    const last = Math.floor((end - 1) / this.blockSize)
    const flights: Flight[] = []
    for (let index = first; index <= last; index++) {
      const room = Math.floor((this.capacity / 2 - this.#bytesInFlight) / this.blockSize)
      if (room < 1) break
      if (!this.#isMissing(object, index)) continue
      const flight = this.#prepare(object, index, Math.min(last, index + room - 1))
      flight.want()
      flight.start()
      flights.push(flight)
    }
    return flights.map(ahead)
  }

  /**
   * Takes a copy of all bytes of a version that was just stored: whoever reads it need not ask for them.
   * What would take more than a small part of the cache is not worth it.
   */
  keep(object: ObjectId, content: readonly Uint8Array[]): void {
    if (this.#closed || object.size * KEPT_SHARE > this.capacity) return
    for (let index = 0; index * this.blockSize < object.size; index++) {
      // The same bytes were stored before.
      if (!this.#isMissing(object, index)) continue
      const block = this.#makeBlock(object, index)
      copyOut(content, index * this.blockSize, block.buffer.subarray(0, block.length))
      // That nobody has read it says nothing about reading ahead.
      block.cursor = 0
      this.#take(block)
    }
  }

  /** Whether nothing of an object's first block is there or on its way: reading it asks the store. */
  isCold(object: ObjectId): boolean {
    return this.#isMissing(object, 0)
  }

  /** Drops the blocks that lie in [from, to) and were not used again after their first use. */
  dropUsed(object: ObjectId, from: Bytes, to: Bytes): void {
    const end = Math.floor(to / this.blockSize)
    for (let index = Math.ceil(from / this.blockSize); index < end; index++) {
      this.#blocks.evictOnce(blockId(object, index))
    }
  }

  /** Aborts all fetches and drops all blocks. */
  close(): void {
    this.#closed = true
    for (const flight of this.#flights) flight.abort()
    this.#blocks.clear()
  }

  /** What `take` makes of the blocks once all are there; they are pinned while it does. */
  #awaitBlocks<T>(
    object: ObjectId,
    { offset, end }: { readonly offset: Bytes; readonly end: Bytes },
    { waiter, reach = 0 }: ReadBlocksOptions,
    take: (blocks: readonly Block[]) => T,
  ): Promise<T> {
    const signal = waiter?.signal
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    const pinned = this.#pinCached(object, offset, end)
    const first = Math.floor(offset / this.blockSize)
    const last = Math.floor((end - 1) / this.blockSize)
    const horizon = Math.floor((Math.min(end + reach, object.size) - 1) / this.blockSize)
    // Room made for others may have dropped them; they are there for this read all the same.
    const there = new Set(pinned.map(({ index }) => index))
    const flights: Flight[] = []
    for (let index = first; index <= last; index++) {
      if (there.has(index) || !this.#isMissing(object, index)) continue
      flights.push(this.#prepare(object, index, horizon))
    }
    const awaited: Coming[] = []
    for (let index = first; index <= last; index++) {
      const coming = this.#coming.get(blockId(object, index))
      if (coming !== undefined && !there.has(index)) awaited.push(coming)
    }
    this.#hits += pinned.length
    this.#misses += awaited.length
    return new Promise((resolve, reject) => {
      new PendingRead({
        pinned,
        awaited,
        signal,
        unpin: block => this.#unpin(block),
        done: blocks => resolve(take(blocks)),
        failed: reject,
      })
      for (const flight of flights) flight.start()
    })
  }

  /** Keeps what is there from the room that is made for what is not. */
  #pinCached(object: ObjectId, offset: Bytes, end: Bytes): Block[] {
    const pinned: Block[] = []
    const last = Math.floor((end - 1) / this.blockSize)
    for (let index = Math.floor(offset / this.blockSize); index <= last; index++) {
      const block = this.#blocks.get(blockId(object, index))
      if (block === undefined) continue
      block.pins += 1
      pinned.push(block)
    }
    return pinned
  }

  #isMissing(object: ObjectId, index: number): boolean {
    const id = blockId(object, index)
    return !this.#blocks.has(id) && !this.#coming.has(id)
  }

  /** A fetch of the block, and of those behind it up to `last` as far as they are missing. */
  #prepare(object: ObjectId, first: number, last: number): Flight {
    const blocks = [this.#makeBlock(object, first)]
    for (let index = first + 1; index <= last && blocks.length < this.#maxRun; index++) {
      if (!this.#isMissing(object, index)) break
      blocks.push(this.#makeBlock(object, index))
    }
    const offset = first * this.blockSize
    const start: Start = ({ targets, ...options }) => this.#fetch(object, offset, targets, options)
    const flight: Flight = new Flight(blocks, start, {
      landed: block => this.#landed(block),
      lost: lost => {
        for (const { id } of lost)
          if (this.#coming.get(id)?.flight === flight) this.#coming.delete(id)
      },
      free: unused => {
        this.#flights.delete(flight)
        for (const block of unused) {
          this.#bytesInFlight -= block.buffer.length
          this.#recycle(block)
        }
      },
    })
    for (const block of blocks) this.#coming.set(block.id, { block, flight })
    this.#flights.add(flight)
    return flight
  }

  #makeBlock(object: ObjectId, index: number): Block {
    const length = Math.min(this.blockSize, object.size - index * this.blockSize)
    const memory = this.#memory.for(length)
    this.#makeRoom(memory.blockSize)
    const buffer = memory.take()
    this.#bytesInFlight += buffer.length
    return {
      id: blockId(object, index),
      index,
      buffer,
      length,
      pins: 0,
      cached: false,
      cursor: -1,
      waits: [],
    }
  }

  #makeRoom(bytes: Bytes): void {
    const limit = this.capacity - bytes
    while (this.#blocks.size + this.#bytesInFlight > limit || this.#blocks.count > this.#maxCount) {
      if (!this.#blocks.evict()) return
    }
  }

  #landed(block: Block): void {
    this.#coming.delete(block.id)
    if (!this.#closed) return this.#take(block)
    this.#bytesInFlight -= block.buffer.length
    // For those who wait for it; then it is gone.
    this.#loans.lend(block)
  }

  #take(block: Block): void {
    this.#bytesInFlight -= block.buffer.length
    block.cached = true
    this.#blocks.add(block)
    this.#makeRoom(0)
  }

  #slices(blocks: readonly Block[], offset: Bytes, end: Bytes): readonly Uint8Array[] {
    return blocks.map(block => {
      const start = block.index * this.blockSize
      const from = Math.max(0, offset - start)
      const to = Math.min(block.length, end - start)
      if (block.cursor !== -1 && block.cursor !== from && block.cached) this.#blocks.promote(block)
      block.cursor = to
      this.#loans.lend(block)
      return block.buffer.subarray(from, to)
    })
  }

  #unpin(block: Block): void {
    block.pins -= 1
    this.#recycle(block)
  }

  #recycle(block: Block): void {
    if (block.pins > 0 || block.cached) return
    this.#memory.give(block.buffer)
  }
}

/** Fills the target with the bytes from `offset` of what the pieces are together. */
function copyOut(pieces: readonly Uint8Array[], offset: Bytes, target: Uint8Array): void {
  let position = 0
  for (const piece of pieces) {
    const from = Math.max(0, offset - position)
    const at = Math.max(0, position - offset)
    position += piece.length
    if (from >= piece.length) continue
    if (at >= target.length) return
    target.set(piece.subarray(from, from + target.length - at), at)
  }
}

function nothing(): void {}
