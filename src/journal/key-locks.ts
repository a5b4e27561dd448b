/** Locks by key, for code that waits between looking at a key and changing it. Not re-entrant. */
import { Mutex } from '../util/lock.js'

export class KeyLocks {
  readonly #locks = new Map<string, { readonly mutex: Mutex; users: number }>()

  /** Runs `work` alone on all of the keys. */
  run<T>(keys: readonly string[], work: () => Promise<T>): Promise<T> {
    // In one order everywhere, or two could wait for each other.
    return this.#run([...new Set(keys)].toSorted(), 0, work)
  }

  async #run<T>(keys: readonly string[], index: number, work: () => Promise<T>): Promise<T> {
    const key = keys[index]
    if (key === undefined) return work()
    const lock = this.#locks.get(key) ?? { mutex: new Mutex(), users: 0 }
    this.#locks.set(key, lock)
    lock.users += 1
    try {
      return await lock.mutex.run(() => this.#run(keys, index + 1, work))
    } finally {
      lock.users -= 1
      if (lock.users === 0) this.#locks.delete(key)
    }
  }
}
