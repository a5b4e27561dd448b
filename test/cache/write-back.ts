/** Write-back over a store that records every request, and delays or fails any of them on demand. */
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import type { Staging } from '../../src/cache/staging.js'
import { WriteBack } from '../../src/cache/write-back.js'
import { PreconditionError } from '../../src/driver/errors.js'
import { silentLogger } from '../../src/util/log.js'
import { KiB, MiB } from '../../src/util/units.js'
import { FakeBucket, FakeFile, LIMITS } from './fake-store.js'
import type { Method } from './fake-store.js'
import {
  contentOf,
  failing,
  hold,
  makeStaging,
  pattern,
  scene,
  turns,
  until,
  writeIn,
} from '../helpers/write-scene.js'
import type { Opened } from '../helpers/write-scene.js'
import { sequences } from '../helpers/sequences.js'

scene('a small file is one put', async (t, { bucket, open }) => {
  const { file, store } = open('/small')
  await writeIn(file, pattern(70 * KiB))
  t.equal(bucket.requests.length, 0, 'nothing leaves before the flush')
  t.ok(file.isUnsent)
  await file.flush()
  t.same(
    bucket.requests.map(({ method }) => method),
    ['put'],
  )
  t.ok(store.content?.equals(pattern(70 * KiB)))
  t.notOk(file.isDirty)
  t.equal(file.held, 0)
  t.match(store.versions, [{ path: '/small', size: 70 * KiB }])
})

scene('an empty new file is stored too, and nothing is stored twice', async (t, s) => {
  const { file, store } = s.open('/empty')
  t.ok(file.isDirty)
  await file.flush()
  await file.flush()
  t.equal(store.content?.length, 0)
  t.equal(s.bucket.requests.length, 1)
})

scene('parts of a large file leave while it is written', async (t, { bucket, open }) => {
  const { file, store } = open('/large')
  const data = pattern(5 * MiB + 300 * KiB)
  await writeIn(file, data)
  await until(() => bucket.count('uploadPart') === 5)
  await until(() => file.uploadsUnderWay.length === 0)
  t.equal(file.held, MiB, 'only the last part is held')
  t.notOk(file.isUnsent)
  t.equal(store.content, undefined, 'nothing shows before the flush')
  await file.flush()
  t.ok(store.content?.equals(data))
  t.equal(bucket.bytesSent, data.length, 'every byte was sent once')
  t.equal(bucket.count('compose'), 1)
  t.equal(bucket.count('complete'), 1)
})

scene('a file of exactly one part is one put', async (t, { bucket, open }) => {
  const { file, store } = open('/part')
  await writeIn(file, pattern(MiB))
  await file.flush()
  t.ok(store.content?.equals(pattern(MiB)))
  t.equal(bucket.count('put'), 1)
  t.equal(bucket.count('compose'), 0)
})

scene('what was written is read back, from memory and from the store', async (t, s) => {
  const base = pattern(3 * MiB, 9)
  const { file } = s.open('/f', base)
  t.ok((await contentOf(file)).equals(base))
  const expected = Buffer.from(base)
  await file.write(MiB - 10, pattern(50))
  pattern(50).copy(expected, MiB - 10)
  t.ok((await contentOf(file)).equals(expected))
  const inMemory = file.read(MiB - 10, 50)
  t.notOk(inMemory instanceof Promise, 'at once if it is in memory')
  await file.truncate(4 * MiB)
  t.ok((await contentOf(file)).equals(Buffer.concat([expected, Buffer.alloc(MiB)])))
  t.same(await file.read(4 * MiB, 10), [], 'nothing behind the end')
})

scene('a read of uploaded parts publishes the file first', async (t, { bucket, open }) => {
  const { file } = open('/f')
  const data = pattern(3 * MiB)
  await writeIn(file, data)
  t.ok((await contentOf(file, 0, 100)).equals(data.subarray(0, 100)))
  t.equal(bucket.count('complete'), 0, 'while they are being sent they are in memory still')
  await until(() => file.uploadsUnderWay.length === 0)
  t.ok((await contentOf(file, 0, 100)).equals(data.subarray(0, 100)))
  t.equal(bucket.count('complete'), 1)
  t.notOk(file.isDirty)
})

