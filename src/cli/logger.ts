/** The process's logger: pino, as JSON lines, onto standard error or a file. */
import { pino } from 'pino'
import type { Logger as PinoLogger } from 'pino'
import type { MountConfig } from '../config.js'

/** @param file appended to; standard error if absent */
export function createLogger(level: MountConfig['logLevel'], file?: string): PinoLogger {
  const destination = pino.destination(
    file === undefined
      ? { dest: 2, sync: true }
      : { dest: file, sync: true, mkdir: true, append: true },
  )
  return pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
    },
    destination,
  )
}
