/** Time as the layers see it, so that tests can make their own. */
import { listenForAbort } from './abort.js'
import type { Milliseconds } from './units.js'

export interface Clock {
  /** Milliseconds since 1970. */
  now(): Milliseconds
  /** Resolves after `delay`; rejects with the signal's reason as soon as that is aborted. */
  sleep(delay: Milliseconds, signal?: AbortSignal): Promise<void>
}

/** Does `work` once, after `delay`, unless what it returns is called before. */
export type Later = (delay: Milliseconds, work: () => void) => () => void

export const systemLater: Later = (delay, work) => {
  const timer = setTimeout(work, delay)
  return () => clearTimeout(timer)
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (delay, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason)
        return
      }
      const onAbort = (): void => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }, delay)
      listenForAbort(signal, onAbort)
    }),
}
