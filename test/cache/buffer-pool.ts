import t from 'tap'
import { BufferPool } from '../../src/cache/buffer-pool.js'

void t.test('a buffer that was given back is used again, for its size', t => {
  const pool = new BufferPool(1000)
  const first = pool.take(64)
  t.equal(first.length, 64)
  const second = pool.take(64)
  t.not(first, second)
  const other = pool.take(32)
  t.equal(other.length, 32)
  pool.give(first)
  pool.give(other)
  t.equal(pool.take(64), first)
  t.equal(pool.take(32), other)
  t.not(pool.take(64), first)
  t.end()
})

void t.test('no more than so many bytes are kept, and none that came from elsewhere', t => {
  const pool = new BufferPool(100)
  const [first, second, small] = [pool.take(64), pool.take(64), pool.take(32)]
  const foreign = Buffer.alloc(16)
  for (const buffer of [first, second, small, foreign]) pool.give(buffer)
  t.equal(pool.take(32), small)
  t.equal(pool.take(64), first)
  t.not(pool.take(64), second)
  t.not(pool.take(16), foreign)
  t.end()
})

void t.test('buffers have memory of their own', t => {
  t.equal(new BufferPool(64).take(64).buffer.byteLength, 64)
  t.end()
})
