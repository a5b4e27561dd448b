/** Permits handed out first come, first served; and bounded parallel work on top of them. */
import { listenForAbort } from './abort.js'

/** Gives a permit back; a second call does nothing. */
export type Release = () => void

interface Waiter {
  grant(): void
}

export class Semaphore {
  #free: number
  readonly #waiting = new Set<Waiter>()

  constructor(permits: number) {
    if (!Number.isSafeInteger(permits) || permits < 1) {
      throw new RangeError(`a semaphore needs at least one permit, got ${permits}`)
    }
    this.#free = permits
  }

  /** How many wait for a permit. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Waits for a permit. Rejects with the signal's reason once that is aborted. */
  acquire(signal?: AbortSignal): Promise<Release> {
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    if (this.#free > 0) {
      this.#free--
      return Promise.resolve(this.#release())
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        grant: () => {
          signal?.removeEventListener('abort', onAbort)
          resolve(this.#release())
        },
      }
      const onAbort = (): void => {
        this.#waiting.delete(waiter)
        reject(signal?.reason)
      }
      listenForAbort(signal, onAbort)
      this.#waiting.add(waiter)
    })
  }

  #release(): Release {
    let held = true
    return () => {
      if (!held) return
      held = false
      const [next] = this.#waiting
      if (next === undefined) {
        this.#free++
        return
      }
      this.#waiting.delete(next)
      next.grant()
    }
  }
}

export interface ParallelOptions {
  /** How many run at once. */
  limit: number
  signal?: AbortSignal
}

/**
 * Runs `work` for every item, at most `limit` at once, in the order of the items. After the first
 * failure nothing new is started, the signal given to `work` is aborted, and once all that was
 * started has settled the failure is thrown.
 */
export async function forEachParallel<T>(
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T, signal: AbortSignal) => Promise<void>,
  options: ParallelOptions,
): Promise<void> {
  const { limit, signal } = options
  const stop = new AbortController()
  const onAbort = (): void => stop.abort(signal?.reason)
  if (signal?.aborted === true) onAbort()
  listenForAbort(signal, onAbort)
  const permits = new Semaphore(limit)
  const running = new Set<Promise<void>>()
  try {
    for await (const item of items) {
      const release = await permits.acquire(stop.signal)
      if (stop.signal.aborted) {
        release()
        break
      }
      const job = work(item, stop.signal)
        .catch((error: unknown) => stop.abort(error))
        .finally(() => {
          release()
          running.delete(job)
        })
      running.add(job)
    }
  } catch (error) {
    stop.abort(error)
  } finally {
    await Promise.all(running)
    signal?.removeEventListener('abort', onAbort)
  }
  stop.signal.throwIfAborted()
}
