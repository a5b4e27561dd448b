/** The disk cache of real mounts: what it saves, and what keeps two mounts from sharing one. */
import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  bosmount,
  environment,
  mountArguments,
  MountedBucket,
  startServer,
} from '../helpers/bosmount.js'
import { accessesOf } from '../helpers/access-log.js'
import { openBucket } from '../helpers/bucket.js'
import { run } from '../helpers/processes.js'
import { scratchFolder } from '../helpers/scratch.js'

const SIZE = 5 * 2 ** 20 + 12_345
const CONTENT = Buffer.alloc(SIZE, 'what a file holds, again and again; ')
const DIGEST = createHash('sha256').update(CONTENT).digest('hex')

async function setStage(t: Test) {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const bucket = await openBucket(t, server)
  await bucket.putContent('/f', CONTENT)
  const cache = join(folder, 'cache')
  const mountpoint = join(folder, 'mount')
  const mount = () => MountedBucket.mount(t, { server, mountpoint, args: ['--cache-dir', cache] })
  const gets = async (): Promise<number> =>
    (await accessesOf(server)).filter(({ operation }) => operation === 'GetObject').length
  return { folder, server, bucket, cache, mountpoint, mount, gets }
}

/** The digest of the file, by a program of its own. */
async function digest(mountpoint: string): Promise<string> {
  const { stdout } = await run('sha256sum', [join(mountpoint, 'f')])
  return String(stdout).slice(0, 64)
}

void t.test('what was read once is not fetched again, restarts and kills included', async t => {
  const { mount, gets, cache, bucket } = await setStage(t)
  const first = await mount()
  t.equal(await digest(first.path), DIGEST)
  const fetched = await gets()
  t.ok(fetched > 0)
  await first.unmount()
  const second = await mount()
  t.equal(await digest(second.path), DIGEST)
  t.equal(await gets(), fetched)
  await second.kill()
  const third = await mount()
  t.equal(await digest(third.path), DIGEST)
  t.equal(await gets(), fetched)
  await third.unmount()

  for (const name of await readdir(cache, { recursive: true })) {
    const path = join(cache, name)
    const file = await readFile(path).catch(() => undefined)
    if (file === undefined) continue
    file[file.length >> 1] = (file[file.length >> 1] ?? 0) ^ 1
    await writeFile(path, file)
  }
  const fourth = await mount()
  t.equal(await digest(fourth.path), DIGEST, 'what was damaged is fetched again')
  t.ok((await gets()) > fetched)
  await bucket.putContent('/f', Buffer.from('another'))
  const { stdout } = await run('cat', [join(fourth.path, 'f')])
  t.equal(String(stdout), 'another', 'what was replaced is another file')
  await fourth.unmount()
})

void t.test('a second mount with the same folder is refused, and told what to do', async t => {
  const { mount, server, folder, cache } = await setStage(t)
  const first = await mount()
  const other = mountArguments({ server, mountpoint: join(folder, 'other') })
  await run('mkdir', [join(folder, 'other')])
  const refused = await bosmount([...other, '-f', '--cache-dir', cache], {
    env: environment({ XDG_STATE_HOME: join(folder, 'state') }),
  })
  t.not(refused.code, 0)
  t.match(String(refused.stderr), /in use by another mount; give each mount a folder of its own/)
  t.equal(await digest(first.path), DIGEST, 'the first goes on')
  await first.unmount()
})
