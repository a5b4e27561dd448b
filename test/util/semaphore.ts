import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { forEachParallel, Semaphore } from '../../src/util/semaphore.js'

void t.test('permits go to those who waited longest', async t => {
  const semaphore = new Semaphore(1)
  const order: string[] = []
  const first = await semaphore.acquire()
  const second = semaphore.acquire().then(release => {
    order.push('second')
    release()
  })
  const third = semaphore.acquire().then(release => {
    order.push('third')
    release()
  })
  await turn()
  t.same(order, [])
  t.equal(semaphore.waiting, 2)
  first()
  first()
  await Promise.all([second, third])
  t.same(order, ['second', 'third'])
  t.throws(() => new Semaphore(0), RangeError)
})

void t.test('who gives up waiting takes no permit', async t => {
  const semaphore = new Semaphore(1)
  const release = await semaphore.acquire()
  const stop = new AbortController()
  const waiting = semaphore.acquire(stop.signal)
  stop.abort(new Error('gave up'))
  await t.rejects(waiting, { message: 'gave up' })
  await t.rejects(semaphore.acquire(stop.signal), { message: 'gave up' })
  release()
  const next = await semaphore.acquire()
  next()
})

void t.test('parallel work stays within its limit and covers every item', async t => {
  let running = 0
  let most = 0
  const done: number[] = []
  await forEachParallel(
    Array.from({ length: 20 }, (_, i) => i),
    async item => {
      most = Math.max(most, ++running)
      await turn()
      running--
      done.push(item)
    },
    { limit: 3 },
  )
  t.equal(most, 3)
  t.equal(done.length, 20)
})

void t.test('after a failure nothing new starts and the rest is told to stop', async t => {
  const started: number[] = []
  const told: number[] = []
  const work = forEachParallel(
    [0, 1, 2, 3, 4, 5],
    async (item, signal) => {
      started.push(item)
      await turn()
      if (item === 0) throw new Error('broken')
      await turn()
      if (signal.aborted) told.push(item)
    },
    { limit: 2 },
  )
  await t.rejects(work, { message: 'broken' })
  t.same(started, [0, 1])
  t.same(told, [1])
})

void t.test('an abort from outside ends parallel work with its reason', async t => {
  const stop = new AbortController()
  const work = forEachParallel(
    [1, 2, 3],
    async (item, signal) => {
      if (item === 1) stop.abort(new Error('outside'))
      signal.throwIfAborted()
    },
    { limit: 1, signal: stop.signal },
  )
  await t.rejects(work, { message: 'outside' })
})
