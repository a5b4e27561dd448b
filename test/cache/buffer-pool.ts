import t from 'tap'
import { BufferPool } from '../../src/cache/buffer-pool.js'

void t.test('a buffer that was given back is used again', t => {
  const pool = new BufferPool(64, 2)
  const first = pool.take()
  t.equal(first.length, 64)
  const second = pool.take()
  t.not(first, second)
  pool.give(first)
  t.equal(pool.take(), first)
  t.end()
})

void t.test('no more than so many are kept, and none of another size', t => {
  const pool = new BufferPool(64, 1)
  const [first, second] = [pool.take(), pool.take()]
  pool.give(first)
  pool.give(second)
  pool.give(Buffer.alloc(32))
  t.equal(pool.take(), first)
  const fresh = pool.take()
  t.not(fresh, second)
  t.equal(fresh.length, 64)
  t.end()
})

void t.test('buffers have memory of their own', t => {
  const pool = new BufferPool(64, 1)
  t.equal(pool.take().buffer.byteLength, 64)
  t.end()
})
