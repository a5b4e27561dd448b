/**
 * The content of one file under write: dirty bytes in memory over a base that lies in the store.
 *
 * Model: the file is `size` bytes long. Each byte is dirty (written here, held in pages), or sealed
 * (written here, handed over to an upload, no longer held), or comes from the base if it lies below
 * `baseSize`, or is a hole that reads as zero. Pages are of one size and come from a pool; a small
 * file's only page is smaller and grows.
 *
 * Pure bookkeeping: no I/O and no waiting. write-back.ts uploads and decides.
 *
 * INVARIANT: dirty and sealed ranges lie within [0, size), `baseSize` <= `size`, each dirty byte has
 * a page, and no byte is both dirty and sealed.
 */
import { Extents } from '../util/extents.js'
import { KiB, MiB } from '../util/units.js'
import type { Bytes } from '../util/units.js'
import type { BufferPool } from './buffer-pool.js'

export const PAGE_SIZE: Bytes = MiB
const SMALLEST_PAGE: Bytes = 16 * KiB

/** A piece of the file, in order, as a reader or an upload has to obtain it. */
export type Piece =
  | { readonly kind: 'memory'; readonly data: Uint8Array }
  | { readonly kind: 'base' | 'hole' | 'sealed'; readonly offset: Bytes; readonly length: Bytes }

export class WriteBuffer {
  readonly #pool: BufferPool
  readonly #pages = new Map<number, Buffer>()
  readonly #dirty = new Extents()
  readonly #sealed = new Extents()
  #size: Bytes
  #baseSize: Bytes
  #held: Bytes = 0

  /** @param pool of buffers of PAGE_SIZE */
  constructor(pool: BufferPool, baseSize: Bytes) {
    this.#pool = pool
    this.#size = baseSize
    this.#baseSize = baseSize
  }

  get size(): Bytes {
    return this.#size
  }

  /** Bytes of memory held in pages. */
  get held(): Bytes {
    return this.#held
  }

  /** Bytes of memory that a write of [offset, offset+length) would need beyond what is held. */
  cost(offset: Bytes, length: Bytes): Bytes {
    let cost = 0
    for (let position = offset; position < offset + length;) {
      const index = Math.floor(position / PAGE_SIZE)
      const end = Math.min((index + 1) * PAGE_SIZE, offset + length)
      cost += this.#pageSize(index, end - index * PAGE_SIZE) - (this.#pages.get(index)?.length ?? 0)
      position = end
    }
    return cost
  }