scene(
  'who waits for memory in the moment in which another has got some is relieved too',
  async (t, { back, open }) => {
    const files = [open('/one', pattern(2 * MiB)).file, open('/two').file] as const
    for (let i = 0; i < 60; i += 1) {
      const offset = 5 + (i % 7) * 1000 * KiB
      await files[i % 2 === 0 ? 0 : 1].write(offset, pattern(MiB + 20))
    }
    t.ok(back.budget.reserved <= back.budget.capacity)
    for (const file of files) await file.flush()
  },
  { memory: 4 * MiB, staged: 6 * MiB },
)

scene(
  'what is put together from local disk is sent from memory that is used again',
  async (t, { back, open }) => {
    const { file, store } = open('/f')
    const parts = 8
    const expected = Buffer.alloc(parts * MiB)
    for (let i = 0; i < parts; i += 1) {
      const data = pattern(MiB - 2, i)
      data.copy(expected, i * MiB + 1)
      await file.write(i * MiB + 1, data)
      await file.spill()
    }
    await file.truncate(expected.length)
    const pages: Buffer[] = []
    const take = back.pool.take.bind(back.pool)
    back.pool.take = size => {
      const page = take(size)
      pages.push(page)
      return page
    }
    await file.flush()
    t.ok(store.content?.equals(expected))
    t.equal(pages.length, parts)
    t.ok(new Set(pages).size < parts, `${new Set(pages).size} pages`)
  },
  { memory: 40 * MiB, staged: 20 * MiB },
)

scene(
  'a few bytes changed in a big file move the smallest part; the rest is copied',
  async (t, s) => {
    const base = pattern(20 * MiB)
    const { file, store } = s.open('/big', base)
    await file.write(7 * MiB + 5, pattern(4 * KiB, 3))
    await file.flush()
    pattern(4 * KiB, 3).copy(base, 7 * MiB + 5)
    t.ok(store.content?.equals(base))
    t.equal(s.bucket.bytesSent, LIMITS.minPartSize)
    const copied = s.bucket.requests.filter(({ method }) => method === 'copyPart')
    t.equal(
      copied.reduce((sum, { bytes }) => sum + bytes, 0),
      20 * MiB - LIMITS.minPartSize,
    )
    t.ok(copied.every(({ bytes }) => bytes <= LIMITS.maxPartSize))
    t.equal(copied.length, 3 + 5, 'in as few requests as the limits allow')
  },
)

scene('appending to a big file sends the end alone', async (t, { bucket, open }) => {
  const base = pattern(10 * MiB + 200 * KiB)
  const { file, store } = open('/log', base)
  const line = pattern(100 * KiB, 5)
  await writeIn(file, line, base.length)
  await file.flush()
  t.ok(store.content?.equals(Buffer.concat([base, line])))
  t.equal(bucket.bytesSent, 100 * KiB)
})

scene('a change of a version that was replaced meanwhile is refused', async (t, s) => {
  const { file, store } = s.open('/f', pattern(5 * MiB))
  await file.write(0, pattern(10, 4))
  const other = pattern(5 * MiB, 8)
  s.bucket.seed('/f', other)
  await t.rejects(file.flush(), PreconditionError)
  t.ok(store.content?.equals(other), 'the other version stays')
  t.ok(file.isDirty)
  const small = s.open('/small', pattern(100))
  await small.file.write(0, pattern(10, 4))
  s.bucket.seed('/small', pattern(50, 8))
  await t.rejects(small.file.flush(), PreconditionError)
  t.ok(small.store.content?.equals(pattern(50, 8)))
})

scene('discarding calls off uploads and forgets everything', async (t, { bucket, back, open }) => {
  const { file, store } = open('/f')
  hold(bucket, 'uploadPart')
  await writeIn(file, pattern(3 * MiB))
  await file.discard()
  t.equal(bucket.count('abort'), 1)
  t.equal(back.budget.reserved, 0)
  t.notOk(file.isDirty)
  t.equal(store.content, undefined)
})

