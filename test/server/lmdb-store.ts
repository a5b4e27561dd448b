import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DataFiles } from '../../src/server/data-files.js'
import { LmdbIndex } from '../../src/server/lmdb-index.js'
import { LmdbStore } from '../../src/server/lmdb-store.js'
import type { Content, ObjectRecord } from '../../src/server/store.js'
import { dataFiles, seededBytes, temporaryDirectory } from '../helpers/bos-harness.js'

const ATTRIBUTES = { storageClass: 'STANDARD', headers: {}, meta: {} }
const ETAG = '0'.repeat(32)

async function openStore(t: Test) {
  const directory = temporaryDirectory(t)
  const files = new DataFiles({ directory: join(directory, 'data'), sync: false })
  const index = new LmdbIndex(join(directory, 'index'))
  const store = new LmdbStore({ index, files, now: () => 1, sync: false })
  t.teardown(async () => {
    await index.close()
    await files.close()
  })
  await store.createBucket('bkt')
  const content = async (...sizes: readonly number[]): Promise<Content> => {
    const slices = []
    for (const size of sizes) {
      const writer = await files.create()
      await writer.write([seededBytes(size)])
      await writer.close()
      slices.push({ file: writer.id, offset: 0, length: size })
    }
    return { size: sizes.reduce((sum, size) => sum + size, 0), etag: ETAG, slices }
  }
  const names = () => dataFiles(directory)
  return { store, content, names }
}

const at = (key: string) => ({ bucket: 'bkt', key })

void t.test('slices are cut to the bytes asked for', async t => {
  const { store, content } = await openStore(t)
  const made = await content(100, 50, 200)
  const record = await store.putObject(at('k'), made, ATTRIBUTES)
  const cut = (offset: number, length: number) =>
    store
      .slices(record, offset, length)
      .map(slice => [
        made.slices.findIndex(one => one.file === slice.file),
        slice.offset,
        slice.length,
      ])
  t.strictSame(cut(0, 350), [
    [0, 0, 100],
    [1, 0, 50],
    [2, 0, 200],
  ])
  t.strictSame(cut(0, 1), [[0, 0, 1]])
  t.strictSame(cut(99, 1), [[0, 99, 1]])
  t.strictSame(cut(99, 2), [
    [0, 99, 1],
    [1, 0, 1],
  ])
  t.strictSame(cut(100, 50), [[1, 0, 50]])
  t.strictSame(cut(120, 200), [
    [1, 20, 30],
    [2, 0, 170],
  ])
  t.strictSame(cut(349, 1), [[2, 199, 1]])
  t.strictSame(cut(10, 0), [])
})

void t.test('a file lives as long as anything refers to it', async t => {
  const { store, content, names } = await openStore(t)
  await store.putObject(at('a'), await content(10, 20), ATTRIBUTES)
  const copy = { source: at('a'), attributes: (from: ObjectRecord) => from }
  await store.copyObject({ ...copy, target: at('b') })
  await store.copyObject({ ...copy, target: at('b') })
  await store.copyObject({ ...copy, target: at('a') })
  t.equal(names().length, 2)
  await store.deleteObject(at('a'))
  t.equal(names().length, 2)
  await store.renameObject({ source: at('b'), target: at('c'), guard: () => undefined })
  t.equal(store.object(at('b')), undefined)
  t.equal(names().length, 2)
  await store.deleteObject(at('c'))
  t.strictSame(names(), [])
})

void t.test('a shared part is not put when its source has gone', async t => {
  const { store, content } = await openStore(t)
  const record = await store.putObject(at('a'), await content(10), ATTRIBUTES)
  const slices = store.slices(record, 0, 10)
  const upload = await store.createUpload(at('u'), ATTRIBUTES)
  await store.deleteObject(at('a'))
  const part = { partNumber: 1, etag: ETAG, size: 10, slices }
  t.equal(await store.putPart(upload, part, { shared: true }), undefined)
  t.strictSame([...store.parts(upload)], [])
})

void t.test('a refused change changes nothing, and those beside it are made', async t => {
  const { store, content, names } = await openStore(t)
  const [one, two] = [await content(10), await content(20)]
  const results = await Promise.allSettled([
    store.putObject(at('a'), one, ATTRIBUTES),
    store.putObject(at('a'), two, ATTRIBUTES, () => {
      throw new Error('refused')
    }),
    store.deleteObject(at('none')),
  ])
  t.strictSame(
    results.map(result => result.status),
    ['fulfilled', 'rejected', 'rejected'],
  )
  t.equal(store.object(at('a'))?.size, 10)
  t.equal(names().length, 2, 'refused content is its sender’s to discard')
})

void t.test('buckets keep their objects and uploads apart', async t => {
  const { store } = await openStore(t)
  await store.createBucket('bkt2')
  const empty = { size: 0, etag: ETAG, slices: [] }
  await store.putObject({ bucket: 'bkt2', key: 'a' }, empty, ATTRIBUTES)
  await store.putObject(at('b'), empty, ATTRIBUTES)
  const keys = (bucket: string) =>
    Array.from(store.objects(bucket).seek(Buffer.alloc(0)), entry => String(entry.key))
  t.strictSame(keys('bkt'), ['b'])
  t.strictSame(keys('bkt2'), ['a'])
  await t.rejects(store.deleteBucket('bkt2'), { code: 'BucketNotEmpty' })
  const upload = await store.createUpload(at('u'), ATTRIBUTES)
  await store.deleteObject(at('b'))
  await store.deleteBucket('bkt')
  await t.rejects(store.abortUpload(upload), { code: 'NoSuchBucket' })
  await store.createBucket('bkt')
  t.equal(store.upload(at('u'), upload.uploadId), undefined)
})
