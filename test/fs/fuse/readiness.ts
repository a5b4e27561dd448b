/** Waiting for requests, over a descriptor and signals of the test's own. */
import { EventEmitter } from 'node:events'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Readiness, type ReadinessOptions } from '../../../src/fs/fuse/readiness.js'

function scene(t: Test, options: ReadinessOptions = {}) {
  const signals = new EventEmitter()
  const state = { readable: false, signalled: false, told: 0, threads: 0 }
  let interrupt: () => void = () => undefined
  const readiness = new Readiness(
    {
      signalled: isOn => void (state.signalled = isOn),
      isReadable: () => state.readable,
      pollFromThread: done => {
        state.threads += 1
        interrupt = done
      },
      interrupt: () => interrupt(),
    },
    { signals, hearsSignals: true, look: 60_000, ...options },
  )
  t.teardown(() => readiness.close())
  return { readiness, signals, state, wait: () => readiness.wait(() => void (state.told += 1)) }
}

void t.test('a signal ends a wait, and is asked for while one is under way only', async t => {
  const { signals, state, wait } = scene(t)
  t.notOk(state.signalled)
  wait()
  t.ok(state.signalled)
  t.equal(state.told, 0)
  signals.emit('SIGIO')
  t.equal(state.told, 1)
  t.notOk(state.signalled)
  signals.emit('SIGIO')
  await turn()
  t.equal(state.told, 1, 'nobody waits')
})

void t.test(
  'what came before signals were asked for is told, but not before wait returns',
  async t => {
    const { state, wait } = scene(t)
    state.readable = true
    wait()
    t.equal(state.told, 0)
    await turn()
    t.equal(state.told, 1)
    t.notOk(state.signalled)
  },
)

void t.test('who asks again from within is told again', async t => {
  const { readiness, signals, state } = scene(t)
  readiness.wait(() => readiness.wait(() => void (state.told += 1)))
  signals.emit('SIGIO')
  t.ok(state.signalled)
  signals.emit('SIGIO')
  t.equal(state.told, 1)
})

void t.test('threads take over when a look finds what no signal has told', async t => {
  const { readiness, state, wait } = scene(t, { look: 5 })
  wait()
  state.readable = true
  while (state.told === 0) await sleep(5)
  t.notOk(state.signalled)
  t.equal(state.threads, 0)
  wait()
  t.equal(state.threads, 1)
  t.notOk(state.signalled)
  readiness.wake()
  t.equal(state.told, 2)
})

void t.test('they do not for a signal that is late', async t => {
  const { state, wait } = scene(t, { look: 5, signals: process })
  wait()
  await sleep(20)
  t.equal(state.told, 0, 'a look that finds nothing changes nothing')
  // The event loop is held up: when it goes on, timers come before signals.
  state.readable = true
  process.kill(process.pid, 'SIGIO')
  const end = performance.now() + 20
  while (performance.now() < end) continue
  while (state.told === 0) await turn()
  state.readable = false
  wait()
  t.equal(state.threads, 0)
  t.ok(state.signalled)
})

void t.test('nor for a wait that has begun since', async t => {
  const { readiness, state } = scene(t, { look: 5 })
  const again = (): void => {
    state.told += 1
    readiness.wait(again)
  }
  // Requests keep coming: every look finds one, which is told in the same turn, and then there is another.
  state.readable = true
  readiness.wait(again)
  // At least one look comes in between.
  await sleep(50)
  while (state.told <= 10) await turn()
  t.equal(state.threads, 0)
  state.readable = false
})

void t.test('a thread that hears no signals has others wait', async t => {
  const { state, wait } = scene(t, { hearsSignals: false })
  wait()
  t.equal(state.threads, 1)
  t.notOk(state.signalled)
})

void t.test('a wait can be ended without anything to read', async t => {
  const { readiness, state, wait } = scene(t)
  wait()
  readiness.wake()
  await turn()
  t.equal(state.told, 1)
  readiness.wake()
  await turn()
  t.equal(state.told, 1)
})

void t.test('no signal comes to a process that ends, and nothing listens afterwards', async t => {
  const { readiness, signals, state, wait } = scene(t)
  wait()
  signals.emit('exit')
  t.notOk(state.signalled)
  readiness.close()
  t.same(signals.eventNames(), [])
})
