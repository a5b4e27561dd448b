import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { Budget } from '../../src/cache/budget.js'

void t.test('bytes are reserved up to the capacity', async t => {
  const budget = new Budget(10)
  t.ok(budget.tryReserve(6))
  t.notOk(budget.tryReserve(5))
  t.ok(budget.tryReserve(4))
  t.equal(budget.reserved, 10)
  budget.release(10)
  t.equal(budget.reserved, 0)
  t.throws(() => budget.release(1), RangeError)
})

void t.test('those who wait are served in the order they came', async t => {
  const budget = new Budget(10)
  const order: string[] = []
  await budget.reserve(10)
  const big = budget.reserve(8).then(() => order.push('big'))
  const small = budget.reserve(1).then(() => order.push('small'))
  t.equal(budget.wanted, 9)
  budget.release(5)
  await turn()
  t.same(order, [], 'the small one does not overtake the big one')
  t.notOk(budget.tryReserve(1), 'nor does anybody who comes later')
  budget.release(5)
  await Promise.all([big, small])
  t.same(order, ['big', 'small'])
  t.equal(budget.reserved, 9)
  t.equal(budget.wanted, 0)
})

void t.test('whoever needs no more than he has never waits', async t => {
  const budget = new Budget(10)
  t.ok(budget.tryReserve(10))
  const waiting = budget.reserve(1)
  t.ok(budget.tryReserve(0))
  await budget.reserve(0)
  budget.release(10)
  await waiting
  t.equal(budget.reserved, 1)
})

void t.test('more than the whole budget is granted alone', async t => {
  const budget = new Budget(10)
  t.ok(budget.tryReserve(1))
  const huge = budget.reserve(25)
  await turn()
  t.equal(budget.reserved, 1)
  budget.release(1)
  await huge
  t.equal(budget.reserved, 25)
  t.notOk(budget.tryReserve(1))
  budget.release(25)
  t.ok(budget.tryReserve(1))
})

void t.test('an aborted wait takes nothing and lets others go ahead', async t => {
  const budget = new Budget(10)
  const stop = new AbortController()
  await budget.reserve(5)
  const first = budget.reserve(6, stop.signal)
  const second = budget.reserve(5)
  stop.abort(new Error('gave up'))
  await t.rejects(first, { message: 'gave up' })
  await second
  t.equal(budget.reserved, 10)
  t.equal(budget.wanted, 0)
})

void t.test('a grant that crosses the abort is given back', async t => {
  const budget = new Budget(10)
  const stop = new AbortController()
  await budget.reserve(10)
  const waiting = budget.reserve(4, stop.signal)
  stop.abort(new Error('gave up'))
  budget.release(10)
  await t.rejects(waiting, { message: 'gave up' })
  t.equal(budget.reserved, 0)
})

void t.test('each wait calls for pressure once', async t => {
  let calls = 0
  const budget = new Budget(10, () => (calls += 1))
  await budget.reserve(10)
  t.equal(calls, 0)
  const waiting = [budget.reserve(1), budget.reserve(2)]
  t.equal(calls, 2)
  budget.release(10)
  await Promise.all(waiting)
})
