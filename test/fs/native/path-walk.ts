import t from 'tap'
import { ErrnoError } from '../../../src/util/errno.js'
import { withInode, withPlace } from '../../../src/fs/native/path-walk.js'
import { ROOT_INO, type RequestContext } from '../../../src/fs/operations.js'
import { MemoryOperations } from '../../helpers/memory-operations.js'

const context: RequestContext = {
  uid: 0,
  gid: 0,
  pid: 1,
  signal: new AbortController().signal,
}

function tree(): { operations: MemoryOperations; deepest: number } {
  const operations = new MemoryOperations()
  const request = { mode: 0o755, umask: 0 }
  const a = operations.mkdir(context, ROOT_INO, { ...request, name: 'a' })
  const b = operations.mkdir(context, a.ino, { ...request, name: 'b' })
  operations.forget(a.ino, 1)
  operations.forget(b.ino, 1)
  return { operations, deepest: b.ino }
}

await t.test('a path leads to its inode, which is known while it is worked on', async t => {
  const { operations, deepest } = tree()
  t.equal(operations.lookups, 1)
  const during = await withInode(operations, context, '/a/b', ino => {
    t.equal(ino, deepest)
    return operations.lookups
  })
  t.equal(during, 3)
  t.equal(operations.lookups, 1)
  t.equal(await withInode(operations, context, '/', ino => ino), ROOT_INO)
})

await t.test('what was looked up is forgotten after any failure', async t => {
  const { operations } = tree()
  const failing = withInode(operations, context, '/a/b', () => {
    throw new ErrnoError('EACCES', 'no')
  })
  await t.rejects(failing, { code: 'EACCES' })
  await t.rejects(
    withInode(operations, context, '/a/none/b', () => 0),
    { code: 'ENOENT' },
  )
  t.equal(operations.lookups, 1)
})

await t.test('a place is a directory and a name in it', async t => {
  const { operations, deepest } = tree()
  const target = { operations, context }
  const place = await withPlace(target, '/a/b/new', { creates: true }, found => found)
  t.strictSame(place, { parent: deepest, name: 'new' })
  t.strictSame(await withPlace(target, '/new', { creates: true }, found => found), {
    parent: ROOT_INO,
    name: 'new',
  })
  await t.rejects(
    withPlace(target, '/', { creates: false }, found => found),
    { code: 'EBUSY' },
  )
})

await t.test('names that cannot be are refused', async t => {
  const { operations } = tree()
  const target = { operations, context }
  const rows: [path: string, creates: boolean, code: string][] = [
    ['/a\ufffd', true, 'EILSEQ'],
    ['/a\ufffd', false, 'ENOENT'],
    ['/a\ufffd/b', true, 'ENOENT'],
    [`/${'ü'.repeat(128)}`, true, 'ENAMETOOLONG'],
    [`/${'ü'.repeat(128)}/b`, true, 'ENAMETOOLONG'],
  ]
  for (const [path, creates, code] of rows) {
    await t.rejects(
      withPlace(target, path, { creates }, () => 0),
      { code },
      path,
    )
  }
})
