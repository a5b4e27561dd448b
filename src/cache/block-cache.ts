/**
 * An LRU cache of file blocks, bounded in bytes.
 *
 * Model: a version of a file (ObjectId) is cut into blocks of one size; a block is fetched once,
 * however many readers wait for it (single flight), and dropped when least recently used. Blocks are
 * keyed by path, etag and index, so a replaced file can never be served from old blocks: the old ones
 * are never asked for again and age out.
 *
 * Buffers are reused, so a block that readers still hold slices of must stay untouched:
 * INVARIANT: a buffer goes back to the pool only when its block is out of the cache, no fetch writes
 * to it, and its pins are zero. Slices handed out stay pinned until the event loop's next turn, which
 * is what the contract of Operations.read promises its caller.
 *
 * Bytes come from the function given; the cache itself does no I/O. It does not decide what to read
 * ahead (read-ahead.ts does).
 */
import { LRUCache } from 'lru-cache'
import { abortable } from '../util/abort.js'
import type { Bytes } from '../util/units.js'
import { BufferPool } from './buffer-pool.js'
import type { ObjectId } from './object-id.js'

/**
 * Fills `target` with the bytes from `offset`, all of them, of exactly this version, or rejects.
 */
export type FetchBlock = (
  object: ObjectId,
  offset: Bytes,
  target: Uint8Array,
  signal: AbortSignal,
) => Promise<void>

export interface BlockCacheOptions {
  /** Bytes of blocks kept. */
  capacity: Bytes
  /** Default 1 MiB: the largest read request of FUSE. */
  blockSize?: Bytes
  fetch: FetchBlock
}

interface Block {
  readonly buffer: Buffer
  readonly length: Bytes
  pins: number
  cached: boolean
}

interface Flight {
  readonly promise: Promise<Block>
  readonly controller: AbortController
  /** Readers that wait; a flight started ahead of need counts one that never gives up. */
  waiters: number
}

const DEFAULT_BLOCK_SIZE = 1024 * 1024

export class BlockCache {
  readonly blockSize: Bytes
  readonly capacity: Bytes
  readonly #fetch: FetchBlock
  readonly #pool: BufferPool
  readonly #blocks: LRUCache<string, Block>
  readonly #flights = new Map<string, Flight>()
  #lent: Block[] = []
  #closed = false

