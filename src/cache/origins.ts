/**
 * Where the bytes of a file under write come from when they were not written here: which ranges are
 * ranges of objects that lie in the store already. What is in no range is a hole.
 *
 * Model: disjoint ranges in ascending order, each a range of one object. `base` stands for the version
 * that the file itself was made from, whose name may change; any other object was copied from, and is
 * named as it was then.
 *
 * INVARIANT: 0 <= start < end for each range, and each starts at or after the end of the one before.
 * Neighbours that continue each other in one object are one range.
 */
import type { Bytes } from '../util/units.js'
import type { ObjectId } from './object-id.js'

export type Source = 'base' | ObjectId

export interface Origin {
  readonly start: Bytes
  readonly end: Bytes
  readonly source: Source
  /** The byte at `start` is this one of the source. */
  readonly from: Bytes
}

export class Origins implements Iterable<Origin> {
  #ranges: Origin[] = [];

  [Symbol.iterator](): Iterator<Origin> {
    return this.#ranges[Symbol.iterator]()
  }

  /** Whether [start, end) is exactly what the base has at the same place. */
  isBase(start: Bytes, end: Bytes): boolean {
    if (start >= end) return true
    return this.#ranges.some(
      range =>
        range.start <= start &&
        range.end >= end &&
        range.source === 'base' &&
        range.from === range.start,
    )
  }

  set({ start, end, source, from }: Origin): void {
    if (start >= end) return
    this.remove(start, end)
    const at = this.#ranges.findIndex(range => range.start >= end)
    this.#ranges.splice(at < 0 ? this.#ranges.length : at, 0, { start, end, source, from })
    this.#join()
  }

  /** Makes a hole of [start, end). */
  remove(start: Bytes, end: Bytes): void {
    if (start >= end) return
    this.#ranges = this.#ranges.flatMap(range => {
      if (range.end <= start || range.start >= end) return [range]
      const kept: Origin[] = []
      if (range.start < start) kept.push({ ...range, end: start })
      if (range.end > end) {
        kept.push({ ...range, start: end, from: range.from + end - range.start })
      }
      return kept
    })
  }

  /** All bytes are those of a base of this size. */
  reset(size: Bytes): void {
    this.#ranges = size === 0 ? [] : [{ start: 0, end: size, source: 'base', from: 0 }]
  }

  /** Cuts [start, end) into ranges of objects and holes, which have no source, in order. */
  *split(
    start: Bytes,
    end: Bytes,
  ): Generator<Origin | { start: Bytes; end: Bytes; source?: never }> {
    let position = start
    for (const range of this.#ranges) {
      if (range.end <= position) continue
      if (range.start >= end) break
      if (range.start > position) yield { start: position, end: range.start }
      const from = Math.max(position, range.start)
      position = Math.min(range.end, end)
      yield {
        start: from,
        end: position,
        source: range.source,
        from: range.from + from - range.start,
      }
    }
    if (position < end) yield { start: position, end }
  }

  /** Throws if the class invariant does not hold; for tests. */
  checkInvariants(): void {
    let previous = 0
    for (const { start, end, from } of this.#ranges) {
      if (start < previous || end <= start || from < 0) {
        throw new Error(`origins out of order: ${JSON.stringify(this.#ranges)}`)
      }
      previous = end
    }
  }

  #join(): void {
    const joined: Origin[] = []
    for (const range of this.#ranges) {
      const last = joined.at(-1)
      const continues =
        last !== undefined &&
        last.end === range.start &&
        last.from + last.end - last.start === range.from &&
        isSameSource(last.source, range.source)
      if (continues) joined[joined.length - 1] = { ...last, end: range.end }
      else joined.push(range)
    }
    this.#ranges = joined
  }
}

export function isSameSource(a: Source, b: Source): boolean {
  if (a === 'base' || b === 'base') return a === b
  return a.path === b.path && a.etag === b.etag
}
