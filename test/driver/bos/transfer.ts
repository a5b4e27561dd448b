/** How copies, moves and deletes are done, and what they cost. */
import t, { type Test } from 'tap'
import { evenRanges } from '../../../src/driver/bos/transfer.js'
import type { Switches } from '../../../src/server/switches.js'
import { MiB } from '../../../src/util/units.js'
import { bytes, failure } from '../helpers.js'
import { startDriverHarness } from './harness.js'

void t.test('ranges cover everything in few parts of nearly the same size', async t => {
  t.same(evenRanges(0, 10), [])
  t.same(evenRanges(7, 10), [{ offset: 0, length: 7 }])
  for (const [size, largest] of [
    [10 * MiB, 10 * MiB],
    [10 * MiB + 1, 10 * MiB],
    [1000 * MiB + 17, 128 * MiB],
    [123_456_789, 5 * MiB],
  ] as const) {
    const ranges = evenRanges(size, largest)
    let next = 0
    for (const [i, { offset, length }] of ranges.entries()) {
      t.equal(offset, next)
      t.ok(length > 0 && length <= largest)
      if (i < ranges.length - 1) t.equal(length % MiB, 0)
      next += length
    }
    t.equal(next, size)
  }
})

void t.test('a large file is copied in parts, with its properties', async t => {
  const { driver, api, log } = await startDriverHarness(t)
  const store = await driver({}, { copyThreshold: 2 * MiB, copyPartSize: MiB })
  const content = bytes(5 * MiB + 3, 1)
  const metadata = { colour: 'red' }
  await api().put('large', content, { contentType: 'text/x-large', metadata })
  log.length = 0
  const result = await store.copy('/large', '/copy')
  t.equal(log.filter(entry => entry.operation === 'UploadPartCopy').length, 6)
  t.ok((await store.getContent('/copy')).equals(content))
  t.match(await api().head('copy'), {
    etag: result.etag,
    contentHeaders: { 'content-type': 'text/x-large' },
    metadata,
  })
  await store.move('/copy', '/moved')
  t.match(await failure(store.stat('/copy')), { code: 'PATH_NOT_FOUND' })
  t.ok((await store.getContent('/moved')).equals(content))
})

void t.test('a copy in parts that fails leaves no upload behind', async t => {
  const { driver, server } = await startDriverHarness(t)
  const store = await driver({}, { copyThreshold: MiB, copyPartSize: MiB })
  await store.putContent('/large', bytes(3 * MiB, 1))
  const fault = { kind: 'error-in-ok', code: 'AccessDenied' } as const
  server.faults.add({ operation: 'UploadPartCopy', skip: 1, fault })
  t.match(await failure(store.move('/large', '/moved')), { code: 'ACCESS_DENIED' })
  t.ok((await store.getContent('/large')).equals(bytes(3 * MiB, 1)))
  for await (const upload of store.uploads('/')) t.fail(`left over: ${upload.uploadId}`)
})

void t.test('a conditional copy keeps type and metadata', async t => {
  const { driver, api } = await startDriverHarness(t)
  const store = await driver()
  for (const content of [bytes(100), Buffer.alloc(0)]) {
    await api().put('from', content, { contentType: 'text/x-a', metadata: { a: 'b' } })
    await store.copy('/from', `/to ${content.length}`, { ifNoneMatch: '*' })
    const head = await api().head(`to ${content.length}`)
    t.match(head, {
      size: content.length,
      contentHeaders: { 'content-type': 'text/x-a' },
      metadata: { a: 'b' },
    })
  }
})

void t.test('what changes during a copy is not deleted', async t => {
  const { driver, server } = await startDriverHarness(t)
  const store = await driver()
  await store.putContent('/source', bytes(100, 1))
  const fault = { kind: 'delay', delay: 1000 } as const
  const copy = server.faults.add({ operation: 'CopyObject', count: 1, fault })
  const move = failure(store.move('/source', '/target'))
  while (copy.hits === 0) await new Promise(resolve => setTimeout(resolve, 5))
  await store.putContent('/source', bytes(100, 2))
  t.match(await move, { code: 'PRECONDITION' })
  t.same(await store.getContent('/source'), bytes(100, 2))
})

