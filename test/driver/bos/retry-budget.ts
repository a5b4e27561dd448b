import t from 'tap'
import { RetryBudget } from '../../../src/driver/bos/retry-budget.js'
import { FakeClock } from '../fake-clock.js'

function takeAll(budget: RetryBudget): number {
  let taken = 0
  while (budget.take()) taken++
  return taken
}

void t.test('a budget is spent, and comes back with answers and with time', async t => {
  const clock = new FakeClock()
  const budget = new RetryBudget({ capacity: 5, perAnswer: 0.25, perSecond: 2, clock })
  t.equal(takeAll(budget), 5)
  for (let i = 0; i < 7; i++) budget.earn()
  t.equal(takeAll(budget), 1, 'four answers for a retry')
  for (let i = 0; i < 1; i++) budget.earn()
  t.equal(takeAll(budget), 1, 'parts add up')
  clock.pass(1500)
  t.equal(takeAll(budget), 3)
})

void t.test('a budget never holds more than its capacity', async t => {
  const clock = new FakeClock()
  const budget = new RetryBudget({ capacity: 2, clock })
  clock.pass(3_600_000)
  for (let i = 0; i < 1000; i++) budget.earn()
  t.equal(takeAll(budget), 2)
  clock.pass(-1000)
  t.equal(takeAll(budget), 0, 'a clock set back takes and gives nothing')
})
