/**
 * A real docker-registry on the mount: everything it does works as on a local folder, survives a
 * restart of registry and mount, and leaves in the bucket exactly what it should.
 *
 * The same script is run over a plain folder first: that proves the expectations, on this machine and
 * with this version of the registry.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MountedBucket, startServer } from '../helpers/bosmount.js'
import { bucketContents, unfinishedUploads } from '../helpers/bucket.js'
import { registryScenario } from '../helpers/registry-scenario.js'
import { scratchFolder } from '../helpers/scratch.js'
import { contentsOf } from '../helpers/tree.js'

void t.test('on a plain folder', async t => {
  const folder = scratchFolder(t)
  const root = join(folder, 'root')
  mkdirSync(root)
  const remount = async () => undefined
  const layout = await registryScenario(t, { root, folder, remount })
  t.same(contentsOf(root), layout.contents, 'the registry leaves the files that it should')
})

for (const cache of ['inmemory', 'none'] as const) {
  void t.test(`on a mount, with the registry's cache ${cache}`, async t => {
    const folder = scratchFolder(t)
    const root = join(folder, 'mount')
    const server = await startServer(t, folder)
    let mount = await MountedBucket.mount(t, { server, mountpoint: root })
    const unmount = async () => {
      t.equal(await mount.unmount(), 0, mount.process.output)
    }
    const remount = async () => {
      await unmount()
      mount = await MountedBucket.mount(t, { server, mountpoint: root })
    }
    const layout = await registryScenario(t, { root, folder, cache, remount })
    t.same(contentsOf(root), layout.contents, 'the mount shows what the registry should leave')
    await unmount()
    t.same(
      await bucketContents(t, server),
      layout.contents,
      'the bucket holds exactly these files and empty directories',
    )
    t.same(await unfinishedUploads(t, server), [], 'no upload is left unfinished')
  })
}
