import fc from 'fast-check'
import t from 'tap'
import { SegmentedLru } from '../../src/cache/segmented-lru.js'

interface Item {
  readonly id: string
  readonly buffer: { readonly length: number }
}

function item(id: string, length = 10): Item {
  return { id, buffer: { length } }
}

function scene(capacity = 40): { lru: SegmentedLru<Item>; dropped: string[] } {
  const dropped: string[] = []
  return { lru: new SegmentedLru<Item>(capacity, ({ id }) => void dropped.push(id)), dropped }
}

void t.test('what was used once goes first, the oldest before the others', t => {
  const { lru, dropped } = scene()
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(id => item(id))
  for (const value of [a, b, c, d]) if (value !== undefined) lru.add(value)
  if (a !== undefined) lru.promote(a)
  lru.get('b')
  while (lru.evict()) continue
  t.same(dropped, ['c', 'd', 'b', 'a'])
  t.equal(lru.size, 0)
  t.equal(lru.count, 0)
  t.notOk(lru.evict())
  t.end()
})

void t.test('what is used again leaves room for what is new', t => {
  const { lru, dropped } = scene()
  for (const id of ['a', 'b', 'c', 'd']) {
    const value = item(id)
    lru.add(value)
    lru.promote(value)
  }
  t.equal(lru.size, 40)
  lru.evict()
  t.same(dropped, ['a'], 'three quarters are kept for it, the oldest has gone back')
  t.end()
})

void t.test('nothing is lost or counted twice, whatever is done', t => {
  const step = fc.tuple(
    fc.constantFrom('add', 'promote', 'get', 'evict'),
    fc.nat(8),
    fc.integer({ min: 0, max: 45 }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const there = new Map<string, Item>()
      const lru = new SegmentedLru<Item>(40, ({ id }) => void there.delete(id))
      for (const [what, number, length] of steps) {
        const id = String(number)
        const known = there.get(id)
        if (what === 'add' && known === undefined) {
          const value = item(id, Math.min(length, 40))
          while (lru.size + Math.max(1, value.buffer.length) > 40) lru.evict()
          there.set(id, value)
          lru.add(value)
        }
        if (what === 'promote' && known !== undefined) lru.promote(known)
        if (what === 'get' && lru.get(id) !== known) return false
        if (what === 'evict' && lru.evict() !== there.size + 1 > 0 && there.size > 0) return false
        const sizes = [...there.values()].map(({ buffer }) => Math.max(1, buffer.length))
        if (lru.size !== sizes.reduce((sum, size) => sum + size, 0)) return false
        if (lru.count !== there.size || lru.size > 40) return false
        if ([...there.keys()].some(key => !lru.has(key))) return false
      }
      return true
    }),
    { numRuns: 300 },
  )
  t.end()
})
