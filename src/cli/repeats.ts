/**
 * Keeps a log readable when one thing goes wrong a thousand times: of each sentence so many are told in
 * a span of time; the others are counted, and told of when the sentence comes again afterwards.
 */
import type { Milliseconds } from '../util/units.js'

export interface RepeatsOptions {
  /** Of one sentence in `span`; default 20. */
  readonly most?: number
  /** Default 10 s. */
  readonly span?: Milliseconds
  readonly now?: () => Milliseconds
}

export interface Verdict {
  readonly isTold: boolean
  /** The next ones in this span will not be. */
  readonly isLast: boolean
  /** How many were not told in the span that has ended with this one. */
  readonly missed: number
}

interface Count {
  began: Milliseconds
  told: number
  missed: number
}

/** Sentences are written in the program and few; should they not be, memory stays bounded all the same. */
const MOST_SENTENCES = 1000

export class Repeats {
  readonly #most: number
  readonly #span: Milliseconds
  readonly #now: () => Milliseconds
  readonly #counts = new Map<string, Count>()

  constructor({ most = 20, span = 10_000, now = () => performance.now() }: RepeatsOptions = {}) {
    this.#most = most
    this.#span = span
    this.#now = now
  }

  /** Whether a sentence is to be told now. */
  ask(sentence: string): Verdict {
    const now = this.#now()
    const count = this.#counts.get(sentence)
    if (count === undefined || now - count.began >= this.#span) {
      if (this.#counts.size >= MOST_SENTENCES) this.#counts.clear()
      this.#counts.set(sentence, { began: now, told: 1, missed: 0 })
      return { isTold: true, isLast: this.#most === 1, missed: count?.missed ?? 0 }
    }
    const isTold = count.told < this.#most
    if (isTold) count.told += 1
    else count.missed += 1
    return { isTold, isLast: isTold && count.told === this.#most, missed: 0 }
  }
}
