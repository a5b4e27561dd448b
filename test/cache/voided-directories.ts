import t from 'tap'
import { VoidedDirectories } from '../../src/cache/voided-directories.js'

void t.test('what began before is void of the directory and all below, and of no other', t => {
  const voided = new VoidedDirectories()
  voided.add('/a/b', 10)
  t.ok(voided.isVoid('/a/b', 9))
  t.ok(voided.isVoid('/a/b/c', 9))
  t.notOk(voided.isVoid('/a/b', 10))
  t.notOk(voided.isVoid('/a', 9))
  t.notOk(voided.isVoid('/a/bc', 9))
  voided.add('/', 20)
  t.ok(voided.isVoid('/a', 19))
  t.end()
})

void t.test('what is not remembered any more makes all void that began before', t => {
  const voided = new VoidedDirectories()
  for (let i = 0; i < 1001; i++) voided.add(`/${i}`, i)
  t.notOk(voided.isVoid('/other', 0))
  voided.add('/one-more', 2000)
  t.ok(voided.isVoid('/other', 0))
  t.notOk(voided.isVoid('/other', 1))
  t.ok(voided.isVoid('/5', 4))
  t.end()
})
