import t from 'tap'
import { Gate, type GiveBack, type Lane } from '../../../src/driver/bos/gate.js'
import { failure } from '../helpers.js'
import { startDriverHarness } from './harness.js'

const OPTIONS = { timeout: 60_000 }

/** Takes places as long as there are some. */
function fill(gate: Gate, lane: Lane): GiveBack[] {
  const held: GiveBack[] = []
  for (;;) {
    const stop = new AbortController()
    const place = gate.acquire(lane, { ...OPTIONS, signal: stop.signal })
    if (place instanceof Promise) {
      place.catch(() => undefined)
      stop.abort()
      return held
    }
    held.push(place)
  }
}

void t.test('large requests leave places for small ones', async t => {
  const gate = new Gate(8)
  t.equal(fill(gate, 'large').length, 6)
  t.equal(fill(gate, 'small').length, 2)
  t.equal(gate.taken, 8)
  t.equal(fill(new Gate(2), 'large').length, 1)
  t.equal(fill(new Gate(1), 'large').length, 1, 'a single place is for everybody')
})

void t.test('small requests may take all places', async t => {
  t.equal(fill(new Gate(8), 'small').length, 8)
})

void t.test('who waits comes in turn, small before large', async t => {
  const gate = new Gate(2)
  const held = fill(gate, 'small')
  const order: string[] = []
  const wait = async (name: string, lane: Lane): Promise<void> => {
    const giveBack = await gate.acquire(lane, OPTIONS)
    order.push(name)
    giveBack('answered')
  }
  const all = [wait('big', 'large'), wait('one', 'small'), wait('two', 'small')]
  t.equal(gate.waiting, 3)
  for (const giveBack of held) giveBack('answered')
  await Promise.all(all)
  t.same(order, ['one', 'two', 'big'])
  t.same([gate.taken, gate.waiting], [0, 0])
})

void t.test('throttling halves the limit, once for all requests of a moment', async t => {
  const gate = new Gate(16)
  const held = fill(gate, 'small')
  for (const giveBack of held) giveBack('throttled')
  t.equal(gate.limit, 8)
  for (const giveBack of fill(gate, 'small')) giveBack('throttled')
  t.equal(gate.limit, 4)
  for (let i = 0; i < 10; i++) {
    for (const giveBack of fill(gate, 'small')) giveBack('throttled')
  }
  t.equal(gate.limit, 1, 'one request always gets through')
})

void t.test('a round of good answers raises the limit by about one', async t => {
  const gate = new Gate(16)
  for (const outcome of ['throttled', 'throttled'] as const)
    fill(gate, 'small').map(g => g(outcome))
  t.equal(gate.limit, 4)
  for (const giveBack of fill(gate, 'small')) giveBack('answered')
  t.equal(fill(gate, 'small').length, 4)
  const rising = new Gate(16)
  fill(rising, 'small').map(giveBack => giveBack('throttled'))
  for (let round = 0; round < 40; round++) {
    for (const giveBack of fill(rising, 'small')) giveBack('answered')
  }
  t.equal(rising.limit, 16, 'never above where it began')
})

void t.test('other failures say nothing about the load', async t => {
  const gate = new Gate(8)
  for (const giveBack of fill(gate, 'small')) giveBack('failed')
  t.equal(gate.limit, 8)
})

void t.test('a place is given back once', async t => {
  const gate = new Gate(4)
  const [first] = fill(gate, 'small')
  first?.('answered')
  first?.('throttled')
  t.equal(gate.taken, 3)
  t.equal(gate.limit, 4)
})

void t.test('waiting ends with the time or the signal, and leaves nothing behind', async t => {
  const gate = new Gate(1)
  const held = fill(gate, 'small')
  const late = failure(Promise.resolve(gate.acquire('small', { timeout: 20 })))
  t.match(await late, { kind: 'connect', message: 'no free connection within 20 ms' })
  const stop = new AbortController()
  const waiting = failure(
    Promise.resolve(gate.acquire('small', { timeout: 10_000, signal: stop.signal })),
  )
  const reason = new Error('enough')
  stop.abort(reason)
  t.equal(await waiting, reason)
  t.equal(gate.waiting, 0)
  for (const giveBack of held) giveBack('answered')
  t.equal(gate.taken, 0)
})

void t.test('many transfers that hang do not hold up a small request', async t => {
  const { server, driver } = await startDriverHarness(t)
  const store = await driver({ maxthreads: 4 })
  await store.putContent('/big', Buffer.alloc(4 * 1024 * 1024))
  const hangs = server.faults.add({ operation: 'GetObject', fault: { kind: 'hang' } })
  const stop = new AbortController()
  const reads = Array.from({ length: 20 }, () =>
    failure(store.readInto('/big', Buffer.alloc(2 * 1024 * 1024), { signal: stop.signal })),
  )
  while (hangs.hits === 0) await new Promise(setImmediate)
  t.match(await store.stat('/big'), { path: '/big' }, 'a HEAD is answered while the reads hang')
  stop.abort(new Error('over'))
  for (const error of await Promise.all(reads)) t.match(error, { message: 'over' })
})
