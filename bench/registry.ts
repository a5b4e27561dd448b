/**
 * How many requests a registry costs: a push into an empty bucket and a pull through a fresh mount,
 * counted in the server's access log. Requests of mounting and unmounting are counted apart.
 *
 * The image is the one that README.md compares with: three layers of 1, 8 and 40 MiB. No time is measured;
 * a push that takes longer costs more requests, as names are believed for a second.
 *
 *     npm run bench:registry [-- --each --journal]
 *
 * --each also prints every request, --journal mounts with `--durability journal`
 */
import { join } from 'node:path'
import { MountedBucket, startServer } from '../test/helpers/bosmount.js'
import { countOperations, accessesOf, type Access } from '../test/helpers/access-log.js'
import { differences, makeImage } from '../test/helpers/oci-image.js'
import { Cleanup } from '../test/helpers/owner.js'
import { Registry } from '../test/helpers/registry.js'
import { scratchFolder } from '../test/helpers/scratch.js'
import { formatBytes, MiB } from '../src/util/units.js'

const LAYERS = [1 * MiB, 8 * MiB, 40 * MiB]

async function measure(owner: Cleanup): Promise<void> {
  const folder = scratchFolder(owner)
  const root = join(folder, 'mount')
  const server = await startServer(owner, folder)
  const image = makeImage(join(folder, 'image'), 'bench', LAYERS)
  let seen = 0
  const report = async (title: string): Promise<void> => {
    const accesses = await accessesOf(server)
    print(title, accesses.slice(seen))
    seen = accesses.length
  }

  const args = process.argv.includes('--journal') ? ['--durability', 'journal'] : []
  const first = await MountedBucket.mount(owner, { server, mountpoint: root, args })
  let registry = await Registry.start(owner, { root, folder })
  await report('mount, start of the registry')
  await registry.push(image, 'app:v1')
  await report('push')
  await registry.push(image, 'app:v1')
  await report('push of the same again')
  await registry.stop()
  await first.unmount()
  await report('unmount')

  const second = await MountedBucket.mount(owner, { server, mountpoint: root, args })
  registry = await Registry.start(owner, { root, folder })
  await report('mount, start of the registry')
  for (const title of ['pull, cold', 'pull, warm']) {
    const target = join(folder, title)
    const pulled = await registry.pull('app:v1', target)
    const wrong = pulled.code === 0 ? differences(image, target) : [pulled.stderr]
    if (wrong.length > 0) throw new Error(`${title}: ${wrong.join(', ')}`)
    await report(title)
  }
  await (await registry.fetch('/v2/_catalog')).text()
  await report('catalog')
  await registry.stop()
  await second.unmount()
}

function print(title: string, accesses: readonly Access[]): void {
  const operations = [...countOperations(accesses)].map(([name, count]) => `${name} ${count}`)
  const up = accesses.reduce((total, { bytesIn }) => total + bytesIn, 0)
  const down = accesses.reduce((total, { bytesOut }) => total + bytesOut, 0)
  console.log(`${title}: ${accesses.length} requests`)
  if (operations.length > 0) console.log(`  ${operations.join(', ')}`)
  console.log(`  ${formatBytes(up)} up, ${formatBytes(down)} down`)
  if (!process.argv.includes('--each')) return
  for (const { time, operation, key = '', status } of accesses) {
    console.log(`    ${time} ${operation} ${key} ${status}`)
  }
}

const owner = new Cleanup()
try {
  await measure(owner)
} finally {
  await owner.finish()
}
