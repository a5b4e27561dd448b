/**
 * A file system with nothing behind it, for measuring what carries requests to it: a root directory, and
 * regular files that open past the page cache. A benchmark says which names there are, how long they are,
 * and what is read and written; all else is refused.
 */
import { ROOT_INO } from '../src/fs/operations.js'
import type { Attributes, Entry, Fh, Ino, Operations } from '../src/fs/operations.js'
import { ErrnoError } from '../src/util/errno.js'
import type { Bytes } from '../src/util/units.js'

const DIRECTORY = 0o040755
const FILE = 0o100644
const HOUR = 3600

export interface StubFiles {
  /** The inode of a name; not the root's. */
  readonly find: (name: string) => Ino
  readonly sizeOf: (ino: Ino) => Bytes
  /** How long the kernel remembers a name, in seconds. */
  readonly entryValid: number
}

export function stubOperations(
  { find, sizeOf, entryValid }: StubFiles,
  answers: Partial<Operations>,
): Operations {
  const time = { seconds: 0, nanoseconds: 0 }
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0]
  const attributesOf = (ino: Ino): Attributes => ({
    ino,
    size: ino === ROOT_INO ? 0 : sizeOf(ino),
    blocks: 8,
    atime: time,
    mtime: time,
    ctime: time,
    mode: ino === ROOT_INO ? DIRECTORY : FILE,
    nlink: 1,
    uid,
    gid,
    rdev: 0,
    blksize: 4096,
  })
  const reply = (ino: Ino) => ({ attributes: attributesOf(ino), attributesValid: HOUR })
  const entry = (ino: Ino): Entry => ({ ...reply(ino), ino, generation: 0, entryValid })
  const opened = { fh: 1 as Fh, directIo: true }
  const nothing = (): void => undefined
  const refuse = (): never => {
    throw new ErrnoError('EPERM', 'not part of the benchmark')
  }
  return {
    init: nothing,
    destroy: () => Promise.resolve(),
    lookup: (_, __, name) => entry(find(name)),
    forget: nothing,
    getattr: (_, ino) => reply(ino),
    setattr: (_, ino) => reply(ino),
    readlink: refuse,
    mknod: refuse,
    mkdir: refuse,
    unlink: refuse,
    rmdir: refuse,
    symlink: refuse,
    rename: refuse,
    link: refuse,
    open: () => opened,
    create: refuse,
    read: refuse,
    write: refuse,
    flush: nothing,
    release: nothing,
    fsync: nothing,
    opendir: () => opened,
    readdir: nothing,
    releasedir: nothing,
    fsyncdir: nothing,
    syncfs: nothing,
    statfs: refuse,
    access: nothing,
    getxattr: refuse,
    listxattr: () => [],
    setxattr: refuse,
    removexattr: refuse,
    fallocate: refuse,
    lseek: refuse,
    copyfilerange: refuse,
    ...answers,
  }
}
