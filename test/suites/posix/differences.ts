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
  /** What is found, by the place in the result; '' is the whole. 'varies': something else each time. */
  readonly found: Readonly<Record<string, Result>> | 'varies'
}

const MOUNTED: readonly SubjectName[] = ['fuse', 'fuse-native']
const NOT_UTF8 = 'Creating a name that is not valid UTF-8 fails with `EILSEQ`'

/** One reason for several cases, in which nothing that is found could be foretold. */
function varying(
  subjects: readonly SubjectName[],
  because: string,
  titles: readonly string[],
): readonly Difference[] {
  return titles.map(title => ({ subjects, title, because, found: 'varies' }))
}

export const DIFFERENCES: readonly Difference[] = [
  ...varying(MOUNTED, '`fallocate` | `EOPNOTSUPP`', [
    'fallocate: space inside of the file',
    'fallocate: space beyond the end makes the file longer',
    'fallocate: space beyond the end that is kept out of the size',
    'fallocate: a hole in the middle',
    'fallocate: a hole over the end',
    'fallocate: a hole of one byte, and one of the whole file',
    'fallocate: space of several MiB, written in part',
    'fallocate: a range of zeros inside of the file, and one that makes it longer',
  ]),
  ...varying(['fuse-native'], '`RENAME_NOREPLACE` does not reach it', [
    'rename (noReplace) of a file onto each kind of thing',
    'rename (noReplace) of an empty file onto each kind of thing',
    'rename (noReplace) of an empty directory onto each kind of thing',
    'rename (noReplace) of a full directory onto each kind of thing',
  ]),
  ...varying(['fuse-native'], 'renamed to `.fuse_hidden…`', [
    'a file that replaces an open one leaves the old content to those who have it open',
    'a stored file that is removed while open is read and written to the end',
    'a file that was never stored is removed while open, read and written to the end',
    'a new file under the name of a removed open one has nothing to do with it',
    'a directory is removed with a removed open file that was in it',
  ]),
  ...varying(['fuse-native'], 'the character U+FFFD', ['names: invisible and odd ones']),
  ...varying(['fuse-native'], 'drops the mtime of `utimensat`', [
    'utimensat sets times to the nanosecond, to now, and leaves them',
    'an mtime that was set stays when the descriptor is closed, and when the file is renamed',
    'ctime moves with chmod, utimensat and rename, never backwards',
  ]),
  ...varying(['fuse-native'], 'no extended attributes', [
    'attributes are set, replaced, listed and removed',
    'XATTR_CREATE and XATTR_REPLACE insist',
    'values are bytes, and come only where there is room',
    'attributes stay when the file is written, cut and renamed',
    'names with signs of all kinds, and names that cannot be',
  ]),
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
export function differencesOf(subject: SubjectName, title: string): Difference['found'] {
  const rows = DIFFERENCES.filter(row => row.title === title && row.subjects.includes(subject))
  return rows[0]?.found ?? {}
}
