/**
 * The content of one file under write: which byte is where.
 *
 * Model: the file is `size` bytes long. Each byte is
 * - dirty: written here and held in memory, in pages of one size that come from a pool (a small file's
 *   only page is smaller and grows);
 * - staged: written here and held in the staging file, at the same offset;
 * - sealed: written here and handed over to an upload as part of a whole part. Its page stays until the
 *   upload is done; then it is gone, unless it is staged as well;
 * - or else what `origins` says: a byte of an object in the store, or a hole that reads as zero.
 *
 * Pure bookkeeping: no I/O and no waiting. dirty-file.ts uploads, spills and decides.
 *
 * INVARIANT: dirty, staged and sealed ranges and origins lie within [0, size); each dirty byte has a
 * page; no byte is both dirty and staged, or both dirty and sealed.
 */
import { Extents } from '../util/extents.js'
import type { Extent } from '../util/extents.js'
import { KiB, MiB } from '../util/units.js'
import type { Bytes } from '../util/units.js'
import type { BufferPool } from './buffer-pool.js'
import { Origins } from './origins.js'
import type { Origin, Source } from './origins.js'

export const PAGE_SIZE: Bytes = MiB
const SMALLEST_PAGE: Bytes = 16 * KiB

/** A piece of the file, in order, as a reader or an upload has to obtain it. */
export type Piece = MemoryPiece | StoredPiece | AbsentPiece

export interface MemoryPiece {
  readonly kind: 'memory'
  readonly offset: Bytes
  readonly length: Bytes
  readonly data: Uint8Array
}

/** The range of an object in the store that begins at its byte `from`. */
export interface StoredPiece {
  readonly kind: 'stored'
  readonly offset: Bytes
  readonly length: Bytes
  readonly source: Source
  readonly from: Bytes
}

/** In the staging file; zeros; or out of reach until the file is published. */
export interface AbsentPiece {
  readonly kind: 'staged' | 'hole' | 'sealed'
  readonly offset: Bytes
  readonly length: Bytes
}

export class WriteBuffer {
  readonly #pool: BufferPool
  readonly #pages = new Map<number, Buffer>()
  readonly #dirty = new Extents()
  readonly #staged = new Extents()
  readonly #sealed = new Extents()
  readonly #origins = new Origins()
  #size: Bytes
  #held: Bytes = 0

  constructor(pool: BufferPool, baseSize: Bytes) {
    this.#pool = pool
    this.#size = baseSize
    this.#origins.reset(baseSize)
  }

  get size(): Bytes {
    return this.#size
  }

  /** Bytes of memory held in pages. */
  get held(): Bytes {
    return this.#held
  }

  get origins(): Iterable<Origin> {
    return this.#origins
  }

