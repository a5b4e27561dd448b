/** Waiting that can be given up without giving up the work that is waited for. */

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
    signal.addEventListener('abort', onAbort, { once: true })
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
