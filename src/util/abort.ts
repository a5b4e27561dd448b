/** Waiting that can be given up without giving up the work that is waited for. */
import { setMaxListeners } from 'node:events'

/**
 * Calls `listener` once if the signal is aborted; take it back by `removeEventListener`. One signal may
 * stand for any number of waits, such as the parts of one large copy: Node's warning about many
 * listeners is for leaks, and does not apply.
 */
export function listenForAbort(signal: AbortSignal | undefined, listener: () => void): void {
  if (signal === undefined) return
  setMaxListeners(0, signal)
  signal.addEventListener('abort', listener, { once: true })
}

/**
 * Settles as `work` does, or rejects with the signal's reason as soon as that is aborted. The work
 * itself goes on; whoever started it owns it. A rejection of the abandoned work is not unhandled.
 */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    if (signal.aborted) {
      work.catch(() => undefined)
      onAbort()
      return
    }
    listenForAbort(signal, onAbort)
    const leave = (): void => signal.removeEventListener('abort', onAbort)
    work.then(
      value => {
        leave()
        resolve(value)
      },
      (error: unknown) => {
        leave()
        reject(error)
      },
    )
  })
}
