/**
 * The block cache over a fetch function that knows what every byte of every version is, so that a
 * byte from another block, another file or another version is found wherever it turns up.
 */
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { BlockCache } from '../../src/cache/block-cache.js'
import type { FetchBlocks } from '../../src/cache/block-cache.js'
import type { ObjectId } from '../../src/cache/object-id.js'
import { sequences } from '../helpers/sequences.js'

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
  /** The first of its targets. */
  readonly target: Uint8Array
  readonly targets: readonly Uint8Array[]
  /** One more target is there. */
  readonly fillNext: () => void
  succeed(): void
  fail(error: Error): void
}

/** A cache whose fetches wait for the test to settle them; an abort settles them too. */
function manual(capacity = 8 * BLOCK, maxFetch = BLOCK): { cache: BlockCache; fetches: Fetch[] } {
  const fetches: Fetch[] = []
  const fetch: FetchBlocks = (object, offset, targets, { signal, filled }) =>
    new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('called off')))
      let done = 0
      const fillNext = (): void => {
        const target = targets[done]
        if (target === undefined) throw new Error('all targets are full')
        fill(object, offset + done * BLOCK, target)
        done += 1
        filled(target)
      }
      fetches.push({
        offset,
        signal,
        target: targets[0] ?? new Uint8Array(0),
        targets,
        fillNext,
        succeed: () => {
          for (const [i, target] of targets.entries()) {
            if (i >= done) fill(object, offset + i * BLOCK, target)
          }
          resolve()
        },
        fail: reject,
      })
    })
  return { cache: new BlockCache({ capacity, blockSize: BLOCK, maxFetch, fetch }), fetches }
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
  t.equal(check(object, 0, await cache.read(object, 0, BLOCK, { waiter: silent })), BLOCK)
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
    maxFetch: BLOCK,
    fetch: async (object, offset, targets) => {
      for (const target of targets) {
        memory.add(target.buffer)
        fill(object, offset, target)
      }
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
  const first = cache.read(object, 0, BLOCK, { waiter: impatient.waiter })
  const second = cache.read(object, 0, BLOCK, { waiter: patient.waiter })
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
      fetch: (_, offset, targets, { signal }) =>
        new Promise(resolve => {
          signals.push(signal)
          ends.push(() => {
            for (const target of targets) fill(object, offset, target)
            resolve()
          })
        }),
    })
    const waiters = [waiter(), waiter()]
    const reads = waiters.map(({ waiter }) =>
      Promise.resolve(cache.read(object, 0, BLOCK, { waiter })),
    )
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
  const first = cache.read(object, 0, BLOCK, { waiter: impatient.waiter })
  impatient.controller.abort(new Error('gave up'))
  const second = cache.read(object, 0, BLOCK)
  await t.rejects(Promise.resolve(first), { message: 'gave up' })
  for (const fetch of fetches) fetch.succeed()
  t.equal(check(object, 0, await second), BLOCK)
})

