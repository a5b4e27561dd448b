/** The POSIX suite on a mount of the fuse-native binding. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MountedBucket, startServer } from '../helpers/bosmount.js'
import { scratchFolder } from '../helpers/scratch.js'
import { folderSubject, posixSuite } from '../suites/posix/suite.js'

t.setTimeout(300_000)
const folder = scratchFolder(t)
const server = await startServer(t, folder)
const mount = await MountedBucket.mount(t, {
  server,
  mountpoint: join(folder, 'mount'),
  args: ['--attributes', 'stored', '--binding', 'fuse-native'],
})
const local = join(folder, 'local')
mkdirSync(local)
await t.test('as on a local folder', { timeout: 290_000 }, async t => {
  // A removed open file is hidden under such a name by libfuse, and goes when the kernel says so.
  const subject = folderSubject(mount.path, { name: 'fuse-native', unlisted: '.fuse_hidden' })
  await posixSuite(t, subject, local)
  t.equal(await mount.unmount(), 0, 'unmounts with nothing left to store')
})
