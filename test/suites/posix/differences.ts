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

const MOUNTED: readonly SubjectName[] = ['fuse', 'fuse-native']
const NOT_UTF8 = 'Creating a name that is not valid UTF-8 fails with `EILSEQ`'

export const DIFFERENCES: readonly Difference[] = [
  {
    subjects: MOUNTED,
    title: 'names that are not UTF-8',
    because: NOT_UTF8,
    found: Object.fromEntries(
      [0, 5, 10, 15, 20].flatMap(at => [
        [at + 1, 'EILSEQ'],
        [at + 2, 'EILSEQ'],
        [at + 3, 'EILSEQ'],
        [at + 4, 'ENOENT'],
      ]),
    ),
  },
  {
    subjects: ['core', ...MOUNTED],
    title: 'a hard link is another name of the same file',
    because: '`link` | `EPERM`',
    found: { '0': 'EPERM', '4': 'missing' },
  },
  {
    subjects: ['core', ...MOUNTED],
    title: 'rename (exchange) of a file onto each kind of thing',
    because: '`RENAME_EXCHANGE` fails with `EINVAL`',
    found: {
      'a file.0': 'EINVAL',
      'a file.1': '/w/from: file /w/from',
      'a file.2': '/w/to: file /w/to',
      'an empty file.0': 'EINVAL',
      'an empty file.1': '/w/from: file /w/from',
      'an empty file.2': '/w/to: ',
      'an empty directory.0': 'EINVAL',
      'an empty directory.1': '/w/from: file /w/from',
      'an empty directory.2': '/w/to/',
      'a full directory.0': 'EINVAL',
      'a full directory.1': '/w/from: file /w/from',
      'a full directory.2': '/w/to/',
      'a full directory.3': '/w/to/sub/',
      'a full directory.4': '/w/to/sub/file: file in /w/to',
    },
  },
]

/** All that a subject may differ in for one case. */
export function differencesOf(subject: SubjectName, title: string): Record<string, Result> {
  const rows = DIFFERENCES.filter(row => row.title === title && row.subjects.includes(subject))
  return Object.assign({}, ...rows.map(({ found }) => found)) as Record<string, Result>
}