scene('discarding succeeds although the upload cannot be aborted', async (t, s) => {
  const { file } = s.open('/f')
  await writeIn(file, pattern(3 * MiB))
  failing(s.bucket, 'abort')
  await file.discard()
  t.notOk(file.isDirty)
  t.equal(s.back.budget.reserved, 0)
  s.bucket.open.clear()
})

scene('a failed part is reported to each observer once, and sent again', async (t, s) => {
  const { file, store } = s.open('/f')
  failing(s.bucket, 'uploadPart')
  const data = pattern(3 * MiB)
  await writeIn(file, data.subarray(0, MiB + 32 * KiB))
  await until(() => s.bucket.count('uploadPart') === 1 && file.uploadsUnderWay.length === 0)
  const observer = { seen: 0 }
  const other = { seen: 0 }
  t.throws(() => file.report(observer), { message: 'uploadPart failed' })
  t.doesNotThrow(() => file.report(observer), 'once to each who asks')
  t.throws(() => file.report(other), { message: 'uploadPart failed' })
  await writeIn(file, data.subarray(MiB + 32 * KiB), MiB + 32 * KiB)
  await file.flush()
  t.ok(store.content?.equals(data))
  t.doesNotThrow(() => file.report({ seen: 0 }), 'a flush makes it good')
})

scene('nothing is completed while a part is missing', async (t, { bucket, open }) => {
  const { file, store } = open('/f')
  const data = pattern(3 * MiB)
  failing(bucket, 'uploadPart', 1000)
  await writeIn(file, data, 0, MiB).catch(() => undefined)
  await until(() => file.uploadsUnderWay.length === 0)
  await t.rejects(file.flush(), { message: 'uploadPart failed' })
  t.equal(bucket.count('complete'), 0)
  t.equal(store.content, undefined)
  t.ok(file.isDirty)
  bucket.before = () => turn()
  await file.truncate(0)
  await writeIn(file, data)
  await file.flush()
  t.ok(store.content?.equals(data))
})

for (const method of ['put', 'compose', 'uploadPart', 'complete'] as const) {
  scene(`a flush whose ${method} fails loses nothing, and can be tried again`, async (t, s) => {
    const { file, store } = s.open('/f')
    const data = pattern(method === 'put' ? 5000 : 2 * MiB + 5000)
    // Written from the end, so that no part leaves before the flush.
    await file.write(data.length - 1, data.subarray(-1))
    failing(s.bucket, method, 1)
    await writeIn(file, data.subarray(MiB), MiB).catch(() => undefined)
    await writeIn(file, data.subarray(0, MiB), 0).catch(() => undefined)
    await until(() => file.uploadsUnderWay.length === 0)
    failing(s.bucket, method, 1)
    const flushed = file.flush()
    await t.rejects(flushed, { message: `${method} failed` })
    t.ok(file.isDirty)
    t.equal(store.content, undefined)
    await file.flush()
    t.ok(store.content?.equals(data))
  })
}

for (const method of ['copyPart', 'readBase', 'complete'] as const) {
  scene(`a flush of a changed file whose ${method} fails can be tried again`, async (t, s) => {
    const base = pattern(4 * MiB)
    const { file, store } = s.open('/f', base)
    await file.write(2 * MiB + 10, pattern(10, 6))
    failing(s.bucket, method)
    await t.rejects(file.flush(), { message: `${method} failed` })
    t.ok(store.content?.equals(base), 'the old version is there')
    await file.write(5, pattern(10, 7))
    await file.flush()
    pattern(10, 6).copy(base, 2 * MiB + 10)
    pattern(10, 7).copy(base, 5)
    t.ok(store.content?.equals(base))
  })
}

scene('an upload that is not needed any more is aborted', async (t, { bucket, open }) => {
  const { file, store } = open('/f')
  failing(bucket, 'uploadPart')
  await writeIn(file, pattern(MiB + 100))
  await until(() => bucket.count('uploadPart') === 1 && file.uploadsUnderWay.length === 0)
  await file.truncate(500).catch(() => file.truncate(500))
  await file.flush()
  t.equal(bucket.count('put'), 1)
  t.ok(store.content?.equals(pattern(500)))
  t.equal(bucket.open.size, 0, 'no upload is left behind')
})

