/**
 * A set of half-open ranges [start, end) of non-negative integers, sorted and coalesced.
 *
 * INVARIANT: 0 <= start < end for each range, and each range starts after the end of the one before
 * it (touching ranges are one range).
 *
 * Sized for what files under write have: a handful of ranges, so a linear array with binary search
 * is faster than any tree.
 */
export interface Extent {
  readonly start: number
  readonly end: number
}

export class Extents implements Iterable<Extent> {
  #ranges: Extent[] = [];

  [Symbol.iterator](): Iterator<Extent> {
    return this.#ranges[Symbol.iterator]()
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0
  }

  /** Sum of the lengths. */
  get total(): number {
    return this.#ranges.reduce((sum, { start, end }) => sum + end - start, 0)
  }

  /** Adds [start, end). An empty range changes nothing. */
  insert(start: number, end: number): void {
    check(start, end)
    if (start === end) return
    // Appending to the last range is what a sequential writer does, thousands of times.
    const last = this.#ranges.at(-1)
    if (last !== undefined && start >= last.start && start <= last.end) {
      if (end > last.end) this.#ranges[this.#ranges.length - 1] = { start: last.start, end }
      return
    }
    const from = this.#firstEndingAtOrAfter(start)
    let to = from
    let merged: Extent = { start, end }
    for (let range = this.#ranges[to]; range !== undefined && range.start <= end;) {
      merged = { start: Math.min(merged.start, range.start), end: Math.max(merged.end, range.end) }
      range = this.#ranges[++to]
    }
    this.#ranges.splice(from, to - from, merged)
  }

  /** Takes [start, end) out. An empty range changes nothing. */
  remove(start: number, end: number): void {
    check(start, end)
    if (start === end) return
    const from = this.#firstEndingAtOrAfter(start + 1)
    const kept: Extent[] = []
    let to = from
    for (let range = this.#ranges[to]; range !== undefined && range.start < end;) {
      if (range.start < start) kept.push({ start: range.start, end: start })
      if (range.end > end) kept.push({ start: end, end: range.end })
      range = this.#ranges[++to]
    }
    if (to > from) this.#ranges.splice(from, to - from, ...kept)
  }

  clear(): void {
    this.#ranges = []
  }

  /** Whether all of [start, end) is in the set; an empty range always is. */
  covers(start: number, end: number): boolean {
    if (start >= end) return true
    const range = this.#ranges[this.#firstEndingAtOrAfter(start + 1)]
    return range !== undefined && range.start <= start && range.end >= end
  }

  /** Whether any of [start, end) is in the set. */
  intersects(start: number, end: number): boolean {
    if (start >= end) return false
    const range = this.#ranges[this.#firstEndingAtOrAfter(start + 1)]
    return range !== undefined && range.start < end
  }

  /** Cuts [start, end) into pieces that are wholly in or wholly out of the set, in order. */
  *split(start: number, end: number): Generator<Extent & { readonly inside: boolean }> {
    let position = start
    for (let i = this.#firstEndingAtOrAfter(start + 1); position < end; i += 1) {
      const range = this.#ranges[i]
      if (range === undefined || range.start >= end) break
      if (range.start > position) yield { start: position, end: range.start, inside: false }
      const from = Math.max(position, range.start)
      position = Math.min(range.end, end)
      yield { start: from, end: position, inside: true }
    }
    if (position < end) yield { start: position, end, inside: false }
  }

  /** Throws if the class invariant does not hold; for tests. */
  checkInvariants(): void {
    let previous = -1
    for (const { start, end } of this.#ranges) {
      if (!(start > previous && start >= 0 && end > start)) {
        throw new Error(`extents out of order: ${JSON.stringify(this.#ranges)}`)
      }
      previous = end
    }
  }

  #firstEndingAtOrAfter(position: number): number {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#ranges[middle]?.end ?? Infinity) < position) low = middle + 1
      else high = middle
    }
    return low
  }
}

function check(start: number, end: number): void {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
    throw new RangeError(`not an extent: [${start}, ${end})`)
  }
}
