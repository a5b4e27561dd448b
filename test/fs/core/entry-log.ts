import t from 'tap'
import type { FileInfo } from '../../../src/driver/driver.js'
import { EntryLog } from '../../../src/fs/core/entry-log.js'

function info(index: number): FileInfo {
  return { path: `/d/n${index}`, size: index, isDir: index % 3 === 0 }
}

function filled(count: number): EntryLog {
  const log = new EntryLog()
  for (let i = 0; i < count; i += 1) {
    const { isDir } = info(i)
    log.add({ name: `n${i}`, isDir, isLocal: false, info: info(i), began: 7, seen: 8 })
  }
  return log
}

void t.test('an index keeps its entry, and its kind, however much was added since', t => {
  const log = filled(30_000)
  t.equal(log.length, 30_000)
  for (const index of [0, 1, 1023, 1024, 15_000, 3, 29_999]) {
    t.match(log.at(index), { name: `n${index}`, isDir: index % 3 === 0, began: 7 })
  }
  t.equal(log.at(30_000), undefined)
  t.ok(log.isWhole)
  t.same([...log.names()].slice(-2), ['n29998', 'n29999'])
  t.end()
})

void t.test('what the store told is kept for the entries added last only', t => {
  const log = filled(30_000)
  t.same(log.at(29_999)?.info, info(29_999))
  t.same(log.at(25_000)?.info, info(25_000))
  t.equal(log.at(10_000)?.info, undefined)
  t.equal(log.at(10_000)?.seen, -Infinity, 'nor is it believed')
  t.end()
})

void t.test('names with blanks, at the end too, and of any script come back as they were', t => {
  const log = new EntryLog()
  const names = ['a b', ' ', 'ü', '名', '🐳', 'z ']
  for (const name of names) {
    log.add({ name, isDir: true, isLocal: true, info: undefined, began: 0, seen: 0 })
  }
  for (let i = 0; i < 20_000; i += 1) {
    log.add({ name: `${i}`, isDir: false, isLocal: false, info: info(i), began: 0, seen: 0 })
  }
  t.same(
    names.map((_, i) => log.at(i)?.name),
    names,
  )
  t.ok(log.at(0)?.isDir)
  t.end()
})

void t.test('beyond two million names the oldest are forgotten, and say so', t => {
  const log = filled(2_110_000)
  t.throws(() => log.at(0), { code: 'EINVAL' })
  t.notOk(log.isWhole)
  t.equal(log.at(2_000_000)?.name, 'n2000000')
  t.end()
})