scene('two flushes at once publish once', async (t, { bucket, open }) => {
  const { file } = open('/f')
  await writeIn(file, pattern(1000))
  await Promise.all([file.flush(), file.flush(), file.flush()])
  t.equal(bucket.count('put'), 1)
  t.notOk(file.isDirty)
})

scene('a flush given up goes on, and the next one waits for it', async (t, { bucket, open }) => {
  const { file, store } = open('/f')
  await writeIn(file, pattern(1000))
  const { release } = hold(bucket, 'put')
  const stop = new AbortController()
  const flush = file.flush(stop.signal)
  await until(() => bucket.count('put') === 1)
  stop.abort(new Error('interrupted'))
  await t.rejects(flush, { message: 'interrupted' })
  const next = file.flush()
  release()
  await next
  t.equal(bucket.count('put'), 1)
  t.ok(store.content?.equals(pattern(1000)))
})

scene(
  'a file is read at every moment of its flush',
  async (t, { open }) => {
    const { file } = open('/f')
    const data = pattern(3 * MiB + 5)
    await writeIn(file, data)
    let isOver = false
    const flush = file.flush().finally(() => (isOver = true))
    let reads = 0
    for (; !isOver; reads += 1) {
      if (!(await contentOf(file, 0, 1000)).equals(data.subarray(0, 1000))) throw new Error('other')
      await turns(1)
    }
    await flush
    t.ok(reads > 3, `${reads} times`)
  },
  { staged: 20 * MiB },
)

scene(
  'twenty large files at once stay within the memory, and all get through',
  async (t, { bucket, back, open }) => {
    let peak = 0
    bucket.before = async () => {
      peak = Math.max(peak, back.budget.reserved)
      await turns(3)
    }
    const files = Array.from({ length: 20 }, (_, i) => ({
      ...open(`/f${i}`),
      data: pattern(2 * MiB + i * 1000, i),
    }))
    await Promise.all(
      files.map(async ({ file, data }) => {
        await writeIn(file, data, 0, 128 * KiB)
        peak = Math.max(peak, back.budget.reserved)
        await file.flush()
      }),
    )
    for (const { store, data } of files) t.ok(store.content?.equals(data), store.path())
    t.ok(peak <= back.budget.capacity + LIMITS.partSize, `at most ${peak} bytes`)
    t.ok(peak > 2 * MiB)
  },
  { memory: 4 * MiB },
)

scene(
  'what is put together to be sent stays within the memory too',
  async (t, { bucket, back, open }) => {
    const base = pattern(900 * KiB, 3)
    let peak = 0
    bucket.before = async () => {
      peak = Math.max(peak, back.budget.reserved + back.assembly.reserved)
      await turns(3)
    }
    const files = Array.from({ length: 20 }, (_, i) => open(`/f${i}`, base))
    await Promise.all(
      files.map(async ({ file }, i) => {
        await file.write(1000 + i, pattern(10, i))
        await file.flush()
      }),
    )
    for (const [i, { store }] of files.entries()) {
      const expected = Buffer.from(base)
      pattern(10, i).copy(expected, 1000 + i)
      t.ok(store.content?.equals(expected), store.path())
    }
    t.ok(peak <= 4 * MiB, `at most ${peak} bytes`)
    t.ok(peak > 900 * KiB)
    t.equal(back.budget.capacity + back.assembly.capacity, 4 * MiB)
    t.equal(back.assembly.reserved, 0)
  },
  { memory: 4 * MiB },
)

scene(
  'files that fill no part are published when memory is short',
  async (t, { bucket, back, open }) => {
    const files = Array.from({ length: 12 }, (_, i) => open(`/f${i}`))
    for (const { file } of files) await writeIn(file, pattern(700 * KiB), 0, 100 * KiB)
    t.ok(bucket.count('put') > 0)
    t.ok(back.budget.reserved <= back.budget.capacity)
    for (const { file, store } of files) {
      await file.flush()
      t.ok(store.content?.equals(pattern(700 * KiB)))
    }
  },
  { memory: 3 * MiB },
)

