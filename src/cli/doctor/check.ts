/** What one line of `bosmount doctor` says. */
import { explain } from '../errors.js'

export interface Finding {
  readonly check: string
  /** `skip`: could not be looked at, because of another finding or of how it is set up. */
  readonly status: 'ok' | 'warn' | 'fail' | 'skip'
  readonly detail: string
  /** What to do about it. */
  readonly advice?: string
}

export type Say = (finding: Finding) => Promise<void>

/** Runs one check; what it throws is a failure. @returns whether to go on with what depends on it */
export async function look(
  say: Say,
  check: string,
  advice: string,
  work: () => Promise<string | Omit<Finding, 'check'>>,
): Promise<boolean> {
  let finding: Finding
  try {
    const result = await work()
    finding =
      typeof result === 'string' ? { check, status: 'ok', detail: result } : { check, ...result }
  } catch (error) {
    finding = { check, status: 'fail', detail: explain(error), advice }
  }
  await say(finding)
  return finding.status === 'ok' || finding.status === 'warn'
}
