/** The fault rules of a server that is a process: `serve --faults`, which reads its file when it changes. */
import { renameSync, writeFileSync } from 'node:fs'
import { until, type Server } from './bosmount.js'

/**
 * Gives a server other rules, and waits until they hold. They are put in place whole: a file that is being
 * written is empty for a moment, and that is no rules.
 */
export async function replaceFaults(
  { process }: Pick<Server, 'process'>,
  file: string,
  rules: readonly object[],
): Promise<void> {
  const times = (): number => process.output.split('fault rules read').length
  const before = times()
  writeFileSync(`${file}.new`, JSON.stringify(rules))
  renameSync(`${file}.new`, file)
  await until(() => times() > before, 'the fault rules to be read', process)
}
