/** Exit codes, and how a failed command explains itself. */

export const EXIT = {
  ok: 0,
  /** The command could not do its work. */
  failed: 1,
  /** The command line, environment or configuration file is wrong; nothing was done. */
  usage: 2,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** A failure whose message is all that the user needs. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly exitCode: ExitCode

  constructor(message: string, exitCode: ExitCode = EXIT.failed, options: ErrorOptions = {}) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** The exit code for any error: mistakes in what the user gave are usage errors. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exitCode
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'CONFIG' || code === 'PARAMETERS' ? EXIT.usage : EXIT.failed
}

/** The message, with those of its causes that say more. */
export function explain(error: unknown): string {
  const messages: string[] = []
  for (let at = error; at instanceof Error && messages.length < 4; at = at.cause) {
    if (!messages.some(message => message.includes(at instanceof Error ? at.message : ''))) {
      messages.push(at.message)
    }
  }
  return messages.length === 0 ? String(error) : messages.join(': ')
}
