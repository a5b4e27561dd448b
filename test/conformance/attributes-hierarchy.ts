/** Stored attributes of directories of a hierarchical bucket, where a PUT does not replace one. */
import t, { type Test } from 'tap'
import type { StorageDriver } from '../../src/driver/driver.js'
import { silentLogger } from '../../src/util/log.js'
import { BUCKET, startDriverHarness } from '../driver/bos/harness.js'
import { CoreOs } from '../helpers/core-os.js'
import { createCore } from '../helpers/core.js'

const MTIME = { seconds: 1_000_000_000, nanoseconds: 0 }

async function start(t: Test) {
  const warnings: string[] = []
  const log = { ...silentLogger, warn: (_: object, message: string) => warnings.push(message) }
  const { driver, server } = await startDriverHarness(t, {
    buckets: [{ name: BUCKET, hierarchy: true }],
  })
  const mount = async (store: StorageDriver) =>
    new CoreOs(createCore(store, { log, config: { attributes: 'stored', markerDelay: 10_000 } }))
  const store = await driver({}, { hierarchical: true })
  return { store, server, warnings, mount: () => mount(store) }
}

async function chmod(os: CoreOs, path: string, mode: number): Promise<void> {
  const { ino } = await os.lookup(path)
  await os.fs.setattr(os.context, ino, { mode })
  os.fs.forget(ino, 1)
}

void t.test('the mode of a directory that exists is there after a remount', async t => {
  const { store, mount } = await start(t)
  await store.putContent('/found/f', Buffer.from('content'))
  const first = await mount()
  await first.mkdir('/made')
  await first.fs.syncfs(first.context)
  await chmod(first, '/made', 0o700)
  await chmod(first, '/found', 0o750)
  await first.fs.destroy()

  const second = await mount()
  t.equal((await second.stat('/made')).mode, 0o040700)
  t.equal((await second.stat('/found')).mode, 0o040750)
  await chmod(second, '/made', 0o711)
  const { ino } = await second.lookup('/made')
  await second.fs.setattr(second.context, ino, { uid: 7, gid: 8, mtime: MTIME })
  second.fs.forget(ino, 1)
  await second.fs.destroy()

  const third = await mount()
  t.match(await third.stat('/made'), { mode: 0o040711, uid: 7, gid: 8, mtime: MTIME })
  t.equal(String(await third.readFile('/found/f')), 'content')
  await third.fs.destroy()
})

void t.test('modes of directories made one in the other are there after a remount', async t => {
  const { mount } = await start(t)
  const first = await mount()
  await first.mkdir('/a')
  await chmod(first, '/a', 0o700)
  await first.mkdir('/a/b')
  await chmod(first, '/a/b', 0o710)
  await first.fs.destroy()
  const second = await mount()
  t.equal((await second.stat('/a')).mode, 0o040700)
  t.equal((await second.stat('/a/b')).mode, 0o040710)
  await second.fs.destroy()
})

void t.test('where the service refuses it, a mode holds while the directory is known', async t => {
  const { server, warnings, mount } = await start(t)
  const fault = { kind: 'error', status: 400, code: 'InvalidArgument' } as const
  server.faults.add({ operation: 'CopyObject', fault })
  const first = await mount()
  for (const path of ['/a', '/b']) {
    await first.mkdir(path)
    await first.fs.syncfs(first.context)
  }
  const { ino } = await first.lookup('/a')
  await chmod(first, '/a', 0o700)
  await chmod(first, '/b', 0o700)
  await first.fs.syncfs(first.context)
  t.equal((await first.stat('/a')).mode, 0o040700)
  t.equal(warnings.length, 1, 'it is logged once')
  t.match(warnings[0], /hold while one is known/)
  first.fs.forget(ino, 1)
  await first.fs.destroy()
  const second = await mount()
  t.equal((await second.stat('/a')).mode, 0o040755)
  await second.fs.destroy()
})

void t.test('a service that stores no directory at all is an error, whatever its code', async t => {
  const { store, server, mount } = await start(t)
  const os = await mount()
  await os.mkdir('/a')
  await chmod(os, '/a', 0o700)
  const fault = { kind: 'error', status: 501, code: 'NotImplemented' } as const
  const rule = server.faults.add({ operation: 'PutObject', fault })
  await t.rejects(async () => os.fs.syncfs(os.context))
  rule.remove()
  await os.fs.syncfs(os.context)
  t.ok((await store.stat('/a')).isDir)
  t.equal((await os.stat('/a')).mode, 0o040700)
  await os.fs.destroy()
})