void t.test('the common calls cost one request, or two at once', async t => {
  const { driver, log } = await startDriverHarness(t)
  const store = await driver()
  await store.putContent('/dir/file', bytes(10))
  const cost = async (call: () => Promise<unknown>): Promise<string[]> => {
    log.length = 0
    await call().catch(() => undefined)
    return log.map(entry => entry.operation).toSorted()
  }
  const look = ['HeadObject', 'ListObjects']
  t.same(await cost(() => store.stat('/dir/file')), look)
  t.same(await cost(() => store.stat('/none')), look)
  t.same(await cost(() => store.stat('/dir/file', { expect: 'file' })), ['HeadObject'])
  t.same(await cost(() => store.stat('/dir', { expect: 'directory' })), ['ListObjects'])
  t.same(await cost(() => store.list('/dir')), ['ListObjects'])
  t.same(await cost(() => store.getContent('/dir/file')), ['GetObject'])
  t.same(await cost(() => store.readInto('/dir/file', Buffer.alloc(4))), ['GetObject'])
  t.same(await cost(() => store.putContent('/dir/other', bytes(1))), ['PutObject'])
  t.same(await cost(() => store.makeDirectory('/dir/sub')), ['PutObject'])
  t.same(await cost(() => store.removeDirectoryMarker('/dir/sub')), ['DeleteObject'])
  t.same(await cost(() => store.deleteFile('/dir/other')), ['DeleteObject'])
  t.same(await cost(() => store.delete('/dir')), [
    'DeleteMultipleObjects',
    'DeleteObject',
    'ListObjects',
  ])
})

void t.test('a move tells of each object that is at its new name', async t => {
  const { driver } = await startDriverHarness(t)
  for (const rename of [true, false]) {
    const store = await driver({}, { rename })
    await store.putContent('/from/one', bytes(1, 1))
    await store.putContent('/from/deep/two', bytes(20, 1))
    const moved: number[] = []
    const onMoved = (size: number): void => void moved.push(size)
    await store.move('/from', '/to', { onMoved })
    t.same(
      moved.toSorted((a, b) => a - b),
      [1, 20],
    )
    await store.move('/to/deep/two', '/from/file', { onMoved })
    t.equal(moved.at(-1), 20)
    await store.move('/from/file', '/from/file', { onMoved })
    t.equal(moved.length, 3, 'what stays is not told of')
    await store.delete('/from')
    await store.delete('/to')
  }
})

void t.test('a directory is deleted in batches, page by page', async t => {
  const { driver, log } = await startDriverHarness(t)
  const store = await driver({}, { listPageSize: 10 })
  await Promise.all(
    Array.from({ length: 35 }, (_, i) => store.putContent(`/dir/${i}`, Buffer.alloc(0))),
  )
  await store.putContent('/dirx', bytes(1))
  log.length = 0
  await store.delete('/dir')
  t.equal(log.filter(entry => entry.operation === 'DeleteMultipleObjects').length, 4)
  t.same(await store.list('/'), ['/dirx'])
})

void t.test('a file moves to a free name by one rename where the service has it', async t => {
  const { driver, log, server, api } = await startDriverHarness(t, {
    strict: { renameObject: true },
  })
  const store = await driver()
  const moved = async (from: string, to: string): Promise<string[]> => {
    log.length = 0
    await store.move(from, to)
    t.match(await failure(store.stat(from)), { code: 'PATH_NOT_FOUND' })
    return log.map(entry => entry.operation)
  }
  await api().put('a b', bytes(100, 1), { contentType: 'text/x-a', metadata: { colour: 'red' } })
  t.ok((await moved('/a b', '/c+d')).includes('RenameObject'))
  t.match(await api().head('c+d'), {
    contentHeaders: { 'content-type': 'text/x-a' },
    metadata: { colour: 'red' },
  })
  t.same(await store.getContent('/c+d'), bytes(100, 1))

  server.faults.add({ operation: 'RenameObject', count: 1, fault: { kind: 'drop-response' } })
  const lost = await moved('/c+d', '/e')
  const renames = lost.filter(operation => operation === 'RenameObject')
  t.equal(renames.length, 1, 'after a lost answer it looks: by now both names may be others')
  t.same(await store.getContent('/e'), bytes(100, 1))

  await store.putContent('/taken', bytes(5))
  t.notOk((await moved('/e', '/taken')).includes('RenameObject'), 'a taken name is copied over')
  t.same(await store.getContent('/taken'), bytes(100, 1))
})

void t.test('a service without rename is asked for it once', async t => {
  const { driver, log } = await startDriverHarness(t)
  const store = await driver()
  for (let i = 0; i < 3; i++) {
    await store.putContent(`/from ${i}`, bytes(10, i))
    await store.move(`/from ${i}`, `/to ${i}`)
    t.same(await store.getContent(`/to ${i}`), bytes(10, i))
  }
  t.equal(log.filter(entry => entry.operation === 'RenameObject').length, 1)
  const careful = await driver({}, { rename: false })
  await careful.move('/to 0', '/back')
  t.equal(log.filter(entry => entry.operation === 'RenameObject').length, 1)
})

