/**
 * The block cache over a fetch function that knows what every byte of every version is, so that a
 * byte from another block, another file or another version is found wherever it turns up.
 */
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { BlockCache } from '../../src/cache/block-cache.js'
import type { FetchBlock } from '../../src/cache/block-cache.js'
import type { ObjectId } from '../../src/cache/object-id.js'

const BLOCK = 64

function byteOf({ path, etag }: ObjectId, offset: number): number {
  const name = `${path}${etag}`
  let hash = 7
  for (let i = 0; i < name.length; i += 1) hash = (hash * 31 + name.charCodeAt(i)) & 0xff
  return (hash + offset * 3 + (offset >> 6) * 41) & 0xff
}

function fill(object: ObjectId, offset: number, target: Uint8Array): void {
  for (let i = 0; i < target.length; i += 1) target[i] = byteOf(object, offset + i)
}

function check(object: ObjectId, offset: number, slices: readonly Uint8Array[]): number {
  let position = offset
  for (const slice of slices) {
    for (const byte of slice) {
      if (byte !== byteOf(object, position)) {
        throw new Error(`byte ${position} of ${object.path} ${object.etag} is wrong`)
      }
      position += 1
    }
  }
  return position - offset
}

function objectId(size: number, path = '/f', etag = '1'): ObjectId {
  return { path, etag, size }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await turn()
}

interface Fetch {
  readonly offset: number
  readonly signal: AbortSignal
  readonly target: Uint8Array
  succeed(): void
  fail(error: Error): void
}

/** A cache whose fetches wait for the test to settle them; an abort settles them too. */
function manual(capacity = 8 * BLOCK): { cache: BlockCache; fetches: Fetch[] } {
  const fetches: Fetch[] = []
  const fetch: FetchBlock = (object, offset, target, signal) =>
    new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('called off')))
      fetches.push({
        offset,
        signal,
        target,
        succeed: () => {
          fill(object, offset, target)
          resolve()
        },
        fail: reject,
      })
    })
  return { cache: new BlockCache({ capacity, blockSize: BLOCK, fetch }), fetches }
}

function waiter(): { controller: AbortController; waiter: { signal: AbortSignal } } {
  const controller = new AbortController()
  return { controller, waiter: { signal: controller.signal } }
}

void t.test(
  'a block is fetched once for all who wait, and is there at once afterwards',
  async t => {
    const { cache, fetches } = manual()
    const object = objectId(1000)
    const reads = [cache.read(object, 0, 10), cache.read(object, 30, 34), cache.read(object, 5, 1)]
    t.equal(fetches.length, 1)
    t.equal(cache.inFlight, 1)
    fetches[0]?.succeed()
    const [first = [], second = [], third = []] = await Promise.all(reads.map(async read => read))
    t.equal(check(object, 0, first), 10)
    t.equal(check(object, 30, second), 34)
    t.equal(check(object, 5, third), 1)
    const again = cache.read(object, 20, 20)
    t.notOk(again instanceof Promise)
    t.equal(check(object, 20, await again), 20)
    t.equal(fetches.length, 1)
    t.equal(cache.inFlight, 0)
  },
)

void t.test('a signal is not asked for when everything is there', async t => {
  const { cache, fetches } = manual()
  const object = objectId(BLOCK)
  const read = cache.read(object, 0, 1)
  fetches[0]?.succeed()
  await read
  const silent = {
    get signal(): AbortSignal {
      throw new Error('it was asked for')
    },
  }
  t.equal(check(object, 0, await cache.read(object, 0, BLOCK, silent)), BLOCK)
})

void t.test('a read over several blocks comes in order, whichever is fetched first', async t => {
  const { cache, fetches } = manual()
  const object = objectId(1000)
  const read = cache.read(object, BLOCK - 5, 2 * BLOCK)
  t.same(
    fetches.map(fetch => fetch.offset),
    [0, BLOCK, 2 * BLOCK],
  )
  for (const fetch of fetches.toReversed()) {
    fetch.succeed()
    await turn()
  }
  t.equal(check(object, BLOCK - 5, await read), 2 * BLOCK)
})

void t.test('a read ends where the file ends', async t => {
  const { cache, fetches } = manual()
  const object = objectId(BLOCK + 10)
  const read = cache.read(object, BLOCK + 3, 500)
  t.equal(fetches[0]?.target.length, 10, 'no more is fetched than there is')
  fetches[0]?.succeed()
  t.equal(check(object, BLOCK + 3, await read), 7)
  t.same(cache.read(object, BLOCK + 10, 5), [])
  t.same(cache.read(object, 5000, 5), [])
  t.same(cache.read(object, 0, 0), [])
  t.same(cache.read(objectId(0), 0, 5), [])
})

