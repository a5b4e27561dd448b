/** Writing as the kernel passes it on: appending, truncating, mapping, bypassing caches, and copying. */
import { constants } from 'node:fs'
import { open, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { MiB } from '../../src/util/units.js'
import { readAccessLog } from '../helpers/access-log.js'
import type { Access } from '../helpers/access-log.js'
import { MountedBucket, startServer } from '../helpers/bosmount.js'
import { run, runOk } from '../helpers/processes.js'
import { scratchFolder } from '../helpers/scratch.js'

interface Scene {
  readonly at: (name: string) => string
  readonly log: () => Access[]
}

async function scene(t: Test): Promise<Scene> {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const mount = await MountedBucket.mount(t, { server, mountpoint: join(folder, 'mount') })
  t.teardown(() => mount.unmount())
  return { at: name => join(mount.path, name), log: () => readAccessLog(server.accessLog) }
}

function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i += 1) bytes[i] = (i * 7 + (i >> 9)) & 0xff
  return bytes
}

t.setTimeout(240_000)
const { at, log } = await scene(t)

async function hasPython(): Promise<boolean> {
  return run('python3', ['-c', 'import mmap']).then(
    ({ code }) => code === 0,
    () => false,
  )
}

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
  t.ok(log().some(({ operation, key }) => operation === 'PutObject' && key === 's'))
  await synced.close()
})

await t.test('a shared mapping, writes and reads are of one file', async t => {
  if (!(await hasPython())) return void t.pass('there is no python3 to map files with')
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
  const before = log().length
  await runOk('cp', [at('source'), at('copy')])
  const made = log().slice(before)
  t.ok(made.reduce((sum, { bytesIn, bytesOut }) => sum + bytesIn + bytesOut, 0) < MiB)
  t.ok(made.length <= 8, `${made.length} requests`)
  await runOk('cmp', [at('source'), at('copy')])
})