scene(
  'a file that cannot be published does not keep the others from it',
  async (t, { bucket, back, open }) => {
    const broken = open('/broken')
    await writeIn(broken.file, pattern(900 * KiB))
    broken.store.linked = false
    bucket.before = () => turn()
    const files = Array.from({ length: 6 }, (_, i) => open(`/f${i}`))
    for (const { file } of files) await writeIn(file, pattern(800 * KiB), 0, 100 * KiB)
    t.ok(back.budget.reserved <= back.budget.capacity)
    t.ok(broken.file.held > 0)
  },
  { memory: 3 * MiB },
)

scene(
  'a writer that waits for memory gets it once a failed flush succeeds',
  async (t, { bucket, back, open }) => {
    const full = open('/full')
    await writeIn(full.file, pattern(900 * KiB), 5 * MiB)
    await writeIn(full.file, pattern(900 * KiB), 3 * MiB)
    await writeIn(full.file, pattern(900 * KiB), 1 * MiB)
    failing(bucket, 'uploadPart', 2)
    const { file } = open('/f')
    t.equal(await file.write(0, pattern(10)), 10)
    t.ok(bucket.count('complete') === 1)
    t.ok(back.budget.reserved < MiB)
  },
  { memory: 3 * MiB, retryDelay: 1 },
)

scene('an unlinked file is written and read, and never sent', async (t, { bucket, open }) => {
  const { file, store } = open('/f')
  store.linked = false
  await writeIn(file, pattern(3 * MiB), 0, 100 * KiB)
  t.ok((await contentOf(file)).equals(pattern(3 * MiB)))
  await t.rejects(file.flush(), { code: 'ESTALE' })
  t.equal(bucket.requests.length, 0)
})

scene('a read that crosses a flush gets its bytes all the same', async (t, { bucket, open }) => {
  const base = pattern(2 * MiB)
  const { file } = open('/f', base)
  await file.write(0, pattern(10, 2))
  pattern(10, 2).copy(base)
  const { release } = hold(bucket, 'readBase')
  const read = Promise.resolve(file.read(0, 2 * MiB))
  await until(() => bucket.count('readBase') === 1)
  let first = true
  bucket.before = async ({ method }) => {
    if (method === 'readBase' && first) first = false
    await turn()
  }
  await file.flush()
  release()
  t.ok(Buffer.concat(await read).equals(base))
})

scene('moved while it is dirty, a file goes on from where its old bytes are now', async (t, s) => {
  const base = pattern(4 * MiB)
  const { file, store } = s.open('/old', base)
  await file.write(10, pattern(10, 2))
  s.bucket.objects.delete('/old')
  store.renameTo('/new')
  // A copy has another etag.
  file.moved(s.bucket.seed('/new', base))
  pattern(10, 2).copy(base, 10)
  t.ok((await contentOf(file)).equals(base))
  await file.flush()
  t.ok(store.content?.equals(base))
  t.equal(s.bucket.bytesSent, LIMITS.minPartSize)
})

scene('a rename of a directory and a flush take turns', async (t, { bucket, tree, open }) => {
  const { file, store } = open('/d/f')
  await writeIn(file, pattern(3 * MiB))
  const { release } = hold(bucket, 'complete')
  const flush = file.flush()
  await until(() => bucket.count('complete') === 1)
  let renamed = false
  const rename = tree.exclusive(async () => {
    renamed = true
    await file.flushGuarded()
    store.renameTo('/e/f')
  })
  await turns(5)
  t.notOk(renamed)
  release()
  await Promise.all([flush, rename])
  t.equal(bucket.count('complete'), 1)
  t.notOk(file.isDirty)
})

type Step =
  | { op: 'write'; file: number; offset: number; length: number; seed: number }
  | { op: 'append'; file: number; length: number; seed: number }
  | { op: 'truncate'; file: number; size: number }
  | { op: 'zero'; file: number; offset: number; length: number; grow: boolean }
  | { op: 'copy'; file: number; source: number; offset: number; from: number; length: number }
  | { op: 'read'; file: number; offset: number; length: number }
  | { op: 'flush'; file: number; wait: boolean }
  | { op: 'fail'; method: Method; times: number }
  | { op: 'rename'; file: number }
  | { op: 'pause' }

