import t from 'tap'
import { createMemoryDriver } from '../../../src/driver/memory/driver.js'
import { InodeTable } from '../../../src/fs/core/inode-table.js'
import type { AddEntry, Ino } from '../../../src/fs/operations.js'
import { ROOT_INO } from '../../../src/fs/operations.js'
import { createCore } from '../../helpers/core.js'

const NOTHING = new Uint8Array(0)

function table(): InodeTable {
  return new InodeTable(() => 1000)
}

void t.test('the root is always there', t => {
  const inodes = table()
  t.equal(inodes.root.ino, ROOT_INO)
  inodes.forget(ROOT_INO, 1)
  inodes.drop(inodes.root)
  t.equal(inodes.get(ROOT_INO), inodes.root)
  t.equal(inodes.path(inodes.root), '/')
  t.ok(inodes.isLinked(inodes.root))
  inodes.checkInvariants()
  t.end()
})

void t.test('an inode lives as long as the kernel remembers it', t => {
  const inodes = table()
  const file = inodes.addFile(inodes.root, 'a')
  file.lookups = 3
  inodes.forget(file.ino, 2)
  t.equal(inodes.get(file.ino), file)
  inodes.forget(file.ino, 1)
  t.throws(() => inodes.get(file.ino), { code: 'ESTALE' })
  t.equal(inodes.root.children.size, 0)
  t.equal(inodes.size, 1)
  inodes.forget(file.ino, 5)
  inodes.forget(99_999 as Ino, 1)
  inodes.checkInvariants()
  t.end()
})

void t.test('more forgets than lookups count as all of them', t => {
  const inodes = table()
  const file = inodes.addFile(inodes.root, 'a')
  file.lookups = 1
  file.handles = 1
  inodes.forget(file.ino, 10)
  t.equal(file.lookups, 0)
  t.equal(inodes.get(file.ino), file, 'an open handle retains it')
  file.handles = 0
  inodes.drop(file)
  t.equal(inodes.size, 1)
  t.end()
})

void t.test('children retain their parents', t => {
  const inodes = table()
  const directory = inodes.addDirectory(inodes.root, 'd')
  const below = inodes.addDirectory(directory, 'e')
  const file = inodes.addFile(below, 'f')
  file.lookups = 1
  t.equal(inodes.path(file), '/d/e/f')
  inodes.drop(directory)
  inodes.drop(below)
  t.equal(inodes.size, 4)
  inodes.checkInvariants()
  inodes.forget(file.ino, 1)
  t.equal(inodes.size, 1, 'and go with the last of them')
  t.end()
})

void t.test('a directory that only this mount knows is retained', t => {
  const inodes = table()
  const directory = inodes.addDirectory(inodes.root, 'd')
  directory.presence = 'made'
  inodes.drop(directory)
  t.equal(inodes.size, 2)
  directory.presence = 'stored'
  inodes.drop(directory)
  t.equal(inodes.size, 1)
  t.end()
})

void t.test('renaming a directory moves all that is below', t => {
  const inodes = table()
  const from = inodes.addDirectory(inodes.root, 'from')
  const to = inodes.addDirectory(inodes.root, 'to')
  const file = inodes.addFile(from, 'f')
  for (const inode of [from, to, file]) inode.lookups = 1
  const before = inodes.renames
  const { number } = file
  inodes.rename(from, to, 'moved')
  t.equal(inodes.path(file), '/to/moved/f')
  t.equal(file.number, number, 'st_ino stays')
  t.not(inodes.renames, before)
  t.notOk(inodes.root.children.has('from'))
  t.ok(inodes.isBelow(file, to))
  t.notOk(inodes.isBelow(to, from))
  t.same([...inodes.below(to)], [from, file])
  inodes.checkInvariants()
  t.end()
})

