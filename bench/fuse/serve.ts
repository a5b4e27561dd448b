/**
 * What bench/fuse.ts measures, in a process of its own: a file system that answers from memory.
 *
 *     serve fuse|fuse-native DIR
 *
 * BENCH_SPIN is the time to spin of our own binding, in milliseconds. SIGTERM unmounts.
 */
import { Buffer } from 'node:buffer'
import { createFuseBinding } from '../../src/fs/fuse/binding.js'
import { createNativeBinding } from '../../src/fs/native/binding.js'
import type { Attributes, Entry, Fh, Ino, Operations } from '../../src/fs/operations.js'
import { ErrnoError } from '../../src/util/errno.js'
import { GiB, MiB } from '../../src/util/units.js'

const DIRECTORY = 0o040755
const FILE = 0o100644
const BIG: Ino = 2 as Ino

/** One file of 1 GiB that swallows writes and reads as zeros, and as many names as one likes. */
function benchOperations(): Operations {
  const zeros = Buffer.alloc(1 * MiB)
  const time = { seconds: 0, nanoseconds: 0 }
  const attributesOf = (ino: number): Attributes => ({
    ino,
    size: ino === BIG ? 1 * GiB : 4096,
    blocks: 8,
    atime: time,
    mtime: time,
    ctime: time,
    mode: ino === 1 ? DIRECTORY : FILE,
    nlink: 1,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    rdev: 0,
    blksize: 4096,
  })
  const reply = (ino: number) => ({ attributes: attributesOf(ino), attributesValid: 3600 })
  // Names are not remembered, so that each stat is one LOOKUP.
  const entry = (ino: number): Entry => ({
    ...reply(ino),
    ino: ino as Ino,
    generation: 0,
    entryValid: 0,
  })
  const open = { fh: 1 as Fh, directIo: true }
  const refuse = (): never => {
    throw new ErrnoError('EPERM', 'not part of the benchmark')
  }
  const nothing = (): void => {}
  return {
    init: nothing,
    destroy: () => Promise.resolve(),
    lookup: (_, __, name) => entry(name === 'big' ? BIG : 10 + Number(name)),
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
    open: () => open,
    create: refuse,
    read: (_, __, ___, ____, size) => [zeros.subarray(0, size)],
    write: (_, __, ___, { data }) => data.length,
    flush: nothing,
    release: nothing,
    fsync: nothing,
    opendir: () => open,
    readdir: nothing,
    releasedir: nothing,
    fallocate: refuse,
    lseek: refuse,
    copyfilerange: refuse,
    fsyncdir: nothing,
    syncfs: nothing,
    statfs: refuse,
    access: nothing,
    getxattr: refuse,
    listxattr: () => [],
    setxattr: refuse,
    removexattr: refuse,
  }
}

const [name = '', mountpoint = ''] = process.argv.slice(2)
const spin = process.env['BENCH_SPIN']
const binding =
  name === 'fuse-native'
    ? createNativeBinding()
    : createFuseBinding(spin === undefined ? {} : { channel: { spin: Number(spin) } })
// What our own binding answers with each entry and each open file is for fuse-native an option.
const mountOptions =
  name === 'fuse-native' ? ['entry_timeout=0', 'attr_timeout=3600', 'direct_io'] : []
const mount = await binding.mount(benchOperations(), mountpoint, { source: 'bench', mountOptions })
process.once('SIGTERM', () => void mount.unmount())
await mount.closed
