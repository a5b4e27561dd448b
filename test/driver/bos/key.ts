import t from 'tap'
import { KeyMap } from '../../../src/driver/bos/key.js'

void t.test('paths become keys below the root directory and back', async t => {
  for (const [root, prefix] of [
    ['', ''],
    ['a/b', 'a/b/'],
  ] as const) {
    const keys = new KeyMap(root)
    t.equal(keys.rootPrefix, prefix)
    t.equal(keys.file('/x/y z'), `${prefix}x/y z`)
    t.equal(keys.directory('/x'), `${prefix}x/`)
    t.equal(keys.directory('/'), prefix)
    t.equal(keys.tail('u1'), `${prefix}.bosmount/tails/u1`)
    t.equal(keys.path(`${prefix}x/y z`), '/x/y z')
  }
})

void t.test('keys that no path expresses have none', async t => {
  const keys = new KeyMap('root')
  for (const key of [
    'root',
    'root/',
    'rootx/y',
    'other',
    'root/a/',
    'root//a',
    'root/a//b',
    'root/../a',
    `root/${'x'.repeat(256)}`,
    'root/.bosmount/tails/u',
  ]) {
    t.equal(keys.path(key), undefined, key)
  }
})