  /**
   * Takes a copy of the data. The range must not touch sealed bytes.
   */
  write(offset: Bytes, data: Uint8Array): void {
    const end = offset + data.length
    if (this.#sealed.intersects(offset, end)) throw new RangeError('write into a sealed range')
    for (let position = offset; position < end;) {
      const index = Math.floor(position / PAGE_SIZE)
      const start = index * PAGE_SIZE
      const stop = Math.min(start + PAGE_SIZE, end)
      const page = this.#page(index, stop - start)
      page.set(data.subarray(position - offset, stop - offset), position - start)
      position = stop
    }
    this.#dirty.insert(offset, end)
    if (data.length > 0) this.#size = Math.max(this.#size, end)
  }

  /** Sets the size; what is cut off is gone for good, what is added is a hole. */
  truncate(size: Bytes): void {
    if (this.#sealed.intersects(size, this.#size))
      throw new RangeError('truncate of a sealed range')
    if (size < this.#size) {
      this.#dirty.remove(size, this.#size)
      this.#baseSize = Math.min(this.#baseSize, size)
      this.#dropPages(size, this.#size)
    }
    this.#size = size
  }

  isDirty(start: Bytes, end: Bytes): boolean {
    return this.#dirty.intersects(start, end)
  }

  isWhollyDirty(start: Bytes, end: Bytes): boolean {
    return this.#dirty.covers(start, end)
  }

  isSealed(start: Bytes, end: Bytes): boolean {
    return this.#sealed.intersects(start, end)
  }

  /** [start, end) is exactly what the base has there. */
  isClean(start: Bytes, end: Bytes): boolean {
    return (
      end <= this.#baseSize &&
      !this.#dirty.intersects(start, end) &&
      !this.#sealed.intersects(start, end)
    )
  }

  /** The pieces that make up [start, end), which is clipped to the size. */
  pieces(start: Bytes, end: Bytes): Piece[] {
    const pieces: Piece[] = []
    for (const range of this.#dirty.split(start, Math.min(end, this.#size))) {
      if (range.inside) this.#addMemory(range.start, range.end, pieces)
      else this.#addRest(range.start, range.end, pieces)
    }
    return pieces
  }

  /** Marks a wholly dirty range as handed over, and returns its bytes, which must not change. */
  seal(start: Bytes, end: Bytes): Uint8Array[] {
    if (!this.#dirty.covers(start, end)) throw new RangeError('sealing what is not dirty')
    const pieces: Piece[] = []
    this.#addMemory(start, end, pieces)
    this.#dirty.remove(start, end)
    this.#sealed.insert(start, end)
    return pieces.flatMap(piece => (piece.kind === 'memory' ? [piece.data] : []))
  }

  /** The upload of a sealed range failed: its bytes, still in their pages, are dirty again. */
  unseal(start: Bytes, end: Bytes): void {
    this.#sealed.remove(start, end)
    this.#dirty.insert(start, end)
  }

  /** The upload of a sealed range is done: its memory is free. Returns the bytes given back. */
  drop(start: Bytes, end: Bytes): Bytes {
    const before = this.#held
    this.#dropPages(start, end)
    return before - this.#held
  }

  /** Everything lies in the store now, `size` bytes of it, or is to be forgotten. */
  reset(size: Bytes): void {
    this.#dropPages(0, Infinity)
    this.#dirty.clear()
    this.#sealed.clear()
    this.#size = size
    this.#baseSize = size
  }

  /** Throws if the class invariant does not hold; for tests. */
  checkInvariants(): void {
    this.#dirty.checkInvariants()
    this.#sealed.checkInvariants()
    if (this.#baseSize > this.#size) throw new Error('base beyond the size')
    for (const { start, end } of this.#dirty) {
      if (end > this.#size) throw new Error('dirty bytes beyond the size')
      if (this.#sealed.intersects(start, end)) throw new Error('bytes both dirty and sealed')
      for (let index = Math.floor(start / PAGE_SIZE); index * PAGE_SIZE < end; index += 1) {
        const page = this.#pages.get(index)
        if (page === undefined || page.length < Math.min(end - index * PAGE_SIZE, PAGE_SIZE)) {
          throw new Error('dirty bytes without a page')
        }
      }
    }
    const held = [...this.#pages.values()].reduce((sum, page) => sum + page.length, 0)
    if (held !== this.#held) throw new Error(`holds ${held} bytes, counted ${this.#held}`)
  }

  #addMemory(start: Bytes, end: Bytes, pieces: Piece[]): void {
    for (let position = start; position < end;) {
      const index = Math.floor(position / PAGE_SIZE)
      const stop = Math.min((index + 1) * PAGE_SIZE, end)
      const page = this.#pages.get(index)
      if (page === undefined) throw new Error('dirty bytes without a page')
      pieces.push({
        kind: 'memory',
        data: page.subarray(position - index * PAGE_SIZE, stop - index * PAGE_SIZE),
      })
      position = stop
    }
  }

  #addRest(start: Bytes, end: Bytes, pieces: Piece[]): void {
    for (const range of this.#sealed.split(start, end)) {
      if (range.inside) {
        pieces.push({ kind: 'sealed', offset: range.start, length: range.end - range.start })
        continue
      }
      const base = Math.min(Math.max(this.#baseSize, range.start), range.end)
      if (base > range.start) {
        pieces.push({ kind: 'base', offset: range.start, length: base - range.start })
      }
      if (range.end > base) pieces.push({ kind: 'hole', offset: base, length: range.end - base })
    }
  }

  /** Size of the page that can hold `needed` bytes: only page 0 starts small, for small files. */
  #pageSize(index: number, needed: Bytes): Bytes {
    const current = this.#pages.get(index)?.length ?? 0
    if (current >= needed) return current
    if (index > 0) return PAGE_SIZE
    let size = Math.max(SMALLEST_PAGE, current)
    while (size < needed) size *= 4
    return Math.min(size, PAGE_SIZE)
  }

  #page(index: number, needed: Bytes): Buffer {
    const current = this.#pages.get(index)
    const size = this.#pageSize(index, needed)
    if (current !== undefined && current.length === size) return current
    const page = size === PAGE_SIZE ? this.#pool.take() : Buffer.allocUnsafeSlow(size)
    if (current !== undefined) page.set(current)
    this.#held += size - (current?.length ?? 0)
    this.#pages.set(index, page)
    return page
  }

  /** Frees the pages that lie wholly in [start, end) or hold nothing dirty or sealed elsewhere. */
  #dropPages(start: Bytes, end: Bytes): void {
    for (const [index, page] of this.#pages) {
      const from = index * PAGE_SIZE
      const to = from + PAGE_SIZE
      if (to <= start || from >= end) continue
      const before = Math.max(from, start)
      const after = Math.min(to, end)
      const used = this.#isHeld(from, before) || this.#isHeld(after, to)
      if (used) continue
      this.#pages.delete(index)
      this.#held -= page.length
      this.#pool.give(page)
    }
  }

  #isHeld(start: Bytes, end: Bytes): boolean {
    return this.#dirty.intersects(start, end) || this.#sealed.intersects(start, end)
  }
}
