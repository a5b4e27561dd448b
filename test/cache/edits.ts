/** Changes of a file under write: cuts, writes that wait, and what they wait for. */
import { MiB } from '../../src/util/units.js'
import { LIMITS } from './fake-store.js'
import {
  contentOf,
  failing,
  hold,
  pattern,
  scene,
  turns,
  until,
  writeIn,
} from '../helpers/write-scene.js'

scene('an overwrite of an uploaded part publishes first, then changes', async (t, s) => {
  const { file, store } = s.open('/f')
  const data = pattern(4 * MiB)
  await writeIn(file, data)
  const change = pattern(100, 77)
  t.equal(await file.write(10, change), 100)
  t.ok(store.content?.equals(data))
  change.copy(data, 10)
  t.ok(file.isDirty)
  const before = s.bucket.bytesSent
  await file.flush()
  t.ok(store.content?.equals(data))
  t.equal(s.bucket.bytesSent - before, LIMITS.minPartSize, 'as little as a part may be')
  t.equal(s.bucket.count('copyPart'), 2)
})

scene('files are cut and extended', async (t, { bucket, open }) => {
  const base = pattern(3 * MiB + 17)
  for (const size of [0, 1, MiB, 2 * MiB + 5, 3 * MiB + 17, 4 * MiB]) {
    const { file, store } = open(`/to-${size}`, base)
    await file.truncate(size)
    t.equal(file.size, size)
    const expected = Buffer.alloc(size)
    base.copy(expected)
    t.ok((await contentOf(file)).equals(expected), `${size} before it is stored`)
    await file.flush()
    t.ok(store.content?.equals(expected), `${size} in the store`)
  }
  t.equal(bucket.open.size, 0)
})

scene('a cut goes through parts that were uploaded already', async (t, s) => {
  for (const size of [2 * MiB, 2 * MiB - 1, 100, 3 * MiB + 100]) {
    const { file, store } = s.open(`/to-${size}`)
    const data = pattern(3 * MiB + 1000)
    await writeIn(file, data)
    await file.truncate(size)
    await file.flush()
    t.ok(store.content?.equals(data.subarray(0, size)), `${size}`)
  }
})

scene('a cut to nothing calls off what is being uploaded', async (t, { bucket, open }) => {
  const { file, store } = open('/f')
  hold(bucket, 'uploadPart')
  await writeIn(file, pattern(3 * MiB))
  t.equal(file.uploadsUnderWay.length, 2)
  await file.truncate(0)
  t.equal(bucket.count('abort'), 1)
  t.equal(file.held, 0)
  await file.write(0, pattern(10))
  await file.flush()
  t.ok(store.content?.equals(pattern(10)))
  t.equal(bucket.count('complete'), 0)
})

scene('a cut to nothing succeeds although the upload cannot be aborted', async (t, s) => {
  const { file, store } = s.open('/f')
  await writeIn(file, pattern(3 * MiB))
  failing(s.bucket, 'abort')
  await file.truncate(0)
  t.equal(file.size, 0)
  await file.flush()
  t.equal(store.content?.length, 0)
  s.bucket.open.clear()
})

scene('a write during a flush waits for it, and is not in it', async (t, { bucket, open }) => {
  const { file, store } = open('/f')
  await writeIn(file, pattern(1000))
  const { release } = hold(bucket, 'put')
  const flush = file.flush()
  await until(() => bucket.count('put') === 1)
  const write = file.write(0, pattern(10, 2))
  t.ok(write instanceof Promise)
  release()
  await flush
  t.equal(await write, 10)
  t.ok(store.content?.equals(pattern(1000)))
  t.ok(file.isDirty)
  await file.flush()
  t.ok(store.content?.equals(Buffer.concat([pattern(10, 2), pattern(1000).subarray(10)])))
})

scene('a write that waits for a flush can be interrupted, and writes nothing', async (t, s) => {
  const { file, store } = s.open('/f')
  await writeIn(file, pattern(1000))
  const { release } = hold(s.bucket, 'put')
  const flush = file.flush()
  await until(() => s.bucket.count('put') === 1)
  const stop = new AbortController()
  const data = pattern(10, 2)
  const write = Promise.resolve(file.write(0, data, { signal: stop.signal }))
  const cut = file.truncate(5, stop.signal)
  await turns(3)
  stop.abort(new Error('interrupted'))
  await t.rejects(write, { message: 'interrupted' }, 'while the flush is still under way')
  await t.rejects(cut, { message: 'interrupted' })
  data.fill(0)
  release()
  await flush
  await turns(3)
  t.notOk(file.isDirty)
  t.ok(store.content?.equals(pattern(1000)))
  t.equal(file.size, 1000)
})

scene('a write that waits for memory can be interrupted', async (t, { bucket, back, open }) => {
  const { file } = open('/f')
  const { release } = hold(bucket, 'uploadPart')
  const stop = new AbortController()
  let written = 0
  const writing = (async () => {
    for (;;) {
      await file.write(written, pattern(MiB), { signal: stop.signal })
      written += MiB
    }
  })()
  await until(() => back.budget.wanted > 0)
  stop.abort(new Error('interrupted'))
  await t.rejects(writing, { message: 'interrupted' })
  t.equal(back.budget.wanted, 0)
  t.ok(back.budget.reserved <= back.budget.capacity)
  release()
})

scene(
  'a write fails when no memory comes free',
  async (t, { bucket, back, open }) => {
    const { file } = open('/f')
    const { release } = hold(bucket, 'uploadPart')
    // The patience of a write alone does not keep a process alive.
    const alive = setInterval(() => undefined, 1000)
    await t.rejects(writeIn(file, pattern(10 * MiB), 0, MiB), {
      code: 'EIO',
      message: /\/f: no memory came free within 30 ms/,
    })
    clearInterval(alive)
    t.equal(back.budget.wanted, 0)
    release()
  },
  { memory: 3 * MiB, patience: 30 },
)

scene('larger than all parts together is EFBIG', async (t, { open }) => {
  const { file } = open('/f')
  t.throws(() => file.write(64 * MiB, Buffer.alloc(1)), { code: 'EFBIG' })
  await t.rejects(file.truncate(64 * MiB + 1), { code: 'EFBIG' })
  t.equal(file.size, 0)
})