void t.test('a reader whose signal is aborted already leaves nothing behind', async t => {
  const { cache, fetches } = manual()
  const stopped = { signal: AbortSignal.abort(new Error('gave up')) }
  await t.rejects(Promise.resolve(cache.read(objectId(BLOCK), 0, 1, { waiter: stopped })), {
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
  cache.prefetch(object, 0, BLOCK)
  cache.prefetch(object, 0, BLOCK)
  cache.prefetch(object, 2 * BLOCK, BLOCK)
  cache.prefetch(object, 7 * BLOCK, BLOCK)
  t.equal(fetches.length, 1, 'once, and none behind the end')
  const read = cache.read(object, 0, 1)
  fetches[0]?.succeed()
  await read
  cache.prefetch(object, 0, BLOCK)
  t.equal(fetches.length, 1)
})

void t.test('what fails ahead of need is silent, and the reader tries again', async t => {
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  const { cache, fetches } = manual()
  const object = objectId(BLOCK)
  cache.prefetch(object, 0, BLOCK)
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
  cache.prefetch(object, 0, BLOCK)
  const stopped = { signal: AbortSignal.abort(new Error('gave up')) }
  await t.rejects(Promise.resolve(cache.read(object, 0, 1, { waiter: stopped })))
  await turn()
  t.notOk(fetches[0]?.signal.aborted)
  fetches[0]?.succeed()
  await turn()
  t.notOk(cache.read(object, 0, 1) instanceof Promise)
})

void t.test('fetches ahead of need never take more than half of the memory', async t => {
  const { cache, fetches } = manual(8 * BLOCK)
  for (let file = 0; file < 20; file += 1) cache.prefetch(objectId(BLOCK, `/f${file}`), 0, BLOCK)
  t.equal(fetches.length, 4)
  const needed = cache.read(objectId(BLOCK, '/needed'), 0, 1)
  t.equal(fetches.length, 5, 'what is needed now is fetched all the same')
  for (const fetch of fetches) fetch.succeed()
  await needed
  cache.prefetch(objectId(BLOCK, '/later'), 0, BLOCK)
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
  cache.prefetch(object, 2 * BLOCK, BLOCK)
  cache.close()
  await t.rejects(pending, { message: 'called off' })
  await turn()
  t.equal(cache.size, 0)
  t.equal(cache.inFlight, 0)
  cache.prefetch(object, 3 * BLOCK, BLOCK)
  t.equal(cache.inFlight, 0, 'nothing is fetched ahead any more')
})

void t.test(
  'neighbours that are missing come by one request, and can be read as they come',
  async t => {
    const { cache, fetches } = manual(16 * BLOCK, 8 * BLOCK)
    const object = objectId(20 * BLOCK)
    const first = cache.read(object, 10, 10)
    fetches[0]?.succeed()
    await first
    const read = cache.read(object, 0, 4 * BLOCK, { reach: 2 * BLOCK })
    const tail = cache.read(object, 3 * BLOCK + 5, BLOCK)
    t.equal(fetches.length, 2, 'all that is missing, and what the read may reach')
    t.match(fetches[1], { offset: BLOCK })
    t.equal(fetches[1]?.targets.length, 5)
    for (let i = 0; i < 4; i += 1) fetches[1]?.fillNext()
    t.equal(check(object, 0, await read), 4 * BLOCK)
    t.equal(check(object, 3 * BLOCK + 5, await tail), BLOCK)
    t.equal(cache.inFlight, 1, 'the last is still coming')
    fetches[1]?.succeed()
    await turn()
    t.equal(cache.inFlight, 0)
    t.notOk(cache.read(object, 0, 6 * BLOCK) instanceof Promise)
    t.equal(fetches.length, 2)
  },
)

void t.test('one request asks for no more than it may', async t => {
  const { cache, fetches } = manual(64 * BLOCK, 4 * BLOCK)
  const object = objectId(10 * BLOCK + 1)
  const read = cache.read(object, 0, 11 * BLOCK)
  t.same(
    fetches.map(({ targets }) => targets.length),
    [4, 4, 3],
  )
  for (const fetch of fetches) fetch.succeed()
  t.equal(check(object, 0, await read), object.size)
})

void t.test('what came before a request failed stays', async t => {
  const { cache, fetches } = manual(16 * BLOCK, 8 * BLOCK)
  const object = objectId(4 * BLOCK)
  const early = cache.read(object, 0, 1)
  const late = Promise.resolve(cache.read(object, BLOCK, 3 * BLOCK, { reach: 0 }))
  t.equal(fetches.length, 2)
  fetches[1]?.fillNext()
  fetches[1]?.fail(new Error('broken off'))
  await t.rejects(late, { message: 'broken off' })
  fetches[0]?.succeed()
  await early
  t.equal(check(object, 0, await cache.read(object, 0, 2 * BLOCK)), 2 * BLOCK)
  t.equal(fetches.length, 2)
})

void t.test(
  'a fetch ahead that is cancelled is called off, unless somebody waits for it',
  async t => {
    const { cache, fetches } = manual(16 * BLOCK, 8 * BLOCK)
    const object = objectId(20 * BLOCK)
    const [unread] = cache.prefetch(object, 0, 2 * BLOCK)
    const [wanted] = cache.prefetch(object, 4 * BLOCK, 2 * BLOCK)
    const read = cache.read(object, 4 * BLOCK, BLOCK)
    unread?.cancel()
    unread?.cancel()
    wanted?.cancel()
    t.ok(fetches[0]?.signal.aborted)
    t.notOk(fetches[1]?.signal.aborted)
    fetches[1]?.succeed()
    t.equal(check(object, 4 * BLOCK, await read), BLOCK)
    t.ok(wanted?.isOver)
    t.equal(cache.inFlight, 0)
  },
)

void t.test(
  'what was only loaded is not yet used, and goes before what was used twice',
  async t => {
    const { cache, fetches } = manual(4 * BLOCK, 4 * BLOCK)
    const [loaded, used] = [objectId(BLOCK, '/loaded'), objectId(BLOCK, '/used')]
    for (const object of [used, loaded]) {
      const loading = cache.load(object, 0, BLOCK)
      fetches.pop()?.succeed()
      await loading
    }
    await cache.load(loaded, 0, BLOCK)
    for (let i = 0; i < 2; i += 1) t.equal(check(used, 0, await cache.read(used, 0, BLOCK)), BLOCK)
    t.equal(check(loaded, 0, await cache.read(loaded, 0, BLOCK)), BLOCK, 'its first use')
    await turns(2)
    const scan = cache.load(objectId(3 * BLOCK, '/scan'), 0, 3 * BLOCK)
    fetches.pop()?.succeed()
    await scan
    t.notOk(cache.isCold(used))
    t.ok(cache.isCold(loaded))
  },
)

void t.test('a long scan leaves what is read time and again', async t => {
  const { cache, fetches } = manual(16 * BLOCK)
  const hot = Array.from({ length: 4 }, (_, i) => objectId(BLOCK, `/hot${i}`))
  const load = async (object: ObjectId, offset: number, length: number): Promise<boolean> => {
    const read = cache.read(object, offset, length)
    if (read instanceof Promise) fetches.at(-1)?.succeed()
    check(object, offset, await read)
    return !(read instanceof Promise)
  }
  for (let round = 0; round < 2; round += 1) for (const object of hot) await load(object, 0, BLOCK)
  const big = objectId(100 * BLOCK, '/big')
  for (let offset = 0; offset < big.size; offset += BLOCK / 4) await load(big, offset, BLOCK / 4)
  for (const object of hot) t.ok(await load(object, 0, BLOCK), object.path)
  t.ok(cache.size <= cache.capacity)
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

/** Fetches that take some turns, now and then fail, tell of targets or not, and heed an abort or do not. */
function unreliable(behaviour: readonly number[]): FetchBlocks {
  let calls = 0
  return async (object, offset, targets, { signal, filled }) => {
    const told = new Set<Uint8Array>()
    let position = offset
    for (const target of targets) {
      const kind = behaviour[calls % behaviour.length] ?? 0
      calls += 1
      const half = target.length >> 1
      for (let i = 0; i < kind % 4; i += 1) {
        await turn()
        if (kind < 50) signal.throwIfAborted()
        // A transfer fills its target bit by bit.
        fill(object, position, target.subarray(0, half))
      }
      if (kind % 7 === 0) throw new Error('broken off')
      fill(object, position, target)
      position += target.length
      if (kind % 3 !== 0 || target !== targets[0]) await turn()
      if (kind % 5 !== 0) continue
      for (const done of targets.slice(0, targets.indexOf(target) + 1)) {
        if (told.has(done)) continue
        told.add(done)
        filled(done)
      }
    }
  }
}

async function readAll(
  readings: readonly Reading[],
  behaviour: readonly number[],
  maxFetch: number,
): Promise<void> {
  const capacity = 3 * BLOCK
  const cache = new BlockCache({
    capacity,
    blockSize: BLOCK,
    maxFetch,
    fetch: unreliable(behaviour),
  })
  const one = async ({ file, offset, length, start, patience, prefetch }: Reading) => {
    const object = FILES[file] ?? objectId(0)
    await turns(start)
    if (prefetch) cache.prefetch(object, offset, 2 * BLOCK)
    const { controller, waiter: patient } = waiter()
    if (patience !== undefined) {
      void turns(patience).then(() => controller.abort(new Error('gave up')))
    }
    try {
      const slices = await cache.read(object, offset, length, { waiter: patient })
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
    const options = sequences(60)
    await fc.assert(
      fc.asyncProperty(
        fc.array(reading, { minLength: 1, maxLength: 30, size: 'max' }),
        fc.array(fc.nat(100), { minLength: 1, maxLength: 20 }),
        fc.constantFrom(BLOCK, 2 * BLOCK, 8 * BLOCK),
        readAll,
      ),
      options,
    )
    t.ok(true, `${options.numRuns} sequences`)
  },
)

void t.test('what was stored by this mount is read without a fetch', async t => {
  for (const lengths of [[1], [BLOCK], [BLOCK + 3, 2 * BLOCK, 5], [2, 2, 2, BLOCK]]) {
    const { cache, fetches } = manual(8 * BLOCK * 16)
    const size = lengths.reduce((sum, length) => sum + length, 0)
    const object = objectId(size)
    let offset = 0
    const pieces = lengths.map(length => {
      const piece = Buffer.alloc(length)
      fill(object, offset, piece)
      offset += length
      return piece
    })
    cache.keep(object, pieces)
    cache.keep(object, pieces)
    for (const piece of pieces) piece.fill(0)
    const slices = cache.read(object, 0, size)
    if (slices instanceof Promise) throw new Error('it has to wait')
    t.equal(check(object, 0, slices), size)
    t.equal(fetches.length, 0)
    t.ok(cache.size <= 2 * (size + BLOCK), 'it is held once')
    cache.close()
  }
})

void t.test('what would take much of the cache is not kept when it is stored', t => {
  const { cache } = manual(8 * BLOCK)
  const object = objectId(BLOCK)
  cache.keep(object, [Buffer.alloc(BLOCK)])
  t.ok(cache.isCold(object))
  t.equal(cache.size, 0)
  t.end()
})

void t.test('memory of small files is used again, and never for two of them', async t => {
  const capacity = 2 * 1024 * 1024
  const cache = new BlockCache({ capacity, fetch: () => Promise.reject(new Error('not there')) })
  let found = 0
  for (let i = 0; i < 600; i += 1) {
    const object = objectId(1 + ((i * 7919) % 100_000), `/f${i}`)
    const content = Buffer.alloc(object.size)
    fill(object, 0, content)
    cache.keep(object, [content])
    // What was handed out may be looked at until the next turn.
    if (i % 10 === 0) await turn()
    const earlier = objectId(1 + (((i >> 1) * 7919) % 100_000), `/f${i >> 1}`)
    if (cache.isCold(earlier)) continue
    const slices = await cache.read(earlier, 0, earlier.size)
    found += check(earlier, 0, slices) === earlier.size ? 1 : 0
  }
  t.ok(found > 20, `${found} of them were there`)
  t.ok(cache.size <= capacity)
  cache.close()
})
