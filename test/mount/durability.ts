/** What the registry was told is stored, is stored: the mount may die at once. */
import { join } from 'node:path'
import t from 'tap'
import { MiB } from '../../src/util/units.js'
import { MountedBucket, startServer } from '../helpers/bosmount.js'
import { makeImage } from '../helpers/oci-image.js'
import { checkPull } from '../helpers/registry-scenario.js'
import { Registry } from '../helpers/registry.js'
import { scratchFolder } from '../helpers/scratch.js'

void t.test('an image survives kill -9 of the mount right after its push', async t => {
  const folder = scratchFolder(t)
  const root = join(folder, 'mount')
  const server = await startServer(t, folder)
  const image = makeImage(join(folder, 'image'), 'durable', [1 * MiB, 8 * MiB, 33 * MiB])
  const first = await MountedBucket.mount(t, { server, mountpoint: root })
  const registry = await Registry.start(t, { root, folder })
  await registry.push(image, 'app:v1')
  await first.kill()
  await registry.stop()
  const second = await MountedBucket.mount(t, { server, mountpoint: root })
  const restarted = await Registry.start(t, { root, folder })
  await checkPull(t, restarted, { image, tag: 'v1', folder, repository: 'app' })
  await restarted.stop()
  t.equal(await second.unmount(), 0)
})