void t.test('an unlinked inode keeps its path for messages, and has no place', t => {
  const inodes = table()
  const directory = inodes.addDirectory(inodes.root, 'd')
  const file = inodes.addFile(directory, 'f')
  directory.lookups = 1
  file.lookups = 1
  inodes.unlink(file)
  t.equal(inodes.path(file), '/d/f')
  t.notOk(inodes.isLinked(file))
  t.equal(directory.children.size, 0)
  const again = inodes.addFile(directory, 'f')
  again.lookups = 1
  inodes.unlink(file)
  t.equal(directory.children.get('f'), again, 'its successor is not touched')
  t.equal(inodes.path(again), '/d/f')
  t.not(again.ino, file.ino)
  t.not(again.number, file.number, 'nor taken for it')
  inodes.checkInvariants()
  t.end()
})

void t.test('a renamed file and the next of its old name have numbers of their own', t => {
  const inodes = table()
  const moved = inodes.addFile(inodes.root, 'f')
  const { number } = moved
  moved.lookups = 1
  inodes.rename(moved, inodes.root, 'g')
  const next = inodes.addFile(inodes.root, 'f')
  next.lookups = 1
  t.equal(moved.number, number)
  t.not(next.number, number)
  inodes.forget(moved.ino, 1)
  inodes.forget(next.ino, 1)
  inodes.drop(moved)
  const again = inodes.addFile(inodes.root, 'f')
  t.equal(again.number, number, 'free again once nobody knows the other')
  t.end()
})

void t.test('what lies below an unlinked directory is unlinked', t => {
  const inodes = table()
  const directory = inodes.addDirectory(inodes.root, 'd')
  const file = inodes.addFile(directory, 'f')
  file.lookups = 1
  inodes.unlink(directory)
  t.notOk(inodes.isLinked(file))
  inodes.forget(file.ino, 1)
  t.equal(inodes.size, 1)
  t.end()
})

void t.test('a number names the kind of inode that was asked for', t => {
  const inodes = table()
  const file = inodes.addFile(inodes.root, 'f')
  const directory = inodes.addDirectory(inodes.root, 'd')
  t.throws(() => inodes.directory(file.ino), { code: 'ENOTDIR' })
  t.throws(() => inodes.file(directory.ino), { code: 'EISDIR' })
  t.equal(inodes.file(file.ino), file)
  t.equal(inodes.directory(directory.ino), directory)
  t.throws(() => inodes.get(12_345 as Ino), { code: 'ESTALE' })
  t.end()
})

void t.test('inodes that the kernel has forgotten leave nothing behind, however many', async t => {
  const bucket = createMemoryDriver()
  const [directories, names] = [25, 1000]
  for (let i = 0; i < directories; i += 1) {
    for (let j = 0; j < names; j += 1) await bucket.putContent(`/d${i}/f${j}`, NOTHING)
  }
  const fs = createCore(bucket)
  const context = { uid: 0, gid: 0, pid: 1, signal: new AbortController().signal }
  let most = 0
  let seen = 0
  const known: Ino[] = []
  const look = async (parent: Ino, name: string): Promise<Ino> => {
    const entry = await fs.lookup(context, parent, name)
    if (entry.ino === undefined) throw new Error(`${name} is not there`)
    return entry.ino
  }
  for (let i = 0; i < directories; i += 1) {
    const directory = await look(ROOT_INO, `d${i}`)
    const { fh } = fs.opendir(context, directory)
    let offset = 0
    for (let before = -1; before !== offset;) {
      before = offset
      const add: AddEntry = entry => {
        offset = entry.offset
        if (entry.entry?.ino !== undefined) known.push(entry.entry.ino)
        return true
      }
      await fs.readdir(context, directory, fh, { offset, plus: true, add })
    }
    await fs.releasedir(context, directory, fh)
    most = Math.max(most, fs.counts.inodes)
    seen += known.length
    for (const ino of known.splice(0)) fs.forget(ino, 1)
    fs.forget(directory, 1)
  }
  t.ok(seen >= directories * names, `${seen} were shown`)
  t.ok(most < 3 * names, `never more than ${most} at once`)
  t.same(fs.counts, { inodes: 1, lookups: 0, handles: 0, dirty: 0 })
  await fs.destroy()
})
