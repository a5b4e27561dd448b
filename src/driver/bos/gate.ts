/**
 * How many requests are under way at once. The limit adapts: halved when the service asks to slow down,
 * raised by about one for every round of good answers (additive increase, multiplicative decrease).
 *
 * Requests that move many bytes never take all places: a quarter is kept for small ones, so that a HEAD
 * does not wait behind a hundred transfers. Within a lane, first come, first served; a small request
 * goes before a large one.
 *
 * INVARIANT: places taken never exceed the limit, but for those taken before it was lowered.
 */
import { listenForAbort } from '../../util/abort.js'
import type { Milliseconds } from '../../util/units.js'
import { BosError } from './error.js'

export type Lane = 'small' | 'large'

/** What became of a request: `throttled` is 429 or 503. */
export type Outcome = 'answered' | 'throttled' | 'failed'

/** A place, to be given back once. */
export type GiveBack = (outcome: Outcome) => void

export interface AcquireOptions {
  readonly signal?: AbortSignal | undefined
  /** Longest wait. */
  readonly timeout: Milliseconds
}

interface Waiter {
  admit(): void
}

/** The part of the limit that large requests leave free. */
const KEPT_FOR_SMALL = 0.25

export class Gate {
  readonly #most: number
  #limit: number
  #taken = 0
  #takenByLarge = 0
  /** Counts decreases: what began before the last one says nothing about the limit of now. */
  #era = 0
  readonly #waiting: Readonly<Record<Lane, Set<Waiter>>> = { small: new Set(), large: new Set() }

  /** @param most  the limit at the start and the highest it gets */
  constructor(most: number) {
    this.#most = most
    this.#limit = most
  }

  /** Requests that may be under way at once, now. */
  get limit(): number {
    return Math.floor(this.#limit)
  }

  get taken(): number {
    return this.#taken
  }

  get waiting(): number {
    return this.#waiting.small.size + this.#waiting.large.size
  }

  /**
   * Waits for a place.
   * @throws BosError of kind `connect` when none is free in time; the signal's reason
   */
  acquire(lane: Lane, options: AcquireOptions): GiveBack | Promise<GiveBack> {
    const { signal, timeout } = options
    signal?.throwIfAborted()
    if (this.#waiting[lane].size === 0 && this.#hasRoom(lane)) return this.#take(lane)
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        this.#waiting[lane].delete(waiter)
      }
      const waiter: Waiter = {
        admit: () => {
          leave()
          resolve(this.#take(lane))
        },
      }
      const onAbort = (): void => {
        leave()
        reject(signal?.reason)
      }
      const timer = setTimeout(() => {
        leave()
        reject(new BosError(`no free connection within ${timeout} ms`, { kind: 'connect' }))
      }, timeout)
      listenForAbort(signal, onAbort)
      this.#waiting[lane].add(waiter)
    })
  }

  #hasRoom(lane: Lane): boolean {
    const { limit } = this
    if (this.#taken >= limit) return false
    if (lane === 'small' || limit === 1) return true
    return this.#takenByLarge < limit - Math.max(1, Math.floor(limit * KEPT_FOR_SMALL))
  }

  #take(lane: Lane): GiveBack {
    const era = this.#era
    let isHeld = true
    this.#taken++
    if (lane === 'large') this.#takenByLarge++
    return outcome => {
      if (!isHeld) return
      isHeld = false
      this.#taken--
      if (lane === 'large') this.#takenByLarge--
      this.#learn(outcome, era)
      this.#admit()
    }
  }

  #learn(outcome: Outcome, era: number): void {
    if (outcome === 'answered') {
      this.#limit = Math.min(this.#most, this.#limit + 1 / this.#limit)
    } else if (outcome === 'throttled' && era === this.#era) {
      this.#era++
      this.#limit = Math.max(1, this.#limit / 2)
    }
  }

  #admit(): void {
    for (const lane of ['small', 'large'] as const) {
      for (const waiter of this.#waiting[lane]) {
        if (!this.#hasRoom(lane)) break
        waiter.admit()
      }
    }
  }
}
