/**
 * First-come-first-served locks for code that waits while it holds shared state.
 *
 * `Mutex` lets one in; `SharedLock` lets in many sharers or one exclusive holder. A waiting exclusive
 * holder keeps later sharers out, so that it cannot starve. Neither is re-entrant.
 */

type Release = () => void

export class SharedLock {
  #sharers = 0
  #exclusive = false
  readonly #queue: { exclusive: boolean; enter: () => void }[] = []

  /** Nobody is in, and nobody waits. */
  get isIdle(): boolean {
    return this.#sharers === 0 && !this.#exclusive && this.#queue.length === 0
  }

  /** Resolves at once, or if somebody holds the lock exclusively, when he has left. */
  async settled(): Promise<void> {
    if (this.#exclusive) await this.shared(async () => undefined)
  }

  async shared<T>(work: () => Promise<T>): Promise<T> {
    const release = await this.#enter(false)
    try {
      return await work()
    } finally {
      release()
    }
  }

  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    const release = await this.#enter(true)
    try {
      return await work()
    } finally {
      release()
    }
  }

  async #enter(exclusive: boolean): Promise<Release> {
    if (this.#queue.length > 0 || !this.#admits(exclusive)) {
      await new Promise<void>(resolve => this.#queue.push({ exclusive, enter: resolve }))
    } else {
      this.#take(exclusive)
    }
    let released = false
    return () => {
      if (released) return
      released = true
      if (exclusive) this.#exclusive = false
      else this.#sharers -= 1
      this.#admitNext()
    }
  }

  #admits(exclusive: boolean): boolean {
    return !this.#exclusive && (!exclusive || this.#sharers === 0)
  }

  #take(exclusive: boolean): void {
    if (exclusive) this.#exclusive = true
    else this.#sharers += 1
  }

  // The place is taken on behalf of the one let in, before it runs: nobody can slip in between.
  #admitNext(): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      if (!this.#admits(next.exclusive)) return
      this.#queue.shift()
      this.#take(next.exclusive)
      next.enter()
    }
  }
}

export class Mutex {
  readonly #lock = new SharedLock()

  /** Nobody is in, and nobody waits: work that does not wait itself may go ahead without entering. */
  get isIdle(): boolean {
    return this.#lock.isIdle
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    return this.#lock.exclusive(work)
  }
}
