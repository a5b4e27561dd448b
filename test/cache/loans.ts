import t from 'tap'
import type { Block } from '../../src/cache/block.js'
import { Loans } from '../../src/cache/loans.js'

void t.test('each loan is a pin, given back on the next turn of the event loop', async t => {
  const buffer = Buffer.alloc(1)
  const block: Block = {
    id: '',
    index: 0,
    buffer,
    length: 1,
    pins: 0,
    cached: true,
    cursor: -1,
    waits: [],
  }
  const loans = new Loans(({ pins }) => {
    t.ok(pins > 0)
    block.pins -= 1
  })
  loans.lend(block)
  loans.lend(block)
  await Promise.resolve()
  t.equal(block.pins, 2, 'not before')
  await new Promise(resolve => setImmediate(resolve))
  t.equal(block.pins, 0)
  loans.lend(block)
  t.equal(block.pins, 1)
  await new Promise(resolve => setImmediate(resolve))
  t.equal(block.pins, 0)
})
