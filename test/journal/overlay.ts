/** What is pending, by place: directories that it makes, names that it hides, and what must wait. */
import t from 'tap'
import { Overlay } from '../../src/journal/overlay.js'
import type { JournalRecord } from '../../src/journal/record.js'

let seq = 0

function record(key: string, kind: 'put' | 'delete' = 'put'): JournalRecord {
  const common = { key, seq: (seq += 1), since: 0, changed: 0, base: { is: 'any' } } as const
  if (kind === 'delete') return { ...common, kind }
  return { ...common, kind, modTime: 0, size: 0, etag: '', slices: [], metadata: {} }
}

void t.test('puts make directories, deletes hide, and nothing stays of what is removed', t => {
  const overlay = new Overlay()
  const file = overlay.set(record('/a/b/c'))
  const gone = overlay.set(record('/a/x/y', 'delete'))
  const marker = overlay.set(record('/m/'))
  for (const path of ['/', '/a', '/a/b', '/m']) t.ok(overlay.isDirectory(path), path)
  for (const path of ['/a/b/c', '/a/x', '/n']) t.notOk(overlay.isDirectory(path), path)
  t.ok(overlay.hides('/a/x'))
  t.notOk(overlay.hides('/a/b'))
  t.same(overlay.hollow('/', false), [])
  t.same(overlay.hollow('/', true), ['/a/x'])
  t.same(
    [...overlay.children('/a')].map(({ name, isDirectory }) => [name, isDirectory]),
    [
      ['b', true],
      ['x', false],
    ],
  )
  overlay.set(record('/a/b/c', 'delete'))
  t.notOk(overlay.isDirectory('/a/b'), 'a delete has replaced the put')
  t.same([...overlay.entries()].at(-1)?.key, '/a/b/c', 'the latest change is the last')
  for (const entry of [file, gone, marker]) overlay.remove(entry)
  t.equal(overlay.size, 0)
  t.notOk(overlay.concerns('/a'))
  t.ok(overlay.concerns('/'))
  t.end()
})

void t.test('nothing overtakes an older change above or below it that can be seen', t => {
  const overlay = new Overlay()
  const blockers = (key: string): string[] => {
    const entry = overlay.entry(key)
    return entry === undefined ? [] : [...overlay.blockers(entry)].map(each => each.key)
  }
  overlay.set(record('/d/f', 'delete'))
  overlay.set(record('/d/', 'delete'))
  t.same(blockers('/d/'), ['/d/f'], 'a directory goes after what was in it')
  overlay.set(record('/d/g'))
  t.same(blockers('/d/g'), ['/d/'], 'and what is made in it anew comes after that')
  overlay.set(record('/e', 'delete'))
  overlay.set(record('/e/f'))
  t.same(blockers('/e/f'), ['/e'], 'a file gives way to a directory')
  overlay.set(record('/p/q', 'delete'))
  overlay.set(record('/p'))
  t.same(blockers('/p'), ['/p/q'], 'and a directory to a file')
  overlay.set(record('/m/'))
  overlay.set(record('/m/f'))
  t.same(blockers('/m/f'), [], 'that a directory exists disturbs nothing')
  overlay.set(record('/z/a'))
  overlay.set(record('/z/b'))
  t.same(blockers('/z/b'), [])
  t.end()
})
