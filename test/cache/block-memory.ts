import t from 'tap'
import { BlockMemory, SizedMemory } from '../../src/cache/block-memory.js'
import { KiB, MiB } from '../../src/util/units.js'

void t.test('blocks do not overlap, and one that was given back is used again', t => {
  const memory = new BlockMemory(64, 64 * 10)
  const blocks = Array.from({ length: 12 }, () => memory.take())
  for (const [i, block] of blocks.entries()) block.fill(i)
  for (const [i, block] of blocks.entries()) {
    t.equal(block.length, 64)
    t.ok(block.every(byte => byte === i))
  }
  const [first] = blocks
  if (first !== undefined) memory.give(first)
  t.equal(memory.take(), first)
  t.end()
})

void t.test('no more is kept than the capacity, and nothing from elsewhere', t => {
  const memory = new BlockMemory(64, 64)
  const [kept, beyond] = [memory.take(), memory.take()]
  memory.give(beyond)
  memory.give(Buffer.alloc(64))
  memory.give(Buffer.alloc(10))
  memory.give(kept)
  t.equal(memory.take(), kept)
  t.not(memory.take(), beyond)
  t.end()
})

void t.test('many blocks share few pieces of memory', t => {
  const memory = new BlockMemory(128 * KiB, 256 * MiB)
  const pieces = new Set(Array.from({ length: 2048 }, () => memory.take().buffer))
  t.equal(pieces.size, 4)
  t.end()
})

void t.test('short blocks have memory of their size or little more, which is used again', t => {
  const memory = new SizedMemory(128 * KiB, 8 * MiB)
  for (const [length, size] of [
    [1, 512],
    [513, 1024],
    [64 * KiB, 64 * KiB],
    [64 * KiB + 1, 128 * KiB],
    [128 * KiB, 128 * KiB],
  ] as const) {
    const buffer = memory.for(length).take()
    t.equal(buffer.length, size)
    memory.give(buffer)
    t.equal(memory.for(length).take(), buffer)
  }
  t.end()
})
