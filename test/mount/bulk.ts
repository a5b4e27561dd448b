/** What it costs to take away a whole tree with the programs that people use. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { accessesOf, countOperations } from '../helpers/access-log.js'
import { MountedBucket, startServer } from '../helpers/bosmount.js'
import { bucketContents, openBucket } from '../helpers/bucket.js'
import { runOk } from '../helpers/processes.js'
import { scratchFolder } from '../helpers/scratch.js'

void t.test('rm -rf of 2000 files in 200 directories deletes them by a few requests', async t => {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const bucket = await openBucket(t, server)
  for (let i = 0; i < 200; i += 1) {
    const paths = Array.from({ length: 10 }, (_, j) => `/tree/directory-${i}/file-${j}`)
    await Promise.all(paths.map(path => bucket.putContent(path, Buffer.from(path))))
  }
  const mount = await MountedBucket.mount(t, { server, mountpoint: join(folder, 'mount') })
  const before = (await accessesOf(server)).length
  await runOk('rm', ['-rf', join(mount.path, 'tree')])
  t.same(readdirSync(mount.path), [])
  t.equal(await mount.unmount(), 0, mount.process.output)
  const counts = countOperations((await accessesOf(server)).slice(before))
  t.comment(JSON.stringify([...counts]))
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  t.ok(total <= 30, JSON.stringify([...counts]))
  t.same(await bucketContents(t, server), {})
})
