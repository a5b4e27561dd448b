/** Files without a name on local disk. */
import { mkdtemp, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { Staging } from '../../src/cache/staging.js'

async function directory(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'bosmount-test-'))
  t.teardown(() => rm(path, { recursive: true }))
  return path
}

void t.test('bytes are read back from where they were written', async t => {
  const staging = new Staging({ directory: join(await directory(t), 'new'), capacity: 1000 })
  const file = staging.open()
  t.equal(staging.used, 0, 'nothing is made before it is needed')
  await file.write(1_000_000, [Buffer.from('abc'), Buffer.from('def')])
  await file.write(1_000_002, [Buffer.from('C')])
  t.equal(String(await file.read(1_000_000, 6)), 'abCdef')
  t.equal(staging.used, 6, 'an overwrite takes no more room')
  await file.clear()
  t.equal(staging.used, 0)
  await file.write(0, [Buffer.from('x')])
  t.equal(String(await file.read(0, 1)), 'x')
  await t.rejects(file.read(0, 2), { code: 'EIO' }, 'what was never written')
  await file.clear()
})

void t.test('nothing shows in the directory', async t => {
  const parent = await directory(t)
  const staging = new Staging({ directory: parent, capacity: 1000 })
  const file = staging.open()
  await file.write(0, [Buffer.from('secret')])
  t.same(await readdir(parent), [])
  await file.clear()
})

void t.test('a directory that is made is nobody else’s', async t => {
  const path = join(await directory(t), 'a', 'b')
  const file = new Staging({ directory: path, capacity: 10 }).open()
  await file.write(0, [Buffer.from('x')])
  t.equal((await stat(path)).mode & 0o777, 0o700)
  await file.clear()
})

void t.test('more than the limit is ENOSPC, and takes nothing', async t => {
  const staging = new Staging({ directory: await directory(t), capacity: 10 })
  const [a, b] = [staging.open(), staging.open()]
  await a.write(0, [Buffer.alloc(8)])
  await t.rejects(b.write(0, [Buffer.alloc(3)]), { code: 'ENOSPC' })
  await b.write(0, [Buffer.alloc(2)])
  await a.clear()
  await b.write(2, [Buffer.alloc(8)])
  await b.clear()
  t.equal(staging.used, 0)
})

void t.test('a directory that cannot be used is EIO', async t => {
  const path = join(await directory(t), 'file')
  await writeFile(path, '')
  const file = new Staging({ directory: path, capacity: 10 }).open()
  await t.rejects(file.write(0, [Buffer.alloc(1)]), { code: 'EIO' })
  await rm(path)
  await mkdir(path)
  await file.write(0, [Buffer.alloc(1)])
  await file.clear()
})
