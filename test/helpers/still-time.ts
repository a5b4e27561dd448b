/** Time that passes only when a test says so: what depends on it is the same on every machine. */
import { setImmediate as turn } from 'node:timers/promises'
import type { Later } from '../../src/util/clock.js'
import type { Milliseconds } from '../../src/util/units.js'

interface Alarm {
  readonly at: Milliseconds
  readonly work: () => void
}

export class StillTime {
  now: Milliseconds = 0
  readonly #alarms = new Set<Alarm>()

  /** A microsecond later each time somebody looks: no two things happen at once. */
  readonly monotonic = (): Milliseconds => (this.now += 0.001)

  readonly later: Later = (delay, work) => {
    const alarm = { at: this.now + delay, work }
    this.#alarms.add(alarm)
    return () => void this.#alarms.delete(alarm)
  }

  /** Begins what is due until then, in order, with some turns of the event loop after each. */
  async pass(duration: Milliseconds): Promise<void> {
    const end = this.now + duration
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#alarms.delete(next)
      this.now = Math.max(this.now, next.at)
      next.work()
      for (let i = 0; i < 20; i += 1) await turn()
    }
    this.now = end
  }

  #next(end: Milliseconds): Alarm | undefined {
    const due = [...this.#alarms].filter(({ at }) => at <= end)
    return due.toSorted((one, other) => one.at - other.at)[0]
  }
}
