import t from 'tap'
import type { Block } from '../../src/cache/block.js'
import { Flight } from '../../src/cache/flight.js'
import { PendingRead } from '../../src/cache/pending-read.js'

function makeBlock(index: number): Block {
  const buffer = Buffer.alloc(4)
  return { id: '', index, buffer, length: 4, pins: 0, cached: true, cursor: -1, waits: [] }
}

/** A read of block 1, which is there, and of 0 and 2, which are on their way together. */
function scene(signal?: AbortSignal) {
  const [first, second, third] = [makeBlock(0), makeBlock(1), makeBlock(2)]
  let land = (): void => undefined
  let fail: ((error: unknown) => void) | undefined
  let isCalledOff = false
  const flight = new Flight(
    [first, third],
    options => {
      land = () => options.filled(Buffer.alloc(0))
      options.signal.addEventListener('abort', () => (isCalledOff = true))
      return new Promise((_, reject) => (fail = reject))
    },
    { landed: () => undefined, lost: () => undefined, free: () => undefined },
  )
  const events: string[] = []
  second.pins += 1
  new PendingRead({
    pinned: [second],
    awaited: [first, third].map(block => ({ block, flight })),
    signal,
    unpin: block => void (block.pins -= 1),
    done: blocks =>
      void events.push(`done ${blocks.map(({ index, pins }) => `${index}:${pins}`).join(' ')}`),
    failed: error => void events.push(`failed ${String(error)}`),
  })
  flight.start()
  const pins = (): number[] => [first, second, third].map(block => block.pins)
  const waits = (): number => first.waits.length + third.waits.length
  return {
    events,
    pins,
    waits,
    land: () => land(),
    fail: (error: unknown) => fail?.(error),
    isCalledOff: () => isCalledOff,
  }
}

function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

void t.test('it is done when all are there, in order and pinned, and unpins them', t => {
  const { events, pins, land } = scene()
  land()
  t.same(pins(), [1, 1, 0])
  t.same(events, [])
  land()
  t.same(events, ['done 0:1 1:1 2:1'])
  t.same(pins(), [0, 0, 0])
  t.end()
})

void t.test('one that is given up unpins what it has and calls off what nobody else wants', t => {
  const controller = new AbortController()
  const { events, pins, waits, land, isCalledOff } = scene(controller.signal)
  land()
  controller.abort('interrupted')
  t.same(events, ['failed interrupted'])
  t.same(pins(), [0, 0, 0])
  t.equal(waits(), 0)
  t.ok(isCalledOff())
  t.end()
})

void t.test('a failure is told once, however many blocks it waited for', async t => {
  const { events, pins, waits, fail } = scene()
  fail('broken')
  await turn()
  t.same(events, ['failed broken'])
  t.same(pins(), [0, 0, 0])
  t.equal(waits(), 0)
})

void t.test('nothing happens to one that is done when its signal aborts', t => {
  const controller = new AbortController()
  const { events, land } = scene(controller.signal)
  land()
  land()
  controller.abort('late')
  t.equal(events.length, 1)
  t.end()
})