void t.test('versions and files do not mix', async t => {
  const { cache, fetches } = manual()
  const objects = [objectId(10), objectId(10, '/f', '2'), objectId(10, '/g')]
  const reads = objects.map(object => cache.read(object, 0, 10))
  t.equal(fetches.length, 3)
  for (const fetch of fetches) fetch.succeed()
  for (const [i, object] of objects.entries()) t.equal(check(object, 0, (await reads[i]) ?? []), 10)
})

void t.test('no more bytes are kept than the capacity', async t => {
  const { cache, fetches } = manual(3 * BLOCK)
  const object = objectId(10 * BLOCK)
  for (let block = 0; block < 10; block += 1) {
    const read = cache.read(object, block * BLOCK, 1)
    fetches.at(-1)?.succeed()
    await read
    t.ok(cache.size <= cache.capacity)
  }
  t.equal(cache.size, 3 * BLOCK)
  t.notOk(cache.read(object, 9 * BLOCK, 1) instanceof Promise, 'the latest are there')
  const gone = cache.read(object, 0, 1)
  t.ok(gone instanceof Promise, 'the oldest is not')
  fetches.at(-1)?.succeed()
  await gone
})

void t.test('what was read of late stays', async t => {
  const { cache, fetches } = manual(3 * BLOCK)
  const object = objectId(10 * BLOCK)
  const load = async (block: number): Promise<void> => {
    const read = cache.read(object, block * BLOCK, 1)
    if (read instanceof Promise) fetches.at(-1)?.succeed()
    await read
  }
  for (const block of [0, 1, 2, 0, 3]) await load(block)
  t.notOk(cache.read(object, 0, 1) instanceof Promise)
  const read = cache.read(object, BLOCK, 1)
  t.ok(read instanceof Promise)
  fetches.at(-1)?.succeed()
  await read
})

void t.test('memory of dropped blocks is used again', async t => {
  const memory = new Set<ArrayBufferLike>()
  const cache = new BlockCache({
    capacity: 16 * BLOCK,
    blockSize: BLOCK,
    fetch: async (object, offset, target) => {
      memory.add(target.buffer)
      fill(object, offset, target)
    },
  })
  const object = objectId(200 * BLOCK)
  for (let block = 0; block < 200; block += 1) {
    check(object, block * BLOCK, await cache.read(object, block * BLOCK, BLOCK))
    await turn()
  }
  t.ok(memory.size <= 20, `${memory.size} buffers for 200 blocks`)
})

void t.test('slices stay right until the next turn, although their block was dropped', async t => {
  const { cache, fetches } = manual(2 * BLOCK)
  const object = objectId(20 * BLOCK)
  const read = cache.read(object, 0, BLOCK)
  fetches.at(-1)?.succeed()
  const slices = await read
  const others = Array.from({ length: 8 }, (_, i) => cache.read(object, (i + 1) * BLOCK, BLOCK))
  for (const fetch of fetches.slice(1)) fetch.succeed()
  await Promise.all(others.map(async read => read))
  t.equal(check(object, 0, slices), BLOCK)
  await turn()
})

void t.test('one of two who wait may give up', async t => {
  const { cache, fetches } = manual()
  const object = objectId(BLOCK)
  const impatient = waiter()
  const patient = waiter()
  const first = cache.read(object, 0, BLOCK, impatient.waiter)
  const second = cache.read(object, 0, BLOCK, patient.waiter)
  impatient.controller.abort(new Error('gave up'))
  await t.rejects(Promise.resolve(first), { message: 'gave up' })
  t.notOk(fetches[0]?.signal.aborted)
  fetches[0]?.succeed()
  t.equal(check(object, 0, await second), BLOCK)
  t.equal(fetches.length, 1)
})