  constructor({ capacity, blockSize = DEFAULT_BLOCK_SIZE, fetch }: BlockCacheOptions) {
    this.blockSize = blockSize
    this.capacity = Math.max(capacity, blockSize)
    this.#fetch = fetch
    this.#pool = new BufferPool(blockSize, Math.ceil(this.capacity / blockSize / 4))
    this.#blocks = new LRUCache({
      maxSize: this.capacity,
      sizeCalculation: block => block.buffer.length,
      dispose: block => {
        block.cached = false
        this.#recycle(block)
      },
    })
  }

  /** Bytes held in blocks. */
  get size(): Bytes {
    return this.#blocks.calculatedSize
  }

  /** Blocks being fetched. */
  get inFlight(): number {
    return this.#flights.size
  }

  /**
   * The bytes [offset, offset+length) as slices of cached blocks, fewer where the file ends; at once
   * if all are cached, else when all were fetched. The slices hold until the event loop's next turn.
   *
   * @param waiter whose signal is read only if there is something to wait for
   * @throws what the fetch rejects with, or the signal's reason
   */
  read(
    object: ObjectId,
    offset: Bytes,
    length: Bytes,
    waiter?: { readonly signal: AbortSignal },
  ): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    const end = Math.min(offset + length, object.size)
    if (offset >= end) return []
    const slices: Uint8Array[] = []
    for (let position = offset; position < end;) {
      const index = Math.floor(position / this.blockSize)
      const block = this.#blocks.get(key(object, index))
      if (block === undefined) return this.#readMissing(object, offset, end, waiter?.signal)
      position = this.#slice(block, index, { from: position, end }, slices)
    }
    return slices
  }

  /**
   * Starts fetching a block that will be wanted soon. Does nothing if it is there or on its way, or
   * if so much is on its way that blocks would be dropped before they were read.
   */
  prefetch(object: ObjectId, index: number): void {
    if (this.#closed || index * this.blockSize >= object.size) return
    if (this.#flights.size * this.blockSize >= this.capacity / 2) return
    const id = key(object, index)
    if (this.#blocks.has(id) || this.#flights.has(id)) return
    const flight = this.#start(object, index)
    flight.waiters += 1
    // Whoever comes to read the block tries again and gets the error itself.
    flight.promise.catch(() => undefined)
  }

  /** Aborts all fetches and drops all blocks. */
  close(): void {
    this.#closed = true
    for (const flight of this.#flights.values()) flight.controller.abort()
    this.#blocks.clear()
  }

  async #readMissing(
    object: ObjectId,
    offset: Bytes,
    end: Bytes,
    signal: AbortSignal | undefined,
  ): Promise<readonly Uint8Array[]> {
    const first = Math.floor(offset / this.blockSize)
    const last = Math.floor((end - 1) / this.blockSize)
    const wanted = Array.from({ length: last - first + 1 }, (_, i) =>
      this.#pinned(object, first + i, signal),
    )
    const results = await Promise.allSettled(wanted)
    const slices: Uint8Array[] = []
    let failure: unknown
    let position = offset
    for (const [i, result] of results.entries()) {
      if (result.status === 'rejected') {
        failure ??= result.reason
        continue
      }
      position = this.#slice(result.value, first + i, { from: position, end }, slices)
      this.#unpin(result.value)
    }
    if (failure !== undefined) throw failure
    return slices
  }

  /** The block with one pin for the caller, which keeps its buffer while other blocks are waited for. */
  async #pinned(object: ObjectId, index: number, signal?: AbortSignal): Promise<Block> {
    const id = key(object, index)
    const cached = this.#blocks.get(id)
    if (cached !== undefined) {
      cached.pins += 1
      return cached
    }
    const flight = this.#flights.get(id) ?? this.#start(object, index)
    flight.waiters += 1
    // Pinned as the fetch settles, before anything else can run and evict it.
    const pinned = flight.promise.then(block => {
      block.pins += 1
      return block
    })
    try {
      return await abortable(pinned, signal)
    } catch (error) {
      flight.waiters -= 1
      if (flight.waiters === 0) {
        // A reader who comes now must not join a flight that is being called off.
        this.#land(id, flight)
        flight.controller.abort()
      }
      pinned.then(
        block => this.#unpin(block),
        () => undefined,
      )
      throw error
    }
  }

  #start(object: ObjectId, index: number): Flight {
    const id = key(object, index)
    const controller = new AbortController()
    const offset = index * this.blockSize
    const length = Math.min(this.blockSize, object.size - offset)
    // A short block (a small file, the end of a file) gets memory of its own size.
    const buffer = length === this.blockSize ? this.#pool.take() : Buffer.allocUnsafeSlow(length)
    const block: Block = { buffer, length, pins: 0, cached: false }
    const promise = this.#fetch(object, offset, buffer.subarray(0, length), controller.signal).then(
      () => {
        this.#land(id, flight)
        // Those who wait add their pins in this turn of the event loop; until then it is lent.
        this.#lend(block)
        if (!this.#closed) {
          block.cached = true
          this.#blocks.set(id, block)
        }
        return block
      },
      (error: unknown) => {
        // The buffer is not pooled: an aborted transfer may not have let go of it yet.
        this.#land(id, flight)
        throw error
      },
    )
    const flight: Flight = { promise, controller, waiters: 0 }
    this.#flights.set(id, flight)
    return flight
  }

  #land(id: string, flight: Flight): void {
    if (this.#flights.get(id) === flight) this.#flights.delete(id)
  }

  #slice(
    block: Block,
    index: number,
    range: { from: Bytes; end: Bytes },
    slices: Uint8Array[],
  ): Bytes {
    const start = index * this.blockSize
    const end = Math.min(range.end, start + block.length)
    slices.push(block.buffer.subarray(range.from - start, end - start))
    this.#lend(block)
    return end
  }

  /** Keeps the block's buffer until what was sliced from it has been written to the kernel. */
  #lend(block: Block): void {
    block.pins += 1
    if (this.#lent.length === 0) {
      setImmediate(() => {
        const lent = this.#lent
        this.#lent = []
        for (const returned of lent) this.#unpin(returned)
      })
    }
    this.#lent.push(block)
  }

  #unpin(block: Block): void {
    block.pins -= 1
    this.#recycle(block)
  }

  #recycle(block: Block): void {
    if (block.pins === 0 && !block.cached) this.#pool.give(block.buffer)
  }
}

function key(object: ObjectId, index: number): string {
  return `${object.path}\0${object.etag}\0${index}`
}
