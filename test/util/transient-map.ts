import t from 'tap'
import { TransientMap } from '../../src/util/transient-map.js'

const mapOf = (...names: readonly string[]): TransientMap<number, { name: string }> => {
  const map = new TransientMap<number, { name: string }>()
  for (const [key, name] of names.entries()) map.set(key, { name })
  return map
}
const namesIn = (map: TransientMap<number, { name: string }>): readonly string[] =>
  [...map.values()].map(({ name }) => name)

void t.test('a value is found under its key until it is deleted, which gives it back', async t => {
  const map = mapOf('a', 'b')
  t.same(map.get(1), { name: 'b' })
  t.same(map.delete(1), { name: 'b' })
  t.equal(map.get(1), undefined)
  t.equal(map.delete(1), undefined)
  t.equal(map.size, 1)
})

void t.test('a value takes the place of the one before it under the same key', async t => {
  const map = mapOf('a', 'b')
  map.set(0, { name: 'c' })
  t.same(map.get(0), { name: 'c' })
  t.equal(map.size, 2)
  t.same(namesIn(map), ['b', 'c'])
})

void t.test(
  'values come in the order in which they were set, however many were deleted before',
  async t => {
    const map = mapOf()
    for (let key = 0; key < 1000; key += 1) {
      map.set(key, { name: String(key) })
      map.delete(key - 3)
    }
    t.same(namesIn(map), ['997', '998', '999'])
  },
)

void t.test('a value that is deleted while others are gone through is left out', async t => {
  const map = mapOf('a', 'b', 'c')
  const seen: string[] = []
  for (const { name } of map.values()) {
    seen.push(name)
    map.delete(1)
  }
  t.same(seen, ['a', 'c'])
})
