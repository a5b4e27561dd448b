/** Records of mounts, in a directory that nobody else can have prepared. */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import {
  isAlive,
  prepareStateDirectory,
  readRecord,
  removeRecord,
  stateDirectory,
  writeRecord,
} from '../../src/cli/state.js'
import { scratchFolder } from '../helpers/scratch.js'

/** Somebody who is not root, with a runtime directory of his own. */
const SOMEBODY = 54_321

function asSomebody(t: Test): string {
  const folder = scratchFolder(t)
  const { getuid } = process
  const runtime = process.env['XDG_RUNTIME_DIR']
  const uid = getuid?.() ?? 0
  // Root must not write to the machine's own directory here.
  if (uid === 0) process.getuid = () => SOMEBODY
  process.env['XDG_RUNTIME_DIR'] = folder
  t.teardown(() => {
    if (getuid !== undefined) process.getuid = getuid
    if (runtime === undefined) delete process.env['XDG_RUNTIME_DIR']
    else process.env['XDG_RUNTIME_DIR'] = runtime
  })
  const directory = join(folder, 'bosmount')
  mkdirSync(directory, { mode: 0o700 })
  if (uid === 0) chownSync(directory, SOMEBODY, SOMEBODY)
  return directory
}

void t.test('records lie where only their user can write', t => {
  const { getuid } = process
  const { XDG_RUNTIME_DIR } = process.env
  t.teardown(() => {
    if (getuid !== undefined) process.getuid = getuid
    if (XDG_RUNTIME_DIR === undefined) delete process.env['XDG_RUNTIME_DIR']
    else process.env['XDG_RUNTIME_DIR'] = XDG_RUNTIME_DIR
  })
  process.getuid = () => 0
  t.equal(stateDirectory(), '/run/bosmount')
  process.getuid = () => 1000
  process.env['XDG_RUNTIME_DIR'] = '/run/user/1000'
  t.equal(stateDirectory(), '/run/user/1000/bosmount')
  process.env['XDG_RUNTIME_DIR'] = ''
  t.equal(stateDirectory(), '/tmp/bosmount-1000')
  t.end()
})

void t.test('a record is found by its mount point, and only while its process lives', async t => {
  const directory = asSomebody(t)
  const record = { mountpoint: '/mnt/a', source: 'bos://b', logFile: '/log' }
  t.equal(await readRecord('/mnt/a'), undefined)
  await writeRecord(record)
  const found = await readRecord('/mnt/a')
  t.match(found, { ...record, pid: process.pid })
  t.equal(await readRecord('/mnt/b'), undefined)
  for (const name of readdirSync(directory)) {
    t.equal(statSync(join(directory, name)).mode & 0o077, 0, 'for its user alone')
  }
  if (found === undefined) return
  t.ok(await isAlive(found))
  t.notOk(await isAlive({ ...found, started: '1' }), 'the number is another process now')
  t.notOk(await isAlive({ ...found, pid: 2 ** 22 + 1 }))
  await removeRecord('/mnt/a')
  await removeRecord('/mnt/a')
  t.equal(await readRecord('/mnt/a'), undefined)
})

void t.test('a record that was cut off is none', async t => {
  const directory = asSomebody(t)
  await writeRecord({ mountpoint: '/mnt/a', source: 'bos://b' })
  const [name = ''] = readdirSync(directory)
  writeFileSync(join(directory, name), '{"pid": 1')
  t.equal(await readRecord('/mnt/a'), undefined)
  await writeRecord({ mountpoint: '/mnt/a', source: 'bos://b' })
  t.match(await readRecord('/mnt/a'), { source: 'bos://b' })
})

void t.test('records of processes that were killed go, those of failures stay', async t => {
  const directory = asSomebody(t)
  const dead = { pid: 2 ** 22 + 1, started: '1', source: 'bos://b' }
  writeFileSync(join(directory, 'dead.json'), JSON.stringify({ ...dead, mountpoint: '/mnt/x' }))
  const failed = { ...dead, mountpoint: '/mnt/y', failure: 'something was left' }
  writeFileSync(join(directory, 'failed.json'), JSON.stringify(failed))
  writeFileSync(join(directory, 'failed.sock'), '')
  writeFileSync(join(directory, 'nobodys.sock'), '')
  await writeRecord({ mountpoint: '/mnt/a', source: 'bos://b' })
  const left = readdirSync(directory)
  t.notOk(left.includes('dead.json'))
  t.ok(left.includes('failed.json'))
  t.ok(left.includes('failed.sock'))
  t.notOk(left.includes('nobodys.sock'), 'a socket without a record')
  t.equal(left.length, 3)
})

void t.test('a directory that somebody else could have prepared is refused', async t => {
  const directory = asSomebody(t)
  await prepareStateDirectory()
  chmodSync(directory, 0o777)
  await t.rejects(prepareStateDirectory(), { message: /bosmount/ }, 'others can write')
  await t.rejects(writeRecord({ mountpoint: '/mnt/a', source: 'bos://b' }))
  t.same(readdirSync(directory), [], 'and nothing is written there')
  chmodSync(directory, 0o700)
  if (process.geteuid?.() === 0) {
    chownSync(directory, SOMEBODY + 1, SOMEBODY)
    await t.rejects(prepareStateDirectory(), { message: /bosmount/ }, 'it is not his')
    chownSync(directory, SOMEBODY, SOMEBODY)
  }
  const other = scratchFolder(t)
  symlinkSync(directory, join(other, 'bosmount'))
  process.env['XDG_RUNTIME_DIR'] = other
  await t.rejects(prepareStateDirectory(), { message: /bosmount/ }, 'it leads elsewhere')
})
