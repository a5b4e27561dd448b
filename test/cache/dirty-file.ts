/** Files under write that are too large for memory: local disk, and what is copied between them. */
import { MiB } from '../../src/util/units.js'
import { LIMITS } from './fake-store.js'
import { contentOf, failing, hold, pattern, scene, until, writeIn } from '../helpers/write-scene.js'

const STAGED = { staged: 100 * MiB }

scene(
  'the first part is kept on local disk, so that a header can be written last',
  async (t, { bucket, open }) => {
    const { file, store } = open('/f')
    const data = pattern(4 * MiB + 1000)
    await writeIn(file, data)
    await until(() => file.uploadsUnderWay.length === 0)
    await file.write(10, pattern(100, 7))
    pattern(100, 7).copy(data, 10)
    t.equal(bucket.count('complete'), 0, 'nothing is published before its time')
    t.ok((await contentOf(file, 0, 2000)).equals(data.subarray(0, 2000)))
    await file.flush()
    t.ok(store.content?.equals(data))
    t.equal(bucket.bytesSent, data.length + MiB, 'one part is sent again')
  },
  STAGED,
)

scene(
  'a file whose parts are needed again is published once, and keeps its parts from then on',
  async (t, { bucket, open }) => {
    const { file, store } = open('/f')
    const data = pattern(9 * MiB)
    for (let at = 0; at < data.length; at += MiB) {
      await writeIn(file, data.subarray(at, at + MiB), at)
      await until(() => file.uploadsUnderWay.length === 0)
      if (at < 2 * MiB) continue
      const back = at - MiB
      await file.write(back + 5, pattern(10, at / MiB))
      pattern(10, at / MiB).copy(data, back + 5)
      t.ok((await contentOf(file, back, 100)).equals(data.subarray(back, back + 100)))
    }
    t.equal(bucket.count('complete'), 1)
    await file.flush()
    t.ok(store.content?.equals(data))
  },
  STAGED,
)

scene(
  'a cut goes through a part that is kept',
  async (t, { bucket, open }) => {
    const { file, store } = open('/f')
    const data = pattern(2 * MiB + 10)
    await writeIn(file, data.subarray(0, MiB + 10))
    await until(() => file.uploadsUnderWay.length === 0)
    await file.truncate(MiB / 2)
    t.equal(bucket.count('complete'), 0)
    await file.flush()
    t.ok(store.content?.equals(data.subarray(0, MiB / 2)))
    t.equal(bucket.count('put'), 1)
  },
  STAGED,
)

scene(
  'what is written out of order goes to local disk, not to the store, when memory is short',
  async (t, { back, bucket, open }) => {
    const { file, store } = open('/f')
    const data = pattern(12 * MiB)
    for (let at = data.length - 64 * 1024; at >= 0; at -= 128 * 1024) {
      await file.write(at, data.subarray(at, at + 64 * 1024))
    }
    t.same(bucket.requests, [], 'nothing was published')
    t.ok(back.budget.reserved <= back.budget.capacity)
    for (let at = 0; at < data.length; at += 128 * 1024) {
      await file.write(at, data.subarray(at, at + 64 * 1024))
    }
    t.ok((await contentOf(file)).equals(data), 'read back from both')
    await file.flush()
    t.ok(store.content?.equals(data))
  },
  { ...STAGED, memory: 3 * MiB },
)

scene(
  'an unlinked file larger than memory lives on local disk',
  async (t, { bucket, open }) => {
    const { file, store } = open('/f')
    store.linked = false
    await writeIn(file, pattern(8 * MiB), 0, MiB)
    t.ok((await contentOf(file)).equals(pattern(8 * MiB)))
    t.equal(bucket.requests.length, 0)
  },
  { ...STAGED, memory: 3 * MiB },
)

scene(
  'when local disk is full a file is published before its time',
  async (t, { bucket, open }) => {
    const { file, store } = open('/f')
    const data = pattern(10 * MiB)
    for (let at = data.length - MiB; at >= 0; at -= MiB) {
      await file.write(at + 1, data.subarray(at + 1, at + MiB))
    }
    t.ok(bucket.count('complete') > 0)
    await file.flush()
    const expected = Buffer.from(data)
    for (let at = 0; at < data.length; at += MiB) expected[at] = 0
    t.ok(store.content?.equals(expected))
  },
  { staged: 2 * MiB, memory: 3 * MiB },
)

