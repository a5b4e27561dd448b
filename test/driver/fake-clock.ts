/** Time that passes only when a test or a sleep says so. */
import type { Clock } from '../../src/util/clock.js'
import type { Milliseconds } from '../../src/util/units.js'

export class FakeClock implements Clock {
  readonly sleeps: Milliseconds[] = []
  #now: Milliseconds

  constructor(now: Milliseconds = 1_000_000) {
    this.#now = now
  }

  now(): Milliseconds {
    return this.#now
  }

  pass(time: Milliseconds): void {
    this.#now += time
  }

  async sleep(delay: Milliseconds, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.sleeps.push(delay)
    this.#now += delay
  }
}
