/**
 * What warm reads are held against, in a process of its own: mounts a directory with one file, `file`,
 * that is read anew from FILE each time.
 *
 *     serve FILE DIR
 *
 * Says `mounted`. SIGTERM unmounts.
 */
import { Buffer } from 'node:buffer'
import { fstatSync, openSync, readSync } from 'node:fs'
import { createFuseBinding } from '../../src/fs/fuse/binding.js'
import type { Ino } from '../../src/fs/operations.js'
import { MiB } from '../../src/util/units.js'
import { stubOperations } from '../stub-operations.js'

const [source = '', mountpoint = ''] = process.argv.slice(2)
const fd = openSync(source, 'r')
const { size } = fstatSync(fd)
const buffer = Buffer.allocUnsafeSlow(MiB)
const operations = stubOperations(
  { find: () => 2 as Ino, sizeOf: () => size, entryValid: 3600 },
  {
    read: (_, __, ___, offset, length) => [
      buffer.subarray(0, readSync(fd, buffer, 0, Math.min(length, buffer.length), offset)),
    ],
  },
)
const mount = await createFuseBinding().mount(operations, mountpoint, { source: 'pass-through' })
console.log('mounted')
process.once('SIGTERM', () => void mount.unmount())
await mount.closed
