/** What a mount's counts say of its journal, in words. */
import { formatBytes } from '../util/units.js'

/** undefined for a mount that has none. */
export function describeJournal(counts: Readonly<Record<string, number>>): string | undefined {
  const { journalFiles, journalBytes = 0, journalOldestSeconds = 0 } = counts
  if (journalFiles === undefined) return undefined
  const { journalConflictsTotal = 0 } = counts
  const conflicts = journalConflictsTotal === 0 ? '' : `, ${journalConflictsTotal} conflicts`
  if (journalFiles === 0) return `nothing in the journal${conflicts}`
  const size = formatBytes(journalBytes)
  const age = `the oldest for ${journalOldestSeconds} s`
  return `${journalFiles} files (${size}) in the journal, ${age}${conflicts}`
}
