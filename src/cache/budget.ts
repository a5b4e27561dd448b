/**
 * A number of bytes of memory shared by many users, first come first served.
 *
 * Model: `tryReserve` answers at once; `reserve` waits until enough was released. A reservation
 * larger than the whole budget is granted alone, when nothing else is reserved: a single request must
 * never wait for what cannot come. Who needs nothing never waits. Waiting calls `onPressure`, whose task is to make somebody release.
 */
import { abortable } from '../util/abort.js'
import type { Bytes } from '../util/units.js'

interface Waiter {
  readonly bytes: Bytes
  readonly grant: () => void
  readonly refuse: (reason: Error) => void
}

export class Budget {
  readonly capacity: Bytes
  readonly #onPressure: () => void
  readonly #waiters: Waiter[] = []
  #reserved: Bytes = 0

  constructor(capacity: Bytes, onPressure: () => void = () => undefined) {
    this.capacity = capacity
    this.#onPressure = onPressure
  }

  get reserved(): Bytes {
    return this.#reserved
  }

  /** Bytes that callers are waiting for. */
  get wanted(): Bytes {
    return this.#waiters.reduce((sum, waiter) => sum + waiter.bytes, 0)
  }

  tryReserve(bytes: Bytes): boolean {
    if (bytes === 0) return true
    if (this.#waiters.length > 0 || !this.#fits(bytes)) return false
    this.#reserved += bytes
    return true
  }

  /** @throws the signal's reason when it is aborted before the bytes could be granted */
  async reserve(bytes: Bytes, signal?: AbortSignal): Promise<void> {
    if (this.tryReserve(bytes)) return
    let granted = false
    let waiter: Waiter | undefined
    const turn = new Promise<void>((resolve, reject) => {
      waiter = {
        bytes,
        refuse: reject,
        grant: () => {
          granted = true
          resolve()
        },
      }
      this.#waiters.push(waiter)
    })
    this.#onPressure()
    try {
      await abortable(turn, signal)
    } catch (error) {
      if (granted) this.release(bytes)
      else if (waiter !== undefined) this.#forget(waiter)
      this.#grantWaiting()
      throw error
    }
  }

  release(bytes: Bytes): void {
    this.#reserved -= bytes
    if (this.#reserved < 0)
      throw new RangeError(`budget released ${-this.#reserved} bytes too many`)
    this.#grantWaiting()
  }

  /** Nothing will be released: all who wait are told so. */
  refuse(reason: Error): void {
    for (const waiter of this.#waiters.splice(0)) waiter.refuse(reason)
  }

  #forget(waiter: Waiter): void {
    const at = this.#waiters.indexOf(waiter)
    if (at >= 0) this.#waiters.splice(at, 1)
  }

  #fits(bytes: Bytes): boolean {
    return this.#reserved === 0 || this.#reserved + bytes <= this.capacity
  }

  #grantWaiting(): void {
    for (let next = this.#waiters[0]; next !== undefined; next = this.#waiters[0]) {
      if (!this.#fits(next.bytes)) return
      this.#waiters.shift()
      this.#reserved += next.bytes
      next.grant()
    }
  }
}
