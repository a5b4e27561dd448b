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
  readonly found: Found
}

/** Stands for whatever is found, if it differs: the time of the call. */
export const ANYTHING = Symbol('anything else')

/** Stands for a place that differs or does not, as the clock has it. */
export const EITHER = Symbol('different or not')

export type Found = Readonly<Record<string, Result | typeof ANYTHING | typeof EITHER>>

const MOUNTED: readonly SubjectName[] = ['fuse', 'fuse-native']
const NOT_UTF8 = 'Creating a name that is not valid UTF-8 fails with `EILSEQ`'
const NO_FALLOCATE = 'there is no `fallocate`'
const NO_FLAGS = '`RENAME_NOREPLACE` does not reach it'
const NO_MTIME = 'drops the mtime of `utimensat`'

/** A case of holes on fuse-native: each of four files stays what it was. */
function notAllocated(title: string, found: Found): Difference {
  const failed = Object.fromEntries([0, 4, 8, 12].map(at => [at, 'EOPNOTSUPP']))
  const row = { subjects: ['fuse-native'] as const, because: NO_FALLOCATE }
  return { ...row, title: `fallocate: ${title}`, found: { ...failed, ...found } }
}

const EMPTY_STAYS: Found = { '1': 0, '2': '0 bytes da39a3ee5e6b', '3': '0 bytes da39a3ee5e6b' }
const SMALL_STAYS: Found = Object.fromEntries(
  [6, 7, 10, 11].map(at => [at, '20000 bytes 7839153a9793']),
)
const SMALL_SIZE_STAYS: Found = { '5': 20_000, '9': 20_000 }
const BIG_STAYS: Found = Object.fromEntries([14, 15].map(at => [at, '7340032 bytes a8f036d30f78']))

/** A file has the times of its creation; a directory, whose marker is pending, keeps its atime. */
const UTIMES: Found = {
  ...Object.fromEntries(
    ['0.0', '0.1', '1.0', '1.1', '2.0', '2.1', '3.0', '3.1'].map(at => [at, ANYTHING]),
  ),
  ...Object.fromEntries(['6.1', '7.1', '8.1', '9.1'].map(at => [at, ANYTHING])),
  '8.0': '1000000000000000000',
  '9.0': '1000000000000000000',
}

export const DIFFERENCES: readonly Difference[] = [
  notAllocated('space inside of the file', EMPTY_STAYS),
  notAllocated('space beyond the end makes the file longer', {
    ...EMPTY_STAYS,
    ...SMALL_STAYS,
    ...SMALL_SIZE_STAYS,
  }),
  notAllocated('space beyond the end that is kept out of the size', {}),
  notAllocated('a hole in the middle', { ...SMALL_STAYS, ...BIG_STAYS }),
  notAllocated('a hole over the end', { ...SMALL_STAYS, ...BIG_STAYS }),
  notAllocated('a hole of one byte, and one of the whole file', { ...SMALL_STAYS, ...BIG_STAYS }),
  notAllocated('space of several MiB, written in part', {
    ...EMPTY_STAYS,
    ...SMALL_STAYS,
    ...SMALL_SIZE_STAYS,
  }),
  notAllocated('a range of zeros inside of the file, and one that makes it longer', {
    ...EMPTY_STAYS,
    ...SMALL_STAYS,
    ...SMALL_SIZE_STAYS,
    ...BIG_STAYS,
  }),
  {
    subjects: ['fuse-native'],
    title: 'rename (noReplace) of a file onto each kind of thing',
    because: NO_FLAGS,
    found: { 'nothing.0': 'EINVAL', 'nothing.1': '/w/from: file /w/from' },
  },
  {
    subjects: ['fuse-native'],
    title: 'rename (noReplace) of an empty file onto each kind of thing',
    because: NO_FLAGS,
    found: { 'nothing.0': 'EINVAL', 'nothing.1': '/w/from: ' },
  },
  {
    subjects: ['fuse-native'],
    title: 'rename (noReplace) of an empty directory onto each kind of thing',
    because: NO_FLAGS,
    found: { 'nothing.0': 'EINVAL', 'nothing.1': '/w/from/' },
  },
  {
    subjects: ['fuse-native'],
    title: 'rename (noReplace) of a full directory onto each kind of thing',
    because: NO_FLAGS,
    found: {
      'nothing.0': 'EINVAL',
      'nothing.1': '/w/from/',
      'nothing.2': '/w/from/sub/',
      'nothing.3': '/w/from/sub/file: file in /w/from',
    },
  },
  {
    subjects: ['fuse-native'],
    title: 'a directory is removed with a removed open file that was in it',
    because: 'until then its directory is not empty',
    found: { '0': 'ENOTEMPTY', '2': '/d/' },
  },
  {
    subjects: ['fuse-native'],
    title: 'names: invisible and odd ones',
    because: 'the character U+FFFD',
    found: {
      '3': 'EILSEQ',
      '10': 'ENOENT',
      '16': 'ENOENT',
      '32': 'ENOENT',
      '33': 'EILSEQ',
      '34': 'ENOENT',
      '35': 'ENOENT',
      '6.4': '\uffff',
      '6.5': 'missing',
      '19.4': '\uffff2',
      '19.5': 'missing',
      '44.4': '\uffff',
      '44.5': 'missing',
    },
  },
  {
    subjects: ['fuse-native'],
    title: 'utimensat sets times to the nanosecond, to now, and leaves them',
    because: NO_MTIME,
    found: UTIMES,
  },
  {
    subjects: ['fuse-native'],
    title:
      'an mtime that was set stays when the descriptor is closed, and when the file is renamed',
    because: NO_MTIME,
    found: { '0': ANYTHING, '1': ANYTHING },
  },
  {
    subjects: ['fuse-native'],
    title: 'ctime moves with chmod, utimensat and rename, never backwards',
    because: 'the ctime of a stored file is in whole seconds',
    // It goes back unless a second has begun meanwhile.
    found: { '3': EITHER },
  },
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
    subjects: ['core'],
    title: 'the inode number stays while content, name and mode change',
    // No kernel remembers the file between two calls on its path.
    because: 'stay as long as it is known',
    found: { '1': false, '2': true },
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
export function differencesOf(subject: SubjectName, title: string): Found {
  const rows = DIFFERENCES.filter(row => row.title === title && row.subjects.includes(subject))
  return rows[0]?.found ?? {}
}
