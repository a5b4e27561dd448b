/**
 * `--durability journal`: what close and fsync have confirmed is in the journal, survives the death of the
 * mount and of the server, and gets to the bucket: later, coalesced, and at the latest by sync, umount,
 * the next mount or `bosmount recover`.
 */
import {
  appendFileSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { MiB } from '../../src/util/units.js'
import { accessesOf } from '../helpers/access-log.js'
import { bosmount, BUCKET, environment, MountedBucket, startServer } from '../helpers/bosmount.js'
import type { Server } from '../helpers/bosmount.js'
import { bucketContents, unfinishedUploads } from '../helpers/bucket.js'
import { makeImage } from '../helpers/oci-image.js'
import { checkPull } from '../helpers/registry-scenario.js'
import { Registry } from '../helpers/registry.js'
import { scratchFolder } from '../helpers/scratch.js'
import { fingerprint } from '../helpers/tree.js'

t.setTimeout(120_000)

interface Stage {
  readonly folder: string
  readonly server: Server
  readonly root: string
  readonly mount: (...args: string[]) => Promise<MountedBucket>
  readonly run: (...args: string[]) => ReturnType<typeof bosmount>
  /** Requests that have changed the bucket, by operation and key. */
  readonly changes: () => Promise<string[]>
}

async function setStage(t: Test): Promise<Stage> {
  const folder = scratchFolder(t)
  const root = join(folder, 'mount')
  const server = await startServer(t, folder)
  const env = environment({ XDG_STATE_HOME: join(folder, 'state') })
  return {
    folder,
    server,
    root,
    mount: (...args) => MountedBucket.mount(t, { server, mountpoint: root, args }),
    run: (...args) => bosmount(args, { env }),
    changes: async () =>
      (await accessesOf(server))
        .filter(({ operation }) => !/^(List|Head|Get)/.test(operation))
        .map(({ operation, key = '' }) => `${operation} ${key}`),
  }
}

const LONG = ['--durability', 'journal', '--journal-delay', '1h'] as const

void t.test('an image survives kill -9 of the mount right after its push', async t => {
  const { folder, root, server, mount } = await setStage(t)
  const image = makeImage(join(folder, 'image'), 'journal', [1 * MiB, 8 * MiB, 40 * MiB])
  const first = await mount('--durability', 'journal')
  const registry = await Registry.start(t, { root, folder })
  await registry.push(image, 'app:v1')
  await first.kill()
  await registry.stop()
  const second = await mount('--durability', 'journal')
  const restarted = await Registry.start(t, { root, folder })
  await checkPull(t, restarted, { image, tag: 'v1', folder, repository: 'app' })
  await restarted.stop()
  t.equal(await second.unmount(), 0)
  const requests = (await accessesOf(server)).filter(({ operation }) => {
    return operation !== 'GetObject' && operation !== 'HeadBucket'
  })
  t.ok(requests.length <= 40, `${requests.length} requests`)
  t.same(await unfinishedUploads(t, server), [])
})

void t.test('what is made, renamed and deleted again never reaches the bucket', async t => {
  const { root, server, mount, run, changes } = await setStage(t)
  // In the root: a directory that is empty for long enough on a slow machine gets its marker.
  const mounted = await mount(...LONG)
  for (let i = 0; i < 20; i += 1) {
    const file = join(root, `f${i}`)
    writeFileSync(file, `content ${i}`)
    const fd = openSync(file, 'r+')
    fsyncSync(fd)
    closeSync(fd)
    renameSync(file, `${file}.new`)
    rmSync(`${file}.new`)
  }
  writeFileSync(join(root, 'draft'), 'one')
  appendFileSync(join(root, 'draft'), ' and two')
  renameSync(join(root, 'draft'), join(root, 'final'))
  t.same(await changes(), [], 'nothing was sent')
  t.equal((await run('sync', root)).code, 0)
  t.same(await changes(), ['PutObject final'], 'one file, once')
  t.same(await bucketContents(t, server), { '/final': fingerprint(Buffer.from('one and two')) })
  t.equal(await mounted.unmount(), 0)
  t.same((await changes()).length, 1)
})

void t.test('what is pending is counted, and sync and umount leave nothing', async t => {
  const { root, server, mount, run } = await setStage(t)
  const mounted = await mount(...LONG)
  const counts = async () => {
    const { stdout } = await run('stats', root, '--json', '-n', '1')
    return (JSON.parse(String(stdout)) as { counts: Record<string, number> }).counts
  }
  writeFileSync(join(root, 'small'), 'x'.repeat(1000))
  writeFileSync(join(root, 'large'), Buffer.alloc(12 * MiB, 'large'))
  t.match(await counts(), { journalFiles: 2, journalConflictsTotal: 0 })
  t.ok(((await counts())['journalBytes'] ?? 0) > 12 * MiB)
  t.match((await run('stats', root, '-n', '1')).stdout, /2 files .* in the journal/)
  t.match((await run('status')).stdout, /2 files .* in the journal/)
  t.equal((await run('sync', root)).code, 0)
  t.match(await counts(), { journalFiles: 0, journalUploadsTotal: 2 })
  t.same(Object.keys(await bucketContents(t, server)), ['/large', '/small'])
  writeFileSync(join(root, 'last'), 'words')
  t.equal((await run('umount', root)).code, 0)
  await mounted.process.end()
  t.same(Object.keys(await bucketContents(t, server)), ['/large', '/last', '/small'])
})

void t.test('a mount without the server still takes files, and recover brings them', async t => {
  const { folder, root, server, mount, run } = await setStage(t)
  const mounted = await mount(...LONG, '--max-retries', '0')
  mkdirSync(join(root, 'd'))
  writeFileSync(join(root, 'd', 'before'), 'before')
  await server.process.stop('SIGKILL')
  const fd = openSync(join(root, 'd', 'after'), 'w')
  writeSync(fd, 'after')
  fsyncSync(fd)
  closeSync(fd)
  t.equal(readFileSync(join(root, 'd', 'after'), 'utf8'), 'after')
  const unmounted = await run('umount', root)
  t.equal(unmounted.code, 1)
  t.match(unmounted.stderr, /2 changes .* are not in BOS yet; they are safe in the journal/)
  t.match(unmounted.stderr, /bosmount recover/)
  await mounted.process.end()
  const { port } = new URL(server.endpoint)
  const again = await startServer(t, folder, ['--listen', `127.0.0.1:${port}`])
  const where = ['--endpoint', server.endpoint, '--region', 'bj']
  const refused = await run('mount', BUCKET, root, ...where, '-f')
  t.equal(refused.code, 1)
  t.match(refused.stderr, /2 changes to this bucket are in the journal .*bosmount recover/)
  t.same(await bucketContents(t, again), {}, 'nothing was touched')
  const recovered = await run('recover', BUCKET, ...where)
  t.equal(recovered.code, 0, recovered.stderr)
  t.match(recovered.stdout, /2 changes were left, 2 of them are in BOS now/)
  t.match((await run('recover', BUCKET, ...where)).stdout, /nothing is left/)
  t.same(Object.keys(await bucketContents(t, again)), ['/d/after', '/d/before'])
  const plain = await MountedBucket.mount(t, { server: again, mountpoint: root })
  t.same(readdirSync(join(root, 'd')), ['after', 'before'])
  t.equal(await plain.unmount(), 0)
})

void t.test('the journal is its owner alone, and one mount at a time uses it', async t => {
  const { folder, root, server, mount, run } = await setStage(t)
  const journal = join(folder, 'journal')
  const args = [...LONG, '--journal-dir', journal]
  const mounted = await mount(...args)
  writeFileSync(join(root, 'f'), 'f')
  t.equal(statSync(journal).mode & 0o777, 0o700)
  for (const name of readdirSync(journal)) {
    t.equal(statSync(join(journal, name)).mode & 0o077, 0, name)
  }
  const where = ['--endpoint', server.endpoint, '--region', 'bj', ...args]
  const second = await run('mount', BUCKET, join(folder, 'other'), ...where, '-f')
  t.equal(second.code, 1)
  t.match(second.stderr, /journal .* is used by process \d+/)
  t.equal(await mounted.unmount(), 0)
  const other = await run('mount', `${BUCKET}/sub`, join(folder, 'other'), ...where, '-f')
  t.equal(other.code, 1)
  t.match(other.stderr, /belongs to .*, not to .*: give another --journal-dir/)
})
