/** Writes blocks to a disk cache until it is killed; run by the tests of disk-cache.ts. */
import { DiskCache } from '../../src/cache/disk-cache.js'
import { silentLogger } from '../../src/util/log.js'
import { GiB } from '../../src/util/units.js'

const [, , directory] = process.argv
if (directory !== undefined && process.send !== undefined) {
  const space = async () => ({ size: 10 * GiB, free: 9 * GiB })
  const disk = await DiskCache.open({ directory, capacity: GiB, log: silentLogger, space })
  process.send('started')
  for (let i = 0; i < 5000; i += 1) {
    const id = i.toString(16).padStart(64, '0')
    disk.write(id, Buffer.alloc(10_000, `block ${i};`), 10_000)
    await disk.settled()
  }
}
