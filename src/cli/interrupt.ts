/**
 * The ends of a command that its user brings about: Ctrl-C and other signals, and a reader of its
 * output that has gone. Each aborts what is under way, which cleans up after itself, and none is told
 * as an error: the exit code says it, as a shell has it (128 and the signal's number).
 */
import { setMaxListeners } from 'node:events'

/** Somebody has asked the program to end. */
export class InterruptError extends Error {
  override readonly name = 'InterruptError'
  readonly exitCode: number

  constructor(what: keyof typeof EXIT_CODES) {
    super(`ended by ${what}`)
    this.exitCode = EXIT_CODES[what]
  }
}

const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const

/**
 * Runs `work` with a signal that is aborted by SIGINT, SIGTERM or SIGHUP, and once nobody reads
 * standard output any more. A second signal ends the process as if nobody had listened.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController()
  // Everything under way listens to the one signal: many listeners are no leak.
  setMaxListeners(0, stop.signal)
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  const onSignal = (signal: (typeof signals)[number]): void => {
    for (const each of signals) process.off(each, onSignal)
    stop.abort(new InterruptError(signal))
  }
  const onOutputError = (error: NodeJS.ErrnoException): void => {
    stop.abort(error.code === 'EPIPE' ? new InterruptError('SIGPIPE') : error)
  }
  for (const signal of signals) process.on(signal, onSignal)
  process.stdout.on('error', onOutputError)
  try {
    return await work(stop.signal)
  } catch (error) {
    // What fails because of the end is not the reason for it.
    throw stop.signal.aborted ? stop.signal.reason : error
  } finally {
    for (const signal of signals) process.off(signal, onSignal)
    process.stdout.off('error', onOutputError)
  }
}
