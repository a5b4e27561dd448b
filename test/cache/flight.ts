import t from 'tap'
import type { Block } from '../../src/cache/block.js'
import { Flight } from '../../src/cache/flight.js'

function makeBlock(index: number, length = 4): Block {
  return {
    id: String(index),
    index,
    buffer: Buffer.alloc(4),
    length,
    pins: 0,
    cached: false,
    cursor: -1,
    waits: [],
  }
}

/** A flight of blocks whose bytes come when the test says so, and what it tells. */
function scene(count: number) {
  const blocks = Array.from({ length: count }, (_, i) => makeBlock(i, i === count - 1 ? 3 : 4))
  const events: string[] = []
  const names = (some: readonly Block[]): string => some.map(({ id }) => id).join('')
  let signal: AbortSignal | undefined
  let targets: readonly Uint8Array[] = []
  let filled = (): void => undefined
  let settle: { resolve: () => void; reject: (error: unknown) => void } | undefined
  const flight = new Flight(
    blocks,
    options => {
      ;({ signal, targets } = options)
      filled = () => options.filled(Buffer.alloc(0))
      return new Promise((resolve, reject) => (settle = { resolve, reject }))
    },
    {
      landed: ({ id }) => void events.push(`landed ${id}`),
      lost: lost => void events.push(`lost ${names(lost)}`),
      free: free => void events.push(`free ${names(free)}`),
    },
  )
  const waitFor = (index: number, what = 'w'): void => {
    flight.want()
    blocks[index]?.waits.push({
      arrived: ({ id, pins }) => void events.push(`${what} has ${id} ${pins}`),
      failed: error => void events.push(`${what} failed ${String(error)}`),
    })
  }
  return {
    flight,
    blocks,
    events,
    waitFor,
    targets: () => targets,
    filled: () => filled(),
    isAborted: () => signal?.aborted,
    resolve: () => settle?.resolve(),
    reject: (error: unknown) => settle?.reject(error),
  }
}

function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

void t.test('blocks land one by one, pinned once for each who waits', async t => {
  const { flight, events, waitFor, targets, filled, resolve } = scene(3)
  waitFor(0, 'a')
  waitFor(0, 'b')
  waitFor(2, 'c')
  flight.start()
  t.same(
    targets().map(({ length }) => length),
    [4, 4, 3],
    'targets are as long as their blocks',
  )
  filled()
  t.same(events.splice(0), ['landed 0', 'a has 0 2', 'b has 0 2'])
  t.notOk(flight.isOver)
  filled()
  t.same(events.splice(0), ['landed 1'])
  resolve()
  await turn()
  t.same(events, ['landed 2', 'c has 2 1', 'free '], 'resolving says so of all that is left')
  t.ok(flight.isOver)
})

void t.test('memory of what did not land is free only when nothing writes to it', async t => {
  const { flight, events, waitFor, filled, reject, isAborted } = scene(3)
  waitFor(0)
  flight.start()
  filled()
  events.length = 0
  flight.want()
  flight.unwant()
  t.same(events.splice(0), ['lost 12'], 'whoever comes now starts anew')
  t.ok(isAborted())
  t.ok(flight.isOver)
  filled()
  t.same(events.splice(0), [], 'what comes late does not land')
  reject(new Error('aborted'))
  await turn()
  t.same(events, ['free 12'])
})

void t.test('it goes on while one of several wants it, and when one only leaves', async t => {
  const { flight, events, isAborted, resolve } = scene(1)
  flight.start()
  flight.want()
  flight.want()
  flight.unwant()
  t.notOk(isAborted())
  flight.leave()
  t.notOk(isAborted(), 'who leaves may come back')
  resolve()
  await turn()
  t.same(events, ['landed 0', 'free '])
  flight.want()
  flight.unwant()
  t.notOk(isAborted(), 'what is over is not called off')
})

void t.test('a failure is told to all who wait, before the memory is free', async t => {
  const { flight, events, waitFor, filled, reject } = scene(3)
  waitFor(0, 'a')
  waitFor(1, 'b')
  waitFor(2, 'c')
  flight.start()
  filled()
  events.length = 0
  reject('broken')
  await turn()
  t.same(events, ['lost 12', 'b failed broken', 'c failed broken', 'free 12'])
})
