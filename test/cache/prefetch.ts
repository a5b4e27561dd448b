import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { BlockCache } from '../../src/cache/block-cache.js'
import { Prefetcher, type FileReader } from '../../src/cache/prefetch.js'
import { KiB, MiB } from '../../src/util/units.js'

const waiter = { signal: new AbortController().signal }

interface Fetched {
  readonly path: string
  readonly offset: number
  readonly length: number
}

function scene({ capacity = 256 * MiB, window = 64 * MiB } = {}) {
  const fetched: Fetched[] = []
  const aborted: Fetched[] = []
  let now = 0
  let hang = false
  const blocks = new BlockCache({
    capacity,
    fetch: ({ path }, offset, targets, { signal }) => {
      const length = targets.reduce((sum, target) => sum + target.length, 0)
      const fetch = { path, offset, length }
      fetched.push(fetch)
      if (!hang) return Promise.resolve()
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted.push(fetch)
          reject(new Error('called off'))
        })
      })
    },
  })
  const prefetcher = new Prefetcher({ blocks, window, now: () => now })
  return {
    prefetcher,
    blocks,
    fetched,
    aborted,
    pass: (time: number) => void (now += time),
    hang: () => void (hang = true),
  }
}

async function readOn(reader: FileReader, path: string, from: number, to: number): Promise<void> {
  const object = { path, etag: '1', size: 1024 * MiB }
  for (let at = from; at < to; at += 128 * KiB) {
    await reader.read(object, at, 128 * KiB, waiter)
    await turn()
  }
}

void t.test('a file that is read to its end is fetched once, by few requests', async t => {
  const { prefetcher, fetched } = scene()
  const reader = prefetcher.open()
  const object = { path: '/f', etag: '1', size: 64 * MiB }
  for (let at = 0; at < object.size; at += 128 * KiB) {
    await reader.read(object, at, 128 * KiB, waiter)
  }
  t.equal(
    fetched.reduce((sum, { length }) => sum + length, 0),
    object.size,
  )
  t.ok(fetched.length <= 32, `${fetched.length} requests`)
  reader.close()
})

void t.test('a small file is one request', async t => {
  const { prefetcher, fetched } = scene()
  const reader = prefetcher.open()
  const object = { path: '/f', etag: '1', size: 900 * KiB }
  for (let at = 0; at < object.size; at += 128 * KiB) {
    await reader.read(object, at, 128 * KiB, waiter)
  }
  t.same(fetched, [{ path: '/f', offset: 0, length: object.size }])
  reader.close()
})

void t.test(
  'what a first read would have brought is fetched though its own block is there',
  async t => {
    const { blocks, prefetcher, fetched } = scene()
    const object = { path: '/f', etag: '1', size: 64 * MiB }
    await blocks.load(object, 0, 128 * KiB)
    const reader = prefetcher.open()
    t.notOk(reader.read(object, 0, 128 * KiB, waiter) instanceof Promise)
    t.equal(fetched.length, 1, 'but not before the read is answered')
    await turn()
    t.same(fetched, [
      { path: '/f', offset: 0, length: 128 * KiB },
      { path: '/f', offset: 128 * KiB, length: 896 * KiB },
    ])
    reader.close()
  },
)

void t.test('a random read fetches no more than its blocks', async t => {
  const { prefetcher, fetched } = scene()
  const reader = prefetcher.open()
  const object = { path: '/f', etag: '1', size: 1024 * MiB }
  for (const at of [700, 3, 500]) await reader.read(object, at * MiB + 5, 4 * KiB, waiter)
  t.ok(fetched.every(({ length }) => length === 128 * KiB))
  await reader.read(object, 10 * MiB, MiB, waiter)
  t.match(fetched.at(-1), { offset: 10 * MiB, length: MiB })
  t.equal(prefetcher.activeReaders, 0)
  reader.close()
})

