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
import type { Ino } from '../../src/fs/operations.js'
import { GiB, MiB } from '../../src/util/units.js'
import { stubOperations } from '../stub-operations.js'

const BIG: Ino = 2 as Ino
const zeros = Buffer.alloc(1 * MiB)

/** One file of 1 GiB that swallows writes and reads as zeros, and as many names as one likes. */
const operations = stubOperations(
  {
    find: name => (name === 'big' ? BIG : ((10 + Number(name)) as Ino)),
    sizeOf: ino => (ino === BIG ? 1 * GiB : 4096),
    // Names are not remembered, so that each stat is one LOOKUP.
    entryValid: 0,
  },
  {
    read: (_, __, ___, ____, size) => [zeros.subarray(0, size)],
    write: (_, __, ___, { data }) => data.length,
  },
)

const [name = '', mountpoint = ''] = process.argv.slice(2)
const spin = process.env['BENCH_SPIN']
const binding =
  name === 'fuse-native'
    ? createNativeBinding()
    : createFuseBinding(spin === undefined ? {} : { channel: { spin: Number(spin) } })
// What our own binding answers with each entry and each open file is for fuse-native an option.
const mountOptions =
  name === 'fuse-native' ? ['entry_timeout=0', 'attr_timeout=3600', 'direct_io'] : []
const mount = await binding.mount(operations, mountpoint, { source: 'bench', mountOptions })
process.once('SIGTERM', () => void mount.unmount())
await mount.closed