void t.test('a file that the caller knows is moved without being looked for', async t => {
  const { driver, log } = await startDriverHarness(t)
  const store = await driver()
  await store.putContent('/from', bytes(100, 1))
  const source = await store.stat('/from')
  log.length = 0
  const moved = await store.move('/from', '/to', { known: { source, isFree: true } })
  t.same(
    log.map(({ operation }) => operation).filter(operation => operation !== 'RenameObject'),
    ['CopyObject', 'DeleteObject'],
  )
  t.same(moved?.etag, (await store.stat('/to')).etag)
  t.ok((await store.getContent('/to')).equals(bytes(100, 1)))
})

const BY_COPY = [
  'InitiateMultipartUpload',
  'UploadPartCopy',
  'CompleteMultipartUpload',
  'DeleteObject',
]
const BY_RENAME = ['RenameObject', 'HeadObject']
const IF_NEW = { ifNoneMatch: '*' } as const

/** Moves a new file, and tells which operations that took. */
async function mover(t: Test, strict: Partial<Switches>) {
  const { driver, log } = await startDriverHarness(t, { strict })
  const store = await driver()
  return {
    store,
    /** @param knows  what the caller says of the source: nothing, what a listing tells, or all */
    moved: async (to: string, knows: 'nothing' | 'listed' | 'all', options = {}) => {
      await store.putContent('/from', bytes(MiB, 1))
      const { path, size, etag, ...others } = await store.stat('/from')
      const source = { path, size, isDir: false, ...(etag && { etag }) }
      const known = { source: knows === 'all' ? { ...others, ...source } : source, isFree: true }
      log.length = 0
      await store.move('/from', to, { ...(knows !== 'nothing' && { known }), ...options })
      return log.map(({ operation }) => operation)
    },
  }
}

void t.test('a move that must replace nothing is a conditional copy', async t => {
  const { store, moved } = await mover(t, { renameObject: false })
  // A listing does not tell the type of a file, and an upload has to say it.
  const first = await moved('/listed', 'listed', IF_NEW)
  t.same(
    first,
    ['RenameObject', 'HeadObject', ...BY_COPY],
    'whether there is a rename is asked once',
  )
  t.same(await moved('/known', 'all', IF_NEW), BY_COPY)
  t.match(await failure(moved('/known', 'all', IF_NEW)), { code: 'PRECONDITION' })
  t.ok((await store.getContent('/from')).equals(bytes(MiB, 1)), 'nothing is lost')
  t.same(await moved('/plain', 'listed'), ['CopyObject', 'DeleteObject'])
})

void t.test(
  'where there is a rename it serves for a name that was just seen to be free',
  async t => {
    const { store, moved } = await mover(t, { renameObject: true, renameReplaces: false })
    t.same(await moved('/seen', 'listed', IF_NEW), BY_RENAME)
    const unseen = await moved('/unseen', 'nothing', IF_NEW)
    t.same(unseen.slice(-BY_COPY.length), BY_COPY, 'who has not looked gets a promise')
    t.notOk(unseen.includes('RenameObject'))

    const content = await store.getContent('/seen')
    t.match(await failure(moved('/seen', 'all', IF_NEW)), { code: 'PRECONDITION' })
    t.ok((await store.getContent('/seen')).equals(content))
    t.ok((await store.getContent('/from')).equals(bytes(MiB, 1)), 'nothing is lost')
    const over = await moved('/seen', 'listed')
    t.same(over, ['RenameObject', 'CopyObject', 'DeleteObject'], 'a plain move replaces it')
    t.same(await moved('/again', 'listed'), BY_RENAME, 'and the rename is used on')
  },
)

void t.test('a file that is not what the caller knows any more is moved as it is', async t => {
  const { driver } = await startDriverHarness(t)
  const store = await driver()
  await store.putContent('/from', bytes(100, 1))
  const source = await store.stat('/from')
  await store.putContent('/from', bytes(50, 2))
  await store.move('/from', '/to', { known: { source, isFree: true } })
  t.ok((await store.getContent('/to')).equals(bytes(50, 2)))
  t.match(await failure(store.stat('/from')), { code: 'PATH_NOT_FOUND' })
  const gone = store.move('/from', '/other', { known: { source, isFree: true } })
  t.match(await failure(gone), { code: 'PATH_NOT_FOUND', path: '/from' })
})