const FILES = 3
const MAX_SIZE = 5 * MiB
const file = fc.nat(FILES - 1)
const position = fc.oneof(
  fc.nat(MAX_SIZE),
  fc.constantFrom(0, 1, MiB - 1, MiB, MiB + 1, 2 * MiB, 3 * MiB - 5),
)
const length = fc.oneof(fc.nat(3000), fc.nat(1.5 * MiB), fc.constantFrom(0, 1, MiB))
const seed = fc.nat(255)
const METHODS: readonly Method[] = [
  'put',
  'copy',
  'compose',
  'uploadPart',
  'copyPart',
  'complete',
  'moveHere',
  'readBase',
  'abort',
]

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant('append' as const), file, length, seed }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('write' as const),
      file,
      offset: position,
      length,
      seed,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('truncate' as const), file, size: position }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('zero' as const),
      file,
      offset: position,
      length,
      grow: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('copy' as const),
      file,
      source: file,
      offset: position,
      from: position,
      length,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('read' as const), file, offset: position, length }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('flush' as const), file, wait: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('fail' as const),
      method: fc.constantFrom(...METHODS),
      times: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('rename' as const), file }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('pause' as const) }) },
)

class Injected extends Error {}

interface Played extends Opened {
  bytes: Buffer
  renames: number
}

async function tolerating(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (error instanceof Injected) return false
    throw error
  }
}

function resized(bytes: Buffer, size: number): Buffer {
  const next = Buffer.alloc(size)
  bytes.copy(next)
  return next
}

interface Stage {
  readonly back: WriteBack
  readonly files: readonly Played[]
  readonly fail: Map<Method, number>
}

async function play(each: Step, { back, files, fail }: Stage) {
  if (each.op === 'fail') return void fail.set(each.method, each.times)
  if (each.op === 'pause') return turns(5)
  const played = files[each.file]
  if (played === undefined) return
  const { file, store } = played
  switch (each.op) {
    case 'write':
    case 'append': {
      const offset = each.op === 'append' ? played.bytes.length : each.offset
      if (offset + each.length > 2 * MAX_SIZE) return
      const data = pattern(each.length, each.seed)
      // The error of a part that failed is reported instead of writing, so it is written again.
      for (let i = 0; !(await tolerating(async () => file.write(offset, data))); i += 1) {
        if (i > 20) throw new Error('a write fails again and again')
      }
      if (data.length > 0) {
        played.bytes = resized(played.bytes, Math.max(played.bytes.length, offset + data.length))
      }
      data.copy(played.bytes, offset)
      return
    }
    case 'truncate':
      if (await tolerating(() => file.truncate(each.size))) {
        played.bytes = resized(played.bytes, each.size)
      }
      return
    case 'zero': {
      const { offset, length, grow } = each
      const end = offset + length
      if (!(await tolerating(() => file.zero({ start: offset, end, grow })))) return
      if (grow) played.bytes = resized(played.bytes, Math.max(played.bytes.length, end))
      played.bytes.subarray(offset, end).fill(0)
      return
    }
    case 'copy':
      return copy(each, files)
    case 'read': {
      const expected = played.bytes.subarray(each.offset, each.offset + each.length)
      await tolerating(async () => {
        const got = Buffer.concat(await file.read(each.offset, each.length))
        if (!got.equals(expected)) throw new Error('other bytes')
      })
      return
    }
    case 'flush': {
      const flushed = tolerating(() => file.flush())
      if (!each.wait) return
      if ((await flushed) && !store.content?.equals(played.bytes)) {
        throw new Error('a flush succeeded, and the store has other bytes')
      }
      return
    }
    case 'rename': {
      // As the file system does: what was sent is published first.
      // Whoever copied from it is stored before.
      if (!(await tolerating(() => back.settle(store.path())))) return
      played.renames += 1
      const to = `/f${each.file}-${played.renames}`
      const move = async (): Promise<void> => {
        const from = store.path()
        const stored = store.bucket.objects.get(from)
        store.renameTo(to)
        if (stored === undefined) return
        store.bucket.objects.delete(from)
        const version = store.bucket.seed(to, stored.content)
        if (file.base === undefined) return
        file.moved(version)
      }
      await tolerating(() => (file.isUnsent ? file.alone(move) : file.flushAnd(move)))
    }
  }
}

