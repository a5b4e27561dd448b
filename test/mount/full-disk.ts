/**
 * A mount whose local disk has no room, neither for what does not fit into memory nor for its ledger: what
 * would have been kept there goes to BOS before its time, and nothing that was confirmed is lost, not even
 * when the mount is killed. Nor is what a journal holds, whose disk others fill: it gets to BOS all the
 * same, and what has no room is refused.
 */
import { constants, existsSync, mkdirSync } from 'node:fs'
import { open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { KiB, MiB } from '../../src/util/units.js'
import { seededBytes } from '../helpers/bos-harness.js'
import { environment, MountedBucket, startServer, until } from '../helpers/bosmount.js'
import { bucketContents } from '../helpers/bucket.js'
import { noFullDisk, SmallDisk } from '../helpers/full-disk.js'
import { scratchFolder } from '../helpers/scratch.js'
import { fingerprint } from '../helpers/tree.js'

const skip = noFullDisk ?? false
const WRITE_MEMORY = 20 * MiB

void t.test('with a full disk nothing that was confirmed is lost', { skip }, async t => {
  const folder = scratchFolder(t)
  const disk = await SmallDisk.make(t, join(folder, 'disk'), MiB)
  const state = join(disk.path, 'state')
  mkdirSync(state)
  disk.fill()
  const server = await startServer(t, folder)
  const mountpoint = join(folder, 'mount')
  const local = ['--staging-dir', disk.path, '--write-memory', String(WRITE_MEMORY)]
  const args = ['--chunksize', '5MB', ...local]
  const env = environment({ XDG_STATE_HOME: state })
  const mount = await MountedBucket.mount(t, { server, mountpoint, args, env })
  const at = (name: string): string => join(mountpoint, name)

  // Larger than memory, out of order, and read back: it has to be published before its time.
  const large = seededBytes(3 * WRITE_MEMORY)
  const file = await open(at('large'), constants.O_RDWR | constants.O_CREAT)
  for (let end = large.length; end > 0; end -= 4 * MiB) {
    await file.write(large, end - 4 * MiB, 4 * MiB, end - 4 * MiB)
  }
  t.ok((await readAll(file, large.length)).equals(large), 'read while it is being written')
  await file.close()

  // Of no name: what fits nowhere here goes to BOS all the same, for as long as somebody has it open.
  const nameless = await open(at('nameless'), constants.O_RDWR | constants.O_CREAT)
  await rm(at('nameless'))
  for (let at = 0; at < large.length; at += 4 * MiB) await nameless.write(large, at, 4 * MiB, at)
  t.ok((await readAll(nameless, large.length)).equals(large), 'of a file without a name too')
  await nameless.close()

  const small = await open(at('small'), 'w')
  await small.writeFile('small')
  await small.sync()
  const unconfirmed = await open(at('unconfirmed'), 'w')
  await unconfirmed.write(large, 0, 12 * MiB, 0)
  await mount.kill()
  await Promise.allSettled([small.close(), unconfirmed.close()])

  const again = await MountedBucket.mount(t, { server, mountpoint, args, env })
  t.ok((await readFile(at('large'))).equals(large), 'after kill -9')
  t.equal(String(await readFile(at('small'))), 'small')
  await t.rejects(readFile(at('unconfirmed')), { code: 'ENOENT' }, 'and nothing half')
  t.equal(await again.unmount(), 0, again.process.output)
})

void t.test('a journal on a full disk keeps what it has confirmed', { skip }, async t => {
  const folder = scratchFolder(t)
  // What a journal leaves free for others, and room for what is written below.
  const disk = await SmallDisk.make(t, join(folder, 'disk'), 64 * MiB + 40 * MiB)
  const state = join(disk.path, 'state')
  mkdirSync(state)
  const server = await startServer(t, folder)
  const mountpoint = join(folder, 'mount')
  const args = ['--durability', 'journal', '--journal-delay', '1h', '--chunksize', '5MB']
  const env = environment({ XDG_STATE_HOME: state })
  const options = { mountpoint, args, env }
  const mount = await MountedBucket.mount(t, { server, ...options })
  const at = (name: string): string => join(mountpoint, 'd', name)
  // A directory that this mount knows, whether the server answers or not.
  mkdirSync(at(''))
  const large = seededBytes(12 * MiB)
  await server.process.stop('SIGKILL')
  await writeFile(at('large'), large)
  await writeFile(at('small'), 'small')
  disk.fill()
  // It waits for room, which only the server could make.
  const refused = writeFile(at('refused'), large).then(
    () => 'stored',
    () => 'refused',
  )
  t.ok((await readFile(at('large'))).equals(large), 'what is pending is read')
  await mount.kill()
  t.equal(await refused, 'refused')

  const { port } = new URL(server.endpoint)
  const back = await startServer(t, folder, ['--listen', `127.0.0.1:${port}`])
  const again = await MountedBucket.mount(t, { server: back, ...options })
  t.ok((await readFile(at('large'))).equals(large), 'after kill -9')
  t.equal(String(await readFile(at('small'))), 'small')
  await t.rejects(readFile(at('refused')), { code: 'ENOENT' }, 'and nothing half')
  t.same(
    Object.keys(await bucketContents(t, back)),
    ['/d/large', '/d/small'],
    'it is in the bucket',
  )
  await t.rejects(writeFile(at('refused'), large), { code: 'ENOSPC' })
  // close(2) does not wait for the release of the file, which tries once more to store it.
  await until(() => !existsSync(at('refused')), 'what was refused to be dropped')
  disk.free()
  await writeFile(at('taken'), large)
  t.equal(await again.unmount(), 0, again.process.output)
  const contents = await bucketContents(t, back)
  t.equal(contents['/d/taken'], fingerprint(large))
  t.same(Object.keys(contents), ['/d/large', '/d/small', '/d/taken'])
})

async function readAll(file: Awaited<ReturnType<typeof open>>, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  for (let done = 0; done < length;) {
    const size = Math.min(256 * KiB, length - done)
    const { bytesRead } = await file.read(bytes, done, size, done)
    if (bytesRead === 0) throw new Error(`it ends at ${done}`)
    done += bytesRead
  }
  return bytes
}
