/**
 * The logger that every layer receives: structured fields first, then the sentence, as pino has it,
 * so that a pino logger is one without an adapter. Libraries never print; they are given one of these.
 */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

function ignore(): void {}

/** Drops everything: the default of libraries and of most tests. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }
