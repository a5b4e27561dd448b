import t from 'tap'
import { ReadAhead } from '../../src/cache/read-ahead.js'

const BLOCK = 100

function reader(maxBlocks = 8): ReadAhead {
  return new ReadAhead({ blockSize: BLOCK, maxBlocks })
}

void t.test('the window of a sequential reader doubles up to its maximum', t => {
  const ahead = reader()
  const named: number[][] = []
  for (let block = 0; block < 6; block += 1) {
    named.push([...ahead.advance(block * BLOCK, BLOCK)])
  }
  t.same(named, [[1], [2, 3], [4, 5, 6], [7, 8, 9, 10, 11], [12], [13]])
  t.end()
})

void t.test('no block is named twice, whatever the size of the reads', t => {
  const ahead = reader()
  const named: number[] = []
  for (let offset = 0; offset < 50 * BLOCK; offset += 7) named.push(...ahead.advance(offset, 7))
  t.equal(new Set(named).size, named.length)
  t.same(
    named,
    named.toSorted((a, b) => a - b),
  )
  t.same(named.slice(0, 3), [1, 2, 3])
  t.end()
})

void t.test('a jump closes the window, and reading on opens it again', t => {
  const ahead = reader()
  ahead.advance(0, BLOCK)
  ahead.advance(BLOCK, BLOCK)
  t.same(ahead.advance(1000 * BLOCK, BLOCK), [])
  t.same(ahead.advance(1001 * BLOCK, BLOCK), [1002])
  t.same(ahead.advance(10 * BLOCK, BLOCK), [], 'backwards too')
  t.end()
})

void t.test('random reads fetch nothing ahead', t => {
  const ahead = reader()
  for (const block of [50, 3, 99, 20, 70, 10]) t.same(ahead.advance(block * BLOCK, 10), [])
  t.end()
})

void t.test('neighbouring reads out of order are sequential', t => {
  const ahead = reader()
  ahead.advance(0, BLOCK)
  const named = [...ahead.advance(2 * BLOCK, BLOCK), ...ahead.advance(BLOCK, BLOCK)]
  t.ok(named.length > 0)
  t.ok(named.every(block => block >= 3))
  t.end()
})

void t.test('a maximum of none names none', t => {
  const ahead = reader(0)
  for (let block = 0; block < 5; block += 1) t.same(ahead.advance(block * BLOCK, BLOCK), [])
  t.end()
})