void t.test(
  'when all give up the fetch is called off, and the next reader starts afresh',
  async t => {
    const signals: AbortSignal[] = []
    const ends: (() => void)[] = []
    const object = objectId(BLOCK)
    const cache = new BlockCache({
      capacity: 8 * BLOCK,
      blockSize: BLOCK,
      // Deaf to the signal: what was called off is still under way when the next reader comes.
      fetch: (_, offset, target, signal) =>
        new Promise(resolve => {
          signals.push(signal)
          ends.push(() => {
            fill(object, offset, target)
            resolve()
          })
        }),
    })
    const waiters = [waiter(), waiter()]
    const reads = waiters.map(({ waiter }) => Promise.resolve(cache.read(object, 0, BLOCK, waiter)))
    for (const { controller } of waiters) controller.abort(new Error('gave up'))
    for (const read of reads) await t.rejects(read, { message: 'gave up' })
    t.ok(signals[0]?.aborted)
    const next = cache.read(object, 0, BLOCK)
    t.equal(signals.length, 2, 'it does not join what is being called off')
    ends[0]?.()
    await turn()
    ends[1]?.()
    t.equal(check(object, 0, await next), BLOCK)
    await turn()
    t.equal(check(object, 0, await cache.read(object, 0, BLOCK)), BLOCK)
    t.equal(cache.inFlight, 0)
  },
)

void t.test('a reader who comes as the last one gives up is served', async t => {
  const { cache, fetches } = manual()
  const object = objectId(BLOCK)
  const impatient = waiter()
  const first = cache.read(object, 0, BLOCK, impatient.waiter)
  impatient.controller.abort(new Error('gave up'))
  const second = cache.read(object, 0, BLOCK)
  await t.rejects(Promise.resolve(first), { message: 'gave up' })
  fetches[0]?.succeed()
  t.equal(check(object, 0, await second), BLOCK)
})

void t.test('a reader whose signal is aborted already leaves nothing behind', async t => {
  const { cache, fetches } = manual()
  const stopped = { signal: AbortSignal.abort(new Error('gave up')) }
  await t.rejects(Promise.resolve(cache.read(objectId(BLOCK), 0, 1, stopped)), {
    message: 'gave up',
  })
  await turn()
  t.equal(cache.inFlight, 0)
  t.ok(fetches.every(fetch => fetch.signal.aborted))
})

void t.test('a failed fetch fails those who wait, and is tried again by the next', async t => {
  const { cache, fetches } = manual()
  const object = objectId(3 * BLOCK)
  const read = Promise.resolve(cache.read(object, 0, 3 * BLOCK))
  fetches[0]?.succeed()
  fetches[1]?.fail(new Error('broken off'))
  fetches[2]?.succeed()
  await t.rejects(read, { message: 'broken off' })
  const again = cache.read(object, 0, 3 * BLOCK)
  t.equal(fetches.length, 4, 'only the block that failed')
  fetches[3]?.succeed()
  t.equal(check(object, 0, await again), 3 * BLOCK)
})

void t.test('a block fetched ahead is there when it is wanted', async t => {
  const { cache, fetches } = manual()
  const object = objectId(2 * BLOCK)
  cache.prefetch(object, 0)
  cache.prefetch(object, 0)
  cache.prefetch(object, 2)
  cache.prefetch(object, 7)
  t.equal(fetches.length, 1, 'once, and none behind the end')
  const read = cache.read(object, 0, 1)
  fetches[0]?.succeed()
  await read
  cache.prefetch(object, 0)
  t.equal(fetches.length, 1)
})

void t.test('what fails ahead of need is silent, and the reader tries again', async t => {
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  const { cache, fetches } = manual()
  const object = objectId(BLOCK)
  cache.prefetch(object, 0)
  fetches[0]?.fail(new Error('broken off'))
  await turns(3)
  process.off('unhandledRejection', note)
  t.same(unhandled, [])
  const read = cache.read(object, 0, BLOCK)
  fetches[1]?.succeed()
  t.equal(check(object, 0, await read), BLOCK)
})

void t.test('a fetch ahead of need goes on although its only reader gives up', async t => {
  const { cache, fetches } = manual()
  const object = objectId(BLOCK)
  cache.prefetch(object, 0)
  const stopped = { signal: AbortSignal.abort(new Error('gave up')) }
  await t.rejects(Promise.resolve(cache.read(object, 0, 1, stopped)))
  await turn()
  t.notOk(fetches[0]?.signal.aborted)
  fetches[0]?.succeed()
  await turn()
  t.notOk(cache.read(object, 0, 1) instanceof Promise)
})

