/**
 * Where a subject gives another result than a plain local folder: the one table. Each row says in
 * which leaves of a case's result, what is found there instead, and why, in words that the documents
 * use. Rows that no longer hold fail the suite.
 */
import type { Result } from './os.js'

/** The core without a kernel, and the mounts of both bindings. */
export type SubjectName = 'core' | 'fuse' | 'fuse-native'

export interface Difference {
  readonly subjects: readonly SubjectName[]
  /** The title of the case. */
  readonly title: string
  /** A sentence, or part of one, of docs/SEMANTICS.md or docs/BINDINGS.md. */
  readonly because: string
  /** What is found, by the place in the result; '' is the whole. */
  readonly found: Readonly<Record<string, Result>>
}

export const DIFFERENCES: readonly Difference[] = []

/** All that a subject may differ in for one case. */
export function differencesOf(subject: SubjectName, title: string): Record<string, Result> {
  const rows = DIFFERENCES.filter(row => row.title === title && row.subjects.includes(subject))
  return Object.assign({}, ...rows.map(({ found }) => found)) as Record<string, Result>
}