/** As the file system does: the source is stored, then its bytes are copied by name. */
async function copy(each: Step & { op: 'copy' }, files: readonly Played[]): Promise<void> {
  const [source, target] = [files[each.source], files[each.file]]
  if (source === undefined || target === undefined) return
  const { offset, from } = each
  const length = Math.min(each.length, source.bytes.length - from)
  const overlaps = source === target && from < offset + length && offset < from + length
  if (length <= 0 || overlaps || offset + length > 2 * MAX_SIZE) return
  const bytes = Buffer.from(source.bytes.subarray(from, from + length))
  let done = false
  await tolerating(async () => {
    await source.file.flush()
    const { base } = source.file
    if (base === undefined) throw new Error('stored, and not in the store')
    const object = { ...base, path: source.store.path() }
    const isCurrent = (): boolean => !source.file.isDirty && source.file.base === base
    done = await target.file.copyFrom({ object, from, length }, offset, { isCurrent })
  })
  if (!done) return
  target.bytes = resized(target.bytes, Math.max(target.bytes.length, offset + length))
  bytes.copy(target.bytes, offset)
}

async function playAll(steps: readonly Step[], staging?: Staging): Promise<void> {
  const bucket = new FakeBucket()
  const back = new WriteBack({
    limits: LIMITS,
    memory: 4 * MiB,
    patience: 20_000,
    retryDelay: 1,
    guard: work => work(),
    log: silentLogger,
    staging,
  })
  const fail = new Map<Method, number>()
  bucket.before = async ({ method }) => {
    await turns(method === 'uploadPart' ? 3 : 1)
    const left = fail.get(method) ?? 0
    if (left <= 0) return
    fail.set(method, left - 1)
    throw new Injected(`${method} failed`)
  }
  const files = Array.from({ length: FILES }, (_, i): Played => {
    const store = new FakeFile(bucket, `/f${i}`)
    const bytes = i === 0 ? pattern(2 * MiB + 100) : Buffer.alloc(0)
    const base = i === 0 ? bucket.seed('/f0', Buffer.from(bytes)) : undefined
    return { store, file: back.open(store, base), bytes, renames: 0 }
  })
  for (const [i, each] of steps.entries()) {
    try {
      await play(each, { back, files, fail })
    } catch (error) {
      throw new Error(`step ${i}: ${JSON.stringify(each)}`, { cause: error })
    }
    if (back.budget.reserved > back.budget.capacity + LIMITS.partSize) {
      throw new Error(`${back.budget.reserved} bytes reserved`)
    }
  }
  fail.clear()
  const aborts = bucket.count('abort')
  for (const { file, store, bytes } of files) {
    await file.flush()
    if (!store.content?.equals(bytes)) throw new Error(`${store.path()} differs in the store`)
    await file.discard()
  }
  if (back.budget.reserved !== 0) throw new Error(`${back.budget.reserved} bytes left reserved`)
  if (aborts === bucket.count('abort') && bucket.open.size > 0 && !failedAborts(steps)) {
    throw new Error('an upload is left')
  }
  const names = [...bucket.objects.keys()].toSorted().join()
  const expected = files
    .map(({ store }) => store.path())
    .toSorted()
    .join()
  if (names !== expected) throw new Error(`${names} instead of ${expected}`)
}

function failedAborts(steps: readonly Step[]): boolean {
  return steps.some(each => each.op === 'fail' && each.method === 'abort')
}

t.setTimeout(600_000)

for (const isStaged of [false, true]) {
  const title = `any writes, cuts, copies, flushes, renames and failures end with the right bytes`
  void t.test(`${title}, ${isStaged ? 'with' : 'without'} local disk`, async t => {
    const options = sequences(20)
    const staging = isStaged ? await makeStaging(t, 6 * MiB) : undefined
    // So that who waits in vain for memory is told so, and not taken for the end of the process.
    const alive = setInterval(() => undefined, 1000)
    t.teardown(() => clearInterval(alive))
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), steps =>
        playAll(steps, staging),
      ),
      options,
    )
    t.equal(staging?.used ?? 0, 0, `${options.numRuns} sequences`)
  })
}
