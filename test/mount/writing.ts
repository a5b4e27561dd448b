/** Writing as the kernel passes it on: appending, truncating, mapping, bypassing caches, and copying. */
import { constants } from 'node:fs'
import { open, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { GiB, KiB, MiB } from '../../src/util/units.js'
import { accessesOf } from '../helpers/access-log.js'
import type { Access } from '../helpers/access-log.js'
import { MountedBucket, startServer } from '../helpers/bosmount.js'
import type { Server } from '../helpers/bosmount.js'
import { openBucket } from '../helpers/bucket.js'
import { runOk } from '../helpers/processes.js'
import { scratchFolder } from '../helpers/scratch.js'

interface Scene {
  readonly at: (name: string) => string
  readonly log: () => Promise<Access[]>
  readonly server: Server
}

async function scene(t: Test): Promise<Scene> {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const mount = await MountedBucket.mount(t, { server, mountpoint: join(folder, 'mount') })
  t.teardown(() => mount.unmount())
  return { at: name => join(mount.path, name), log: () => accessesOf(server), server }
}

function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i += 1) bytes[i] = (i * 7 + (i >> 9)) & 0xff
  return bytes
}

t.setTimeout(300_000)
const { at, log, server } = await scene(t)

await t.test('appending descriptors take turns and lose nothing', async t => {
  const files = await Promise.all([1, 2, 3].map(() => open(at('log'), 'a')))
  for (let i = 0; i < 30; i += 1) await files[i % 3]?.write(`line ${i}\n`)
  await Promise.all(files.map(file => file.write('end\n')))
  for (const file of files) await file.close()
  const lines = String(await readFile(at('log'))).split('\n')
  t.same(
    lines.slice(0, 30),
    Array.from({ length: 30 }, (_, i) => `line ${i}`),
  )
  t.same(lines.slice(30), ['end', 'end', 'end', ''])
})

await t.test('a file is truncated by open, by name and by descriptor', async t => {
  await writeFile(at('f2'), 'some content')
  await truncate(at('f2'), 4)
  t.equal(String(await readFile(at('f2'))), 'some')
  await truncate(at('f2'), 6)
  t.equal(String(await readFile(at('f2'))), 'some\0\0')
  const file = await open(at('f2'), 'r+')
  await file.truncate(2)
  t.equal((await file.stat()).size, 2)
  await file.truncate(3 * MiB)
  t.equal((await file.stat()).size, 3 * MiB)
  await file.close()
  t.ok(
    (await readFile(at('f2'))).equals(
      Buffer.concat([Buffer.from('so'), Buffer.alloc(3 * MiB - 2)]),
    ),
  )
  await (await open(at('f2'), 'w')).close()
  t.equal((await stat(at('f2'))).size, 0)
})

await t.test('O_DIRECT and O_SYNC write what others read', async t => {
  const { O_CREAT, O_DIRECT, O_RDWR, O_SYNC } = constants
  const file = await open(at('f3'), O_RDWR | O_CREAT | O_DIRECT)
  const data = pattern(64 * 1024)
  await file.write(data, 0, data.length, 0)
  t.ok((await readFile(at('f3'))).equals(data))
  await file.close()
  const synced = await open(at('s'), O_RDWR | O_CREAT | O_SYNC)
  await synced.write('synced')
  t.ok((await log()).some(({ operation, key }) => operation === 'PutObject' && key === 's'))
  await synced.close()
})

await t.test('a shared mapping, writes and reads are of one file', async t => {
  const script = `
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 10000)
m = mmap.mmap(fd, 10000)
os.pwrite(fd, b'by write', 5000)
assert m[5000:5008] == b'by write'
m[100:106] = b'by map'
assert os.pread(fd, 6, 100) == b'by map'
m.flush()
os.fsync(fd)
m[9000:9005] = b'later'
m.close()
os.close(fd)
`
  await runOk('python3', ['-c', script, at('f4')])
  const bytes = await readFile(at('f4'))
  t.equal(bytes.length, 10_000)
  t.equal(String(bytes.subarray(100, 106)), 'by map')
  t.equal(String(bytes.subarray(5000, 5008)), 'by write')
  t.equal(String(bytes.subarray(9000, 9005)), 'later')
})