void t.test('readers share the budget, and get the share of those who have gone', async t => {
  const { prefetcher, pass } = scene({ capacity: 64 * MiB, window: 32 * MiB })
  const readers = Array.from({ length: 4 }, () => prefetcher.open())
  for (const [i, reader] of readers.entries()) await readOn(reader, `/f${i}`, 0, 8 * MiB)
  t.equal(prefetcher.activeReaders, 4)
  const [first, second, third] = readers
  if (first === undefined || second === undefined || third === undefined) return
  t.equal(prefetcher.share(first), 8 * MiB)
  second.close()
  t.equal(prefetcher.share(first), (32 * MiB) / 3)
  pass(10_000)
  await readOn(first, '/f0', 8 * MiB, 9 * MiB)
  pass(10_000)
  await readOn(first, '/f0', 9 * MiB, 10 * MiB)
  t.equal(prefetcher.activeReaders, 1, 'who is quiet counts no more')
  t.equal(prefetcher.share(first), 32 * MiB)
  await readOn(third, '/f2', 8 * MiB, 9 * MiB)
  t.equal(prefetcher.activeReaders, 2, 'until he reads again')
})

void t.test('what was on its way is called off by a jump and by closing', async t => {
  for (const end of [
    (reader: FileReader) => {
      const object = { path: '/f', etag: '1', size: 1024 * MiB }
      Promise.resolve(reader.read(object, 900 * MiB, 10, waiter)).catch(() => undefined)
    },
    (reader: FileReader) => reader.close(),
  ]) {
    const { prefetcher, aborted, fetched, hang, blocks } = scene()
    const reader = prefetcher.open()
    await readOn(reader, '/f', 0, 2 * MiB)
    hang()
    const before = fetched.length
    await readOn(reader, '/f', 2 * MiB, 4 * MiB)
    const ahead = fetched.length - before
    t.ok(ahead > 0)
    end(reader)
    t.equal(aborted.length, ahead)
    blocks.close()
    await turn()
  }
})

void t.test('who reads a file that the cache cannot hold leaves little of it behind', async t => {
  const { prefetcher, blocks } = scene({ capacity: 256 * MiB, window: 16 * MiB })
  const hot = { path: '/hot', etag: '1', size: 100 * MiB }
  await blocks.load(hot, 0, hot.size)
  const reader = prefetcher.open()
  await readOn(reader, '/f', 0, 300 * MiB)
  t.notOk(blocks.isCold(hot), 'what was there before stays')
  t.ok(blocks.size <= (100 + 16 + 32 + 8) * MiB, `${blocks.size / MiB} MiB`)
  const size = blocks.size
  await readOn(reader, '/f', 600 * MiB, 700 * MiB)
  await readOn(reader, '/f', 0, 100 * MiB)
  t.ok(blocks.size <= size + 2 * 48 * MiB, 'wherever it goes on')
  reader.close()
})

void t.test('what lies behind one reader stays for another who reads the same file', async t => {
  const { prefetcher, fetched } = scene({ capacity: 256 * MiB, window: 16 * MiB })
  const [first, second] = [prefetcher.open(), prefetcher.open()]
  const bytes = (): number => fetched.reduce((sum, { length }) => sum + length, 0)
  await readOn(first, '/f', 0, MiB)
  await readOn(second, '/f', 0, MiB)
  for (let at = MiB; at < 200 * MiB; at += MiB) await readOn(first, '/f', at, at + MiB)
  const before = bytes()
  await readOn(second, '/f', MiB, 150 * MiB)
  t.equal(bytes(), before, 'nothing is fetched again')
  for (const reader of [first, second]) reader.close()
})

void t.test('a file that the cache can hold stays', async t => {
  const { prefetcher, fetched } = scene({ capacity: 1024 * MiB })
  const reader = prefetcher.open()
  await readOn(reader, '/f', 0, 400 * MiB)
  const before = fetched.length
  await readOn(prefetcher.open(), '/f', 0, 300 * MiB)
  t.equal(fetched.length, before)
  reader.close()
})

void t.test('what a reader has turned away from, or has closed, is not fetched', async t => {
  const { prefetcher, blocks, fetched } = scene()
  const object = { path: '/f', etag: '1', size: 64 * MiB }
  await blocks.load(object, 0, 2 * MiB)
  await blocks.load(object, 32 * MiB, 128 * KiB)
  const before = fetched.length
  const [turning, closing] = [prefetcher.open(), prefetcher.open()]
  for (const reader of [turning, closing]) {
    for (let at = 0; at < MiB; at += 128 * KiB) await reader.read(object, at, 128 * KiB, waiter)
    await turn()
  }
  const after = fetched.length
  t.ok(after > before)
  void turning.read(object, MiB, MiB, waiter)
  void turning.read(object, 32 * MiB, 128 * KiB, waiter)
  void closing.read(object, MiB, MiB, waiter)
  closing.close()
  await turn()
  t.equal(fetched.length, after)
  turning.close()
})
