/**
 * Directories whose children were forgotten on purpose: they were renamed, removed or made here. What a
 * request that began before that tells of them, or of anything below, is of another directory and void.
 *
 * Bounded: of the oldest only the time is kept, for all of them together, so that what is older is void
 * everywhere.
 */
import { withAncestors } from '../driver/path.js'
import type { Milliseconds } from '../util/units.js'

const REMEMBERED = 1000

export class VoidedDirectories {
  /** The oldest first. */
  readonly #times = new Map<string, Milliseconds>()
  /** When the last of those that are not remembered any more was forgotten. */
  #before: Milliseconds = -Infinity

  add(directory: string, now: Milliseconds): void {
    this.#times.delete(directory)
    this.#times.set(directory, now)
    const [oldest] = this.#times
    if (this.#times.size <= REMEMBERED || oldest === undefined) return
    this.#times.delete(oldest[0])
    this.#before = oldest[1]
  }

  /** Whether what a request that began at `began` tells of a directory's children is of another one. */
  isVoid(directory: string, began: Milliseconds): boolean {
    if (began < this.#before) return true
    if (this.#times.size === 0) return false
    for (const at of withAncestors(directory)) {
      if (began < (this.#times.get(at) ?? -Infinity)) return true
    }
    return false
  }
}