  /** What is dirty now, as a copy. */
  get dirtyRanges(): readonly Extent[] {
    return [...this.#dirty]
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

  /** Takes a copy of the data. The range must not touch sealed bytes. */
  write(offset: Bytes, data: Uint8Array): void {
    const end = offset + data.length
    this.#checkUnsealed(offset, end)
    for (let position = offset; position < end;) {
      const index = Math.floor(position / PAGE_SIZE)
      const start = index * PAGE_SIZE
      const stop = Math.min(start + PAGE_SIZE, end)
      const page = this.#page(index, stop - start)
      page.set(data.subarray(position - offset, stop - offset), position - start)
      position = stop
    }
    this.#dirty.insert(offset, end)
    if (!this.#staged.isEmpty) this.#staged.remove(offset, end)
    if (data.length > 0) this.#size = Math.max(this.#size, end)
  }

  /** Sets the size; what is cut off is gone for good, what is added is a hole. */
  truncate(size: Bytes): void {
    if (size < this.#size) this.#clear(size, this.#size)
    this.#size = size
  }

  /** Makes a hole of [start, end), and the file at least `end` long if it is to grow. */
  zero(start: Bytes, end: Bytes, grow = false): void {
    this.#clear(start, Math.min(end, this.#size))
    if (grow) this.#size = Math.max(this.#size, end)
  }

  /** Makes a range the same as that of an object in the store. */
  copy(origin: Origin): void {
    this.#clear(origin.start, Math.min(origin.end, this.#size))
    this.#origins.set(origin)
    this.#size = Math.max(this.#size, origin.end)
  }

  isWhollyDirty(start: Bytes, end: Bytes): boolean {
    return this.#dirty.covers(start, end)
  }

  isSealed(start: Bytes, end: Bytes): boolean {
    return this.#sealed.intersects(start, end)
  }

  isStaged(start: Bytes, end: Bytes): boolean {
    return this.#staged.covers(start, end)
  }

  /** [start, end) is exactly what the base has there. */
  isClean(start: Bytes, end: Bytes): boolean {
    return (
      this.#origins.isBase(start, end) &&
      !this.#dirty.intersects(start, end) &&
      !this.#staged.intersects(start, end) &&
      !this.#sealed.intersects(start, end)
    )
  }

  /** The pieces that make up [start, end), which is clipped to the size. */
  pieces(start: Bytes, end: Bytes): Piece[] {
    const pieces: Piece[] = []
    for (const range of this.#dirty.split(start, Math.min(end, this.#size))) {
      if (range.inside) this.#addMemory(range.start, range.end, pieces)
      else this.#addUnheld(range.start, range.end, pieces)
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
    this.#staged.remove(start, end)
    this.#dirty.insert(start, end)
  }

  /** The upload of a sealed range is of no use any more: its staged bytes are to be uploaded again. */
  recall(start: Bytes, end: Bytes): void {
    if (!this.#staged.covers(start, end)) throw new RangeError('recalling what is not staged')
    this.#sealed.remove(start, end)
  }

  /** The upload of a sealed range is done: its memory is free. Returns the bytes given back. */
  drop(start: Bytes, end: Bytes): Bytes {
    const before = this.#held
    this.#dropPages(start, end)
    return before - this.#held
  }

  /** The staging file has a sealed range as well. */
  keep(start: Bytes, end: Bytes): void {
    this.#staged.insert(start, end)
  }

  /** The staging file has a dirty range now: its memory is free. Returns the bytes given back. */
  stage(start: Bytes, end: Bytes): Bytes {
    if (!this.#dirty.covers(start, end)) throw new RangeError('staging what is not dirty')
    this.#dirty.remove(start, end)
    this.#staged.insert(start, end)
    return this.drop(start, end)
  }

  /** A new base has all that is sealed, in its place; what else was not written here is as `origins` say. */
  adopt(origins: Iterable<Origin>): void {
    const ranges = [...this.#sealed]
    this.#sealed.clear()
    this.#origins.reset(0)
    for (const origin of origins) this.#origins.set(origin)
    for (const { start, end } of ranges) this.copy({ start, end, source: 'base', from: start })
  }

  /** Everything lies in the store now, `size` bytes of it, or is to be forgotten. */
  reset(size: Bytes): void {
    this.#dirty.clear()
    this.#staged.clear()
    this.#sealed.clear()
    this.#dropPages(0, Infinity)
    this.#size = size
    this.#origins.reset(size)
  }

  /** Throws if the class invariant does not hold; for tests. */
  checkInvariants(): void {
    for (const set of [this.#dirty, this.#staged, this.#sealed, this.#origins]) {
      set.checkInvariants()
      for (const { end } of set) if (end > this.#size) throw new Error('bytes beyond the size')
    }
    for (const { start, end } of this.#dirty) {
      if (this.#sealed.intersects(start, end)) throw new Error('bytes both dirty and sealed')
      if (this.#staged.intersects(start, end)) throw new Error('bytes both dirty and staged')
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

  #checkUnsealed(start: Bytes, end: Bytes): void {
    if (this.#sealed.intersects(start, end)) throw new RangeError('change of a sealed range')
  }

  #clear(start: Bytes, end: Bytes): void {
    if (start >= end) return
    this.#checkUnsealed(start, end)
    this.#dirty.remove(start, end)
    this.#staged.remove(start, end)
    this.#origins.remove(start, end)
    this.#dropPages(start, end)
  }

  #addMemory(start: Bytes, end: Bytes, pieces: Piece[]): void {
    for (let position = start; position < end;) {
      const index = Math.floor(position / PAGE_SIZE)
      const stop = Math.min((index + 1) * PAGE_SIZE, end)
      const page = this.#pages.get(index)
      if (page === undefined) throw new Error('dirty bytes without a page')
      const data = page.subarray(position - index * PAGE_SIZE, stop - index * PAGE_SIZE)
      pieces.push({ kind: 'memory', offset: position, length: data.length, data })
      position = stop
    }
  }

  #addUnheld(start: Bytes, end: Bytes, pieces: Piece[]): void {
    for (const range of this.#sealed.split(start, end)) {
      if (range.inside) this.#addSealed(range.start, range.end, pieces)
      else this.#addStaged(range.start, range.end, { pieces, isSealed: false })
    }
  }

  /** The pages of some parts may be gone already, those of others not yet. */
  #addSealed(start: Bytes, end: Bytes, pieces: Piece[]): void {
    for (let position = start; position < end;) {
      const index = Math.floor(position / PAGE_SIZE)
      const stop = Math.min((index + 1) * PAGE_SIZE, end)
      if (this.#pages.has(index)) this.#addMemory(position, stop, pieces)
      else this.#addStaged(position, stop, { pieces, isSealed: true })
      position = stop
    }
  }

  #addStaged(
    start: Bytes,
    end: Bytes,
    { pieces, isSealed }: { pieces: Piece[]; isSealed: boolean },
  ): void {
    for (const range of this.#staged.split(start, end)) {
      const offset = range.start
      const length = range.end - offset
      if (range.inside) pieces.push({ kind: 'staged', offset, length })
      else if (isSealed) pieces.push({ kind: 'sealed', offset, length })
      else this.#addOrigins(range.start, range.end, pieces)
    }
  }

  #addOrigins(start: Bytes, end: Bytes, pieces: Piece[]): void {
    for (const origin of this.#origins.split(start, end)) {
      const place = { offset: origin.start, length: origin.end - origin.start }
      if (origin.source === undefined) pieces.push({ kind: 'hole', ...place })
      else pieces.push({ kind: 'stored', ...place, source: origin.source, from: origin.from })
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
    const page = this.#pool.take(size)
    if (current !== undefined) {
      page.set(current)
      this.#pool.give(current)
    }
    this.#held += size - (current?.length ?? 0)
    this.#pages.set(index, page)
    return page
  }

  /** Frees the pages that touch [start, end) and hold nothing that is dirty or sealed elsewhere. */
  #dropPages(start: Bytes, end: Bytes): void {
    const first = Math.floor(start / PAGE_SIZE)
    const count = Math.ceil(end / PAGE_SIZE) - first
    const indexes =
      count < this.#pages.size
        ? Array.from({ length: count }, (_, i) => first + i)
        : [...this.#pages.keys()].filter(index => index >= first && index * PAGE_SIZE < end)
    for (const index of indexes) {
      const page = this.#pages.get(index)
      if (page === undefined) continue
      const from = index * PAGE_SIZE
      const to = from + PAGE_SIZE
      const isUsed =
        this.#isHeld(from, Math.max(from, start)) || this.#isHeld(Math.min(to, end), to)
      if (isUsed || this.#dirty.intersects(from, to)) continue
      this.#pages.delete(index)
      this.#held -= page.length
      this.#pool.give(page)
    }
  }

  #isHeld(start: Bytes, end: Bytes): boolean {
    return this.#dirty.intersects(start, end) || this.#sealed.intersects(start, end)
  }
}
