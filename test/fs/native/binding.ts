/** The fuse-native binding on real mounts: the same tests as the FUSE binding's. */
import { accessSync, constants } from 'node:fs'
import { open, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { loadFuseNative } from '../../../src/fs/native/fuse-native.js'
import { DirectoryStream } from '../../helpers/libc.js'
import { eventually, run, startMount, startServer } from '../../helpers/mount-process.js'
import { mountedSuite } from '../../helpers/mounted-suite.js'

const NATIVE = { binding: 'fuse-native' } as const
const TIMEOUT = { timeout: 120_000 }

/** Why it cannot be tested here, if it cannot. */
async function obstacle(): Promise<string | undefined> {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK)
    await loadFuseNative()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const reason = await obstacle()
if (reason !== undefined) {
  t.plan(0, reason)
  process.exit()
}
t.setTimeout(300_000)

await t.test('the tests of all bindings', { timeout: 290_000 }, t => mountedSuite(t, NATIVE))

await t.test('a file that is removed while open stays readable', TIMEOUT, async t => {
  const { mountpoint } = await startMount(t, NATIVE)
  const file = await open(join(mountpoint, 'a'), 'w+')
  await file.write('kept')
  await run('rm', [join(mountpoint, 'a')])
  t.equal((await file.read(Buffer.alloc(10), 0, 10, 0)).bytesRead, 4)
  await file.close()
  // The kernel does not wait for the release that removes the hidden file.
  await eventually('nothing is left', async () => (await readdir(mountpoint)).length === 0)
})

await t.test('names that cannot be are refused', TIMEOUT, async t => {
  const { mountpoint } = await startMount(t, NATIVE)
  const invalid = Buffer.concat([Buffer.from(`${mountpoint}/`), Buffer.from([0xff])])
  await t.rejects(writeFile(invalid, ''), 'EILSEQ or ENOENT')
  await t.rejects(stat(invalid), { code: 'ENOENT' })
  await t.rejects(stat(join(mountpoint, 'x'.repeat(256))), { code: 'ENAMETOOLONG' })
})

await t.test('entries of a listing have types, and a directory is synced', TIMEOUT, async t => {
  const server = await startMount(t, NATIVE)
  await run('sh', ['-c', 'mkdir d && touch f && ln -s f l && sync d'], { cwd: server.mountpoint })
  const directory = new DirectoryStream(server.mountpoint)
  const types: Record<string, number> = {}
  for (let entry = directory.next(); entry !== undefined; entry = directory.next()) {
    types[entry.name] = entry.type
  }
  directory.close()
  t.match(types, { d: 4, f: 8, l: 10 })
  server.send({ do: 'stats' })
  t.equal((await server.next('calls')).calls['fsyncdir'], 1)
})

await t.test('inodes are forgotten as often as they are looked up', TIMEOUT, async t => {
  const server = await startMount(t, NATIVE)
  await run('sh', ['-c', 'mkdir -p d/e && echo x > d/e/f && mv d/e/f d/g && cat d/g && rm d/g'], {
    cwd: server.mountpoint,
  })
  server.send({ do: 'stats' })
  const { calls, lookups } = await server.next('calls')
  t.ok((calls['lookup'] ?? 0) > 5)
  t.equal(lookups, 1, 'the root alone is known')
})

await t.test('unmounting a mount in use is EBUSY', TIMEOUT, async t => {
  const server = await startMount(t, NATIVE)
  const file = await open(join(server.mountpoint, 'a'), 'w')
  server.send({ do: 'unmount', lazy: false })
  t.match((await server.next('refused')).refused, /EBUSY/)
  await file.close()
  server.send({ do: 'unmount', lazy: false })
  await server.next('unmounted')
})

await t.test('a mount point that is none is said', TIMEOUT, async t => {
  const server = await startServer(t, { ...NATIVE, mountpoint: '/nonexistent/place' })
  t.match((await server.next('failed')).failed, /ENOENT/)
})

await t.test('writes are large', TIMEOUT, async t => {
  const server = await startMount(t, NATIVE)
  await writeFile(join(server.mountpoint, 'a'), Buffer.alloc(1024 * 1024, 'x'))
  t.equal((await readFile(join(server.mountpoint, 'a'))).length, 1024 * 1024)
  server.send({ do: 'stats' })
  const { calls } = await server.next('calls')
  t.ok((calls['write'] ?? 0) <= 16, `${calls['write']} writes for 1 MiB`)
})
