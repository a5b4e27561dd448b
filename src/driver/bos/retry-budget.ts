/**
 * How many retries all requests of a driver together may spend. While the service is well, few are
 * needed and the budget is full; when everything fails, retries would multiply the load on a service
 * that is in trouble already, so they end after a while and errors are told soon.
 *
 * A token bucket: a retry costs one; every answer of the service brings back a part of one, and so does
 * time, so that a driver with little to do can always try again.
 */
import { systemClock, type Clock } from '../../util/clock.js'

export interface RetryBudgetOptions {
  /** Retries that can be made in one go; default 100. */
  capacity?: number
  /** What an answer brings back; default 0.1: in the long run one retry for ten answers. */
  perAnswer?: number
  /** What a second brings back; default 2. */
  perSecond?: number
  clock?: Pick<Clock, 'now'>
}

export class RetryBudget {
  readonly #options: Required<RetryBudgetOptions>
  #tokens: number
  #updatedAt: number

  constructor(options: RetryBudgetOptions = {}) {
    this.#options = { capacity: 100, perAnswer: 0.1, perSecond: 2, clock: systemClock, ...options }
    this.#tokens = this.#options.capacity
    this.#updatedAt = this.#options.clock.now()
  }

  /** Pays for a retry; false if the budget is used up. */
  take(): boolean {
    const now = this.#options.clock.now()
    this.#add((Math.max(0, now - this.#updatedAt) / 1000) * this.#options.perSecond)
    this.#updatedAt = now
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  /** The service has answered in a way that needs no retry. */
  earn(): void {
    this.#add(this.#options.perAnswer)
  }

  #add(tokens: number): void {
    this.#tokens = Math.min(this.#options.capacity, this.#tokens + tokens)
  }
}
