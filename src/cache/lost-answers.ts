/**
 * Flushes of one file whose answers were lost, and what the version has that each has made if it took
 * effect all the same. Whoever finds one of these versions under the file's name knows it for the
 * file's own, however the file has changed since.
 *
 * Model: at the time of a flush, each range of the file that was not written here came from an object:
 * from the version that the file was made from (`base`), or from another. When the flush took effect
 * the base is gone, and its bytes are where the new version has them, which need not be where they were:
 * copy_file_range(2) within a file puts them elsewhere.
 */
import type { Bytes } from '../util/units.js'
import { isSameSource } from './origins.js'
import type { Origin } from './origins.js'
import type { Piece } from './write-buffer.js'

/** One flush. */
export interface Attempt {
  readonly size: Bytes
  /** How often the file had been changed by then. */
  readonly changes: number
  /** What was not written here. */
  readonly origins: readonly Origin[]
}

/** Flushes that are remembered; the store has what at most one of them has made. */
const MOST = 16

export class LostAnswers {
  readonly #attempts = new Map<string, Attempt>()

  /** All answers have come: what the store has is known. */
  get isEmpty(): boolean {
    return this.#attempts.size === 0
  }

  /** @param etag  of the version that the flush has made if it took effect */
  note(etag: string, attempt: Attempt): void {
    this.#attempts.delete(etag)
    this.#attempts.set(etag, attempt)
    const [oldest] = this.#attempts.keys()
    if (this.#attempts.size > MOST && oldest !== undefined) this.#attempts.delete(oldest)
  }

  /** The flush that has made this version. */
  get(etag: string): Attempt | undefined {
    return this.#attempts.get(etag)
  }

  clear(): void {
    this.#attempts.clear()
  }
}

/** The ranges among the pieces that come from objects. */
export function originsOf(pieces: readonly Piece[]): Origin[] {
  return pieces.flatMap(piece => {
    if (piece.kind !== 'stored') return []
    const { offset, length, source, from } = piece
    return [{ start: offset, end: offset + length, source, from }]
  })
}

/**
 * The same bytes, taken from the version that an attempt has made in place of the base that it replaced.
 * Other objects are not needed any more where that version has their bytes.
 *
 * @returns undefined if bytes of the base are needed that the version does not have
 */
export function rebased(origins: readonly Origin[], attempt: Attempt): Origin[] | undefined {
  const result: Origin[] = []
  for (const origin of origins) {
    const { start, end, source } = origin
    for (let position = start; position < end;) {
      const from = origin.from + position - start
      const found = attempt.origins.find(
        had => isSameSource(had.source, source) && had.from <= from && from < reach(had),
      )
      if (found === undefined && source === 'base') return undefined
      const next =
        found === undefined
          ? nextFound(origin, from, attempt)
          : Math.min(end, position + reach(found) - from)
      result.push(
        found === undefined
          ? { start: position, end: next, source, from }
          : { start: position, end: next, source: 'base', from: found.start + from - found.from },
      )
      position = next
    }
  }
  return result
}

/** End of the bytes of the source that a range has. */
function reach({ start, end, from }: Origin): Bytes {
  return from + end - start
}

/** Where bytes of the origin begin, behind `from`, that the attempt has; or its end. */
function nextFound(
  { start, end, source, from: first }: Origin,
  from: Bytes,
  attempt: Attempt,
): Bytes {
  const starts = attempt.origins
    .filter(had => isSameSource(had.source, source) && had.from > from)
    .map(had => start + had.from - first)
  return Math.min(end, ...starts)
}
