/** What a mount's counts say of its journal, in words. */
import { counted } from '../util/plural.js'
import { formatBytes } from '../util/units.js'

/** undefined for a mount that has none. */
export function describeJournal(counts: Readonly<Record<string, number>>): string | undefined {
  const { journalFiles, journalBytes = 0, journalOldestSeconds = 0 } = counts
  if (journalFiles === undefined) return undefined
  const { journalConflictsTotal = 0 } = counts
  const conflicts =
    journalConflictsTotal === 0 ? '' : `, ${counted(journalConflictsTotal, 'conflict')}`
  if (journalFiles === 0) return `nothing in the journal${conflicts}`
  const size = formatBytes(journalBytes)
  const age = `the oldest for ${journalOldestSeconds} s`
  return `${counted(journalFiles, 'file')} (${size}) in the journal, ${age}${conflicts}`
}
