/**
 * The process's logger: pino, onto standard error or a file; lines for people on a terminal, JSON
 * elsewhere. A warning that comes again and again is counted instead of written (repeats.ts). Errors
 * never are: each may be about data that somebody has lost.
 */
import { pino } from 'pino'
import type { Logger as PinoLogger } from 'pino'
import { dirname, resolve } from 'node:path'
import { isatty } from 'node:tty'
import type { MountConfig } from '../config.js'
import { makeDirectories } from '../util/directories.js'
import { Repeats } from './repeats.js'
import { textOf } from './log-text.js'

/** pino's number of the level. */
const ERROR = 50

export interface LogOptions {
  readonly level: MountConfig['logLevel']
  /** Appended to, and readable by its owner alone; standard error if absent. */
  readonly file?: string | undefined
  /** Default `auto`: text if it goes to a terminal. */
  readonly format?: MountConfig['logFormat']
}

export interface ProcessLog {
  readonly log: PinoLogger
  /** Opens the file anew under its name, after it was renamed by whoever rotates logs. */
  readonly reopen: () => void
}

/** The log of a command that does not reopen it. @throws as `openLog` */
export function createLogger(options: LogOptions): PinoLogger {
  return openLog(options).log
}

/**
 * Opens the log of this process, and makes the folder of its file (0750) if there is none. Lines are
 * written synchronously: what was logged before a crash is there.
 *
 * @throws the error of the system if the file cannot be opened
 */
export function openLog({ level, file, format = 'auto' }: LogOptions): ProcessLog {
  if (file !== undefined) makeDirectories(dirname(resolve(file)), 0o750)
  const destination = pino.destination(
    file === undefined
      ? { dest: 2, sync: true }
      : { dest: resolve(file), sync: true, append: true, mode: 0o600 },
  )
  const isText = format === 'text' || (format === 'auto' && file === undefined && isatty(2))
  const stream = isText ? { write: (line: string) => destination.write(textOf(line)) } : destination
  const repeats = new Repeats()
  const log = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      hooks: {
        logMethod(args, method, number) {
          const sentence: unknown = args[1]
          if (number >= ERROR || log.level === 'debug' || typeof sentence !== 'string') {
            method.apply(this, args)
            return
          }
          const { isTold, isLast, missed } = repeats.ask(sentence)
          const note = {
            ...(missed > 0 ? { notWrittenBefore: missed } : {}),
            ...(isLast ? { next: 'more of these are only counted for a while' } : {}),
          }
          if (isTold) method.call(this, { ...(args[0] as object), ...note }, sentence)
        },
      },
    },
    stream,
  )
  return {
    log,
    reopen: () => {
      if (file !== undefined) destination.reopen()
    },
  }
}
