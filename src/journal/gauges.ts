/** What is pending in a journal, for people and for metrics. */
import type { Journal } from './journal.js'
import type { Totals } from './uploader.js'

export interface JournalGauges {
  readonly journalFiles: number
  readonly journalBytes: number
  /** Seconds since the oldest change that the store does not have. */
  readonly journalOldestSeconds: number
  readonly journalUploadsTotal: number
  readonly journalFailuresTotal: number
  readonly journalConflictsTotal: number
}

export function gaugesOf(
  journal: Pick<Journal, 'overlay' | 'room' | 'clock'>,
  totals: Totals,
): JournalGauges {
  const { overlay, room, clock } = journal
  const { uploaded, failures, conflicts } = totals
  const [oldest] = overlay.entries()
  const age = oldest === undefined ? 0 : clock() - oldest.record.since
  return {
    journalFiles: overlay.size,
    journalBytes: room.used,
    journalOldestSeconds: Math.max(0, Math.round(age / 1000)),
    journalUploadsTotal: uploaded,
    journalFailuresTotal: failures,
    journalConflictsTotal: conflicts,
  }
}
