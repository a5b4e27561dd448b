/** A large file is read past the kernel's page cache, a shared mapping of it through: same bytes. */
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MiB } from '../../src/util/units.js'
import { MountedBucket, startServer } from '../helpers/bosmount.js'
import { Mapping } from '../helpers/libc.js'
import { seededBytes } from '../helpers/oci-image.js'
import { scratchFolder } from '../helpers/scratch.js'

/** Not a whole number of pages. */
const SIZE = 9 * MiB + 1234

void t.test('a shared mapping of a large file shows what read(2) gives', async t => {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const mountpoint = join(folder, 'mount')
  const content = seededBytes('mapped', SIZE)
  const writing = await MountedBucket.mount(t, { server, mountpoint })
  writeFileSync(join(mountpoint, 'large'), content)
  t.equal(await writing.unmount(), 0)

  const mount = await MountedBucket.mount(t, { server, mountpoint })
  const fd = openSync(join(mountpoint, 'large'), 'r')
  const mapping = new Mapping(fd, SIZE, { writable: false })
  // In turn, so that either finds what the other has left in the caches.
  for (let at = 0; at < SIZE; at += MiB) {
    const length = Math.min(MiB, SIZE - at)
    const expected = content.subarray(at, at + length)
    const bytes = Buffer.alloc(length)
    const isMappedFirst = at % (2 * MiB) === 0
    if (isMappedFirst) t.ok(mapping.read(at, length).equals(expected), `mapped at ${at}`)
    t.equal(readSync(fd, bytes, 0, length, at), length)
    t.ok(bytes.equals(expected), `read at ${at}`)
    if (!isMappedFirst) t.ok(mapping.read(at, length).equals(expected), `mapped at ${at}`)
  }
  mapping.unmap()
  closeSync(fd)
  t.equal(await mount.unmount(), 0)
})
