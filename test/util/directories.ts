import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeDirectories } from '../../src/util/directories.js'

void t.test('a directory is made with those above it, and may be there already', async t => {
  const path = join(t.testdir({}), 'a', 'b', 'c')
  makeDirectories(path, 0o700)
  makeDirectories(path, 0o700)
  t.equal(statSync(path).mode & 0o777, 0o700)
  makeDirectories('/', 0o700)
})

void t.test('what cannot be made is an error at once', async t => {
  const folder = t.testdir({})
  writeFileSync(join(folder, 'file'), '')
  mkdirSync(join(folder, 'dir'))
  t.throws(() => makeDirectories(join(folder, 'file'), 0o700), { code: 'EEXIST' })
  t.throws(() => makeDirectories(join(folder, 'file', 'below'), 0o700), { code: 'ENOTDIR' })
  t.throws(() => makeDirectories('/proc/none', 0o700), { code: 'ENOENT' }, 'Node would not return')
})