void t.test('fetches ahead of need never take more than half of the memory', async t => {
  const { cache, fetches } = manual(8 * BLOCK)
  for (let file = 0; file < 20; file += 1) cache.prefetch(objectId(BLOCK, `/f${file}`), 0)
  t.equal(fetches.length, 4)
  const needed = cache.read(objectId(BLOCK, '/needed'), 0, 1)
  t.equal(fetches.length, 5, 'what is needed now is fetched all the same')
  for (const fetch of fetches) fetch.succeed()
  await needed
  cache.prefetch(objectId(BLOCK, '/later'), 0)
  t.equal(fetches.length, 6)
  fetches[5]?.succeed()
  await turn()
})

void t.test('closing calls off all fetches and drops all blocks', async t => {
  const { cache, fetches } = manual()
  const object = objectId(4 * BLOCK)
  const there = cache.read(object, 0, 1)
  fetches[0]?.succeed()
  await there
  const pending = Promise.resolve(cache.read(object, BLOCK, 1))
  cache.prefetch(object, 2)
  cache.close()
  await t.rejects(pending, { message: 'called off' })
  await turn()
  t.equal(cache.size, 0)
  t.equal(cache.inFlight, 0)
  cache.prefetch(object, 3)
  t.equal(cache.inFlight, 0, 'nothing is fetched ahead any more')
})

interface Reading {
  readonly file: number
  readonly offset: number
  readonly length: number
  readonly start: number
  /** Turns after which the reader gives up. */
  readonly patience: number | undefined
  readonly prefetch: boolean
}

const FILES: readonly ObjectId[] = [
  objectId(10 * BLOCK + 17, '/a'),
  objectId(10 * BLOCK + 17, '/a', '2'),
  objectId(3 * BLOCK, '/b'),
  objectId(20, '/c'),
]

const reading: fc.Arbitrary<Reading> = fc.record({
  file: fc.nat(FILES.length - 1),
  offset: fc.nat(11 * BLOCK),
  length: fc.nat(4 * BLOCK),
  start: fc.nat(12),
  patience: fc.option(fc.nat(6), { nil: undefined, freq: 3 }),
  prefetch: fc.boolean(),
})

/** Fetches that take some turns, now and then fail, and heed an abort or do not. */
function unreliable(behaviour: readonly number[]): FetchBlock {
  let calls = 0
  return async (object, offset, target, signal) => {
    const kind = behaviour[calls % behaviour.length] ?? 0
    calls += 1
    const half = target.length >> 1
    for (let i = 0; i < kind % 4; i += 1) {
      await turn()
      if (kind < 50) signal.throwIfAborted()
      // A transfer fills its target bit by bit.
      fill(object, offset, target.subarray(0, half))
    }
    if (kind % 7 === 0) throw new Error('broken off')
    fill(object, offset, target)
  }
}

async function readAll(readings: readonly Reading[], behaviour: readonly number[]): Promise<void> {
  const capacity = 3 * BLOCK
  const cache = new BlockCache({ capacity, blockSize: BLOCK, fetch: unreliable(behaviour) })
  const one = async ({ file, offset, length, start, patience, prefetch }: Reading) => {
    const object = FILES[file] ?? objectId(0)
    await turns(start)
    if (prefetch) cache.prefetch(object, Math.floor(offset / BLOCK))
    const { controller, waiter: patient } = waiter()
    if (patience !== undefined) {
      void turns(patience).then(() => controller.abort(new Error('gave up')))
    }
    try {
      const slices = await cache.read(object, offset, length, patient)
      const got = check(object, offset, slices)
      const expected = Math.max(0, Math.min(length, object.size - offset))
      if (got !== expected) throw new Error(`${got} bytes instead of ${expected}`)
    } catch (error) {
      const message = error instanceof Error ? error.message : ''
      if (message === 'broken off' || (message === 'gave up' && patience !== undefined)) return
      throw error
    }
    if (cache.size > capacity) throw new Error(`${cache.size} bytes kept`)
  }
  await Promise.all(readings.map(one))
  await turns(10)
  if (cache.inFlight !== 0) throw new Error(`${cache.inFlight} fetches left`)
}

void t.test(
  'every byte is right under concurrent reads, evictions, failures and aborts',
  async t => {
    const numRuns = Number(process.env['BOSMOUNT_RUNS'] ?? 60)
    await fc.assert(
      fc.asyncProperty(
        fc.array(reading, { minLength: 1, maxLength: 30, size: 'max' }),
        fc.array(fc.nat(100), { minLength: 1, maxLength: 20 }),
        readAll,
      ),
      { numRuns },
    )
    t.ok(true, `${numRuns} sequences`)
  },
)