await t.test(
  'what a descriptor writes that cannot read is seen at once, in mappings too',
  async t => {
    const script = `
import mmap, os, sys
path, source = sys.argv[1:]
data = os.urandom(3 * 2**20 + 123)
open(source, 'wb').write(data)
i, o, sent = os.open(source, os.O_RDONLY), os.open(path, os.O_WRONLY | os.O_CREAT), 0
while sent < len(data): sent += os.sendfile(o, i, sent, len(data) - sent)
os.close(o)
assert open(path, 'rb').read() == data, 'sendfile'
reader = os.open(path, os.O_RDONLY)
mapping = mmap.mmap(reader, 0, mmap.MAP_SHARED, mmap.PROT_READ)
assert mapping[5000:5010] == data[5000:5010]
writer = os.open(path, os.O_WRONLY)
os.pwrite(writer, b'changed!!!', 5000)
assert mapping[5000:5010] == b'changed!!!', 'in a mapping'
assert os.pread(reader, 10, 5000) == b'changed!!!', 'by a reader'
os.close(writer)
appender = os.open(path, os.O_WRONLY | os.O_APPEND)
os.write(appender, b'tail')
os.close(appender)
assert os.stat(path).st_size == len(data) + 4
both = os.open(path, os.O_RDWR)
shared = mmap.mmap(both, 8192)
shared[0:4] = b'mapp'
writer = os.open(path, os.O_WRONLY)
os.pwrite(writer, b'written', 4)
assert shared[0:11] == b'mappwritten'
shared[11:15] = b'more'
shared.flush()
os.close(writer)
shared.close()
os.close(both)
assert open(path, 'rb').read(15) == b'mappwrittenmore'
`
    const ended = await runOk('python3', [
      '-c',
      script,
      at('sent'),
      join(scratchFolder(t), 'source'),
    ])
    t.equal(ended.stderr, '')
  },
)

await t.test('ranges are allocated, punched and zeroed', async t => {
  await writeFile(at('f5'), '0123456789')
  await runOk('fallocate', ['-p', '-o', '2', '-l', '2', at('f5')])
  await runOk('fallocate', ['-z', '-o', '8', '-l', '4', at('f5')])
  t.equal(String(await readFile(at('f5'))), `01${'\0'.repeat(2)}4567${'\0'.repeat(4)}`)
  await runOk('fallocate', ['-l', '100', at('f5')])
  t.equal((await stat(at('f5'))).size, 100)
})

await t.test('cp inside the mount moves no bytes through it', async t => {
  const content = pattern(23 * MiB + 11)
  await writeFile(at('source'), content)
  const before = (await log()).length
  await runOk('cp', [at('source'), at('copy')])
  const made = (await log()).slice(before)
  const moved = made.reduce((sum, { bytesIn, bytesOut }) => sum + bytesIn + bytesOut, 0)
  t.ok(moved < MiB, `${moved} bytes`, { made })
  t.ok(made.length <= 8, `${made.length} requests`)
  await runOk('cmp', [at('source'), at('copy')])
})

await t.test('what is changed in an object of 10 GiB is all that travels', async t => {
  const bucket = await openBucket(t, server)
  const block = pattern(64 * MiB)
  const { etag } = await bucket.putContent('/block', block)
  const composition = await bucket.compose('/huge')
  const parts = []
  for (let partNumber = 1; partNumber <= 160; partNumber += 1) {
    const range = { path: '/block', etag, offset: 0, length: block.length }
    parts.push(await composition.copyPart(partNumber, range))
  }
  await composition.complete(parts)
  const sent = async (work: () => Promise<void>): Promise<number> => {
    const before = (await log()).length
    await work()
    return (await log()).slice(before).reduce((sum, { bytesIn }) => sum + bytesIn, 0)
  }
  const change = Buffer.alloc(4 * KiB, 'changed')
  const middle = 5 * GiB + 12_345
  const file = await open(at('huge'), 'r+')
  const overwritten = await sent(async () => {
    await file.write(change, 0, change.length, middle)
    await file.sync()
  })
  t.ok(overwritten <= 16 * MiB, `4 KiB changed: ${overwritten} bytes`)
  const appended = await sent(async () => {
    await file.write(block, 0, MiB, 10 * GiB)
    await file.sync()
  })
  t.ok(appended <= 16 * MiB, `1 MiB appended: ${appended} bytes`)
  const cut = await sent(async () => {
    await file.truncate(7 * GiB + 1)
    await file.sync()
  })
  t.ok(cut <= 10 * MiB, `truncated: ${cut} bytes`)
  await file.close()
  t.equal((await bucket.stat('/huge')).size, 7 * GiB + 1)
  const around = await bucket.reader('/huge', { offset: middle - 10, length: change.length + 20 })
  const expected = Buffer.concat([block, block]).subarray(12_345 - 10, 12_345 + change.length + 10)
  change.copy(expected, 10)
  const found = []
  for await (const chunk of around.stream) found.push(chunk)
  t.ok(Buffer.concat(found).equals(expected), 'the change is where it belongs')
})
