/**
 * Which blocks to keep when not all fit: least recently used first, but those that were used only once
 * before those that were used again. So one long scan passes through without driving out what is read
 * time and again.
 *
 * Model: two LRU lists. A block comes into `once`, and into `again` when it is used a second time; what
 * `again` has no room for goes back to `once`, as its most recent. Blocks are evicted from `once`
 * while there are any.
 *
 * The sum of both is bounded by the owner, who calls `evict`.
 */
import { LRUCache } from 'lru-cache'
import type { Bytes } from '../util/units.js'

/** Of the capacity: what is left is room for the new to prove themselves. */
const SHARE_OF_AGAIN = 0.75

export interface Sized {
  readonly id: string
  readonly buffer: { readonly length: Bytes }
}

export class SegmentedLru<T extends Sized> {
  readonly #once: LRUCache<string, T>
  readonly #again: LRUCache<string, T>
  readonly #drop: (value: T) => void

  /** @param drop  is called for each that leaves, for whatever reason */
  constructor(capacity: Bytes, drop: (value: T) => void) {
    this.#drop = drop
    const sizeCalculation = ({ buffer }: T): Bytes => Math.max(1, buffer.length)
    this.#once = new LRUCache({
      maxSize: capacity,
      sizeCalculation,
      dispose: (value, _, reason) => {
        if (reason === 'evict') drop(value)
      },
    })
    this.#again = new LRUCache({
      maxSize: Math.max(1, Math.floor(capacity * SHARE_OF_AGAIN)),
      sizeCalculation,
      dispose: (value, id, reason) => {
        if (reason === 'evict') this.#once.set(id, value)
      },
    })
  }

  get size(): Bytes {
    return this.#once.calculatedSize + this.#again.calculatedSize
  }

  get count(): number {
    return this.#once.size + this.#again.size
  }

  /** Whether it is there; this is not a use of it. */
  has(id: string): boolean {
    return this.#once.has(id) || this.#again.has(id)
  }

  get(id: string): T | undefined {
    return this.#once.get(id) ?? this.#again.get(id)
  }

  add(value: T): void {
    this.#once.set(value.id, value)
  }

  /** It was used again, by somebody else or after a while. */
  promote(value: T): void {
    if (value.buffer.length > this.#again.maxSize) return
    if (this.#once.delete(value.id)) this.#again.set(value.id, value)
  }

  /** Lets the least useful one go. @returns whether there was one */
  evict(): boolean {
    if (this.#once.size === 0) {
      const oldest = this.#again.rkeys().next()
      if (oldest.done === true) return false
      const value = this.#again.peek(oldest.value)
      this.#again.delete(oldest.value)
      if (value !== undefined) this.#once.set(value.id, value)
    }
    return this.#once.pop() !== undefined
  }

  /** Lets one go that was not used again. */
  evictOnce(id: string): void {
    const value = this.#once.peek(id)
    if (value === undefined) return
    this.#once.delete(id)
    this.#drop(value)
  }

  clear(): void {
    while (this.evict()) continue
  }
}
