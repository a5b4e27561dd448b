/** Exit codes, and how a failed command explains itself. */

export const EXIT = {
  ok: 0,
  /** The command could not do its work. */
  failed: 1,
  /** The command line, environment or configuration file is wrong; nothing was done. */
  usage: 2,
  /** The command has done its work, and what it looked for is there: damage, a failed check. */
  found: 3,
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

/** What is deeper down says little to a user. */
const MAX_CAUSES = 6

/** The message, with those of its causes that say more. */
export function explain(error: unknown): string {
  const messages: string[] = []
  let at = error
  // A chain of causes may lead back to itself.
  for (let depth = 0; at instanceof Error && depth < MAX_CAUSES; depth += 1) {
    const { message } = at
    if (!messages.some(said => said.includes(message))) messages.push(message)
    at = at.cause
  }
  return messages.length === 0 ? String(error) : messages.join(': ')
}
