/**
 * What signals do to the log of a serving process: SIGUSR1 makes it tell every request, SIGUSR2 makes
 * it what was configured again, SIGHUP opens its file anew after it was rotated.
 *
 * Listening to SIGUSR1 also keeps Node.js from opening its debugger on it, at a port of this machine.
 */
import { isatty } from 'node:tty'
import type { ProcessLog } from './logger.js'

export interface LogSignals {
  /** Without a log file, or at a terminal, SIGHUP says that nobody is there any more: it is left alone. */
  readonly takesHangup: boolean
  remove(): void
}

/**
 * Listens to SIGUSR1 (level debug) and SIGUSR2 (as configured), and to SIGHUP (file opened anew) if there
 * is a file and no terminal whose end SIGHUP could tell.
 */
export function adjustLogOnSignals({ log, reopen }: ProcessLog, hasFile: boolean): LogSignals {
  const configured = log.level
  const announce = (level: string): void => {
    log.level = level
    log.info({ logLevel: level }, 'log level was changed by a signal')
  }
  const handlers: Partial<Record<NodeJS.Signals, () => void>> = {
    SIGUSR1: () => announce('debug'),
    SIGUSR2: () => announce(configured),
  }
  const takesHangup = hasFile && !isatty(2)
  if (takesHangup) {
    handlers.SIGHUP = () => {
      reopen()
      log.info({}, 'log file was opened anew')
    }
  }
  const all = Object.entries(handlers) as [NodeJS.Signals, () => void][]
  for (const [signal, handler] of all) process.on(signal, handler)
  return {
    takesHangup,
    remove: () => {
      for (const [signal, handler] of all) process.off(signal, handler)
    },
  }
}