scene(
  'when nothing has room a writer gets ENOSPC, and what was taken stays',
  async (t, { open }) => {
    const { file, store } = open('/f')
    store.linked = false
    let written = 0
    const writing = (async () => {
      for (; ; written += MiB) await file.write(written, pattern(MiB, written / MiB))
    })()
    await t.rejects(writing, { code: 'ENOSPC' })
    t.ok(written >= 5 * MiB)
    for (let at = 0; at < written; at += MiB) {
      t.ok((await contentOf(file, at, MiB)).equals(pattern(MiB, at / MiB)), `at ${at}`)
    }
  },
  { staged: 2 * MiB, memory: 3 * MiB },
)

scene(
  'a kept part whose upload fails is sent again',
  async (t, { bucket, open }) => {
    const { file, store } = open('/f')
    failing(bucket, 'uploadPart', 1)
    const data = pattern(2 * MiB + 10)
    await writeIn(file, data)
    await until(() => file.uploadsUnderWay.length === 0)
    t.ok((await contentOf(file)).equals(data))
    await file.flush()
    t.ok(store.content?.equals(data))
  },
  STAGED,
)

scene('a part that is being sent can be read, and is not published for it', async (t, s) => {
  const { file } = s.open('/f')
  const { release } = hold(s.bucket, 'uploadPart')
  const data = pattern(2 * MiB + 10)
  await writeIn(file, data)
  t.ok((await contentOf(file)).equals(data))
  t.equal(s.bucket.count('complete'), 0)
  release()
})

scene('a copy of a whole object moves no bytes', async (t, { bucket, open }) => {
  const data = pattern(7 * MiB)
  const object = bucket.seed('/from', data)
  const { file, store } = open('/to')
  const isCurrent = (): boolean => true
  for (let from = 0; from < data.length; from += MiB) {
    t.ok(await file.copyFrom({ object, from, length: MiB }, from, { isCurrent }))
  }
  t.ok(file.copiesFrom(path => path === '/from'))
  t.equal(bucket.requests.length, 0)
  await file.flush()
  t.ok(store.content?.equals(data))
  t.equal(bucket.bytesSent, 0)
  t.same(
    bucket.requests.map(({ method }) => method),
    ['copy'],
  )
  t.notOk(file.copiesFrom(() => true))
})

scene('a copy of a part of an object is put together from parts', async (t, s) => {
  const data = pattern(7 * MiB)
  const object = s.bucket.seed('/from', data)
  const { file, store } = s.open('/to')
  await file.copyFrom({ object, from: 5, length: 6 * MiB }, 0, { isCurrent: () => true })
  await file.flush()
  t.ok(store.content?.equals(data.subarray(5, 6 * MiB + 5)))
  t.equal(s.bucket.bytesSent, 0)
  t.equal(s.bucket.count('copyPart'), (6 * MiB) / LIMITS.maxPartSize)
})

scene('nothing is copied from what is not current any more', async (t, { bucket, open }) => {
  const object = bucket.seed('/from', pattern(MiB))
  const { file } = open('/to', pattern(10))
  const isCurrent = (): boolean => false
  t.notOk(await file.copyFrom({ object, from: 0, length: MiB }, 0, { isCurrent }))
  t.notOk(file.isDirty)
  t.equal(file.size, 10)
})

scene('a source that another host has replaced is an error, and never a mix', async (t, s) => {
  const object = s.bucket.seed('/from', pattern(4 * MiB))
  const { file, store } = s.open('/to')
  await file.copyFrom({ object, from: 0, length: 4 * MiB }, 0, { isCurrent: () => true })
  s.bucket.seed('/from', pattern(4 * MiB, 2))
  await t.rejects(file.flush(), { name: 'PreconditionError' })
  t.equal(store.content, undefined)
})

scene('before a file is published, those that copied from it are', async (t, s) => {
  const data = pattern(3 * MiB)
  const source = s.open('/from', data)
  const target = s.open('/to')
  const object = source.file.base
  if (object === undefined) throw new Error('the file has a base')
  await target.file.copyFrom({ object, from: 0, length: data.length }, 0, { isCurrent: () => true })
  await source.file.write(0, pattern(MiB, 2))
  await source.file.flush()
  t.ok(target.store.content?.equals(data))
  t.notOk(target.file.isDirty)
})
