import fc from 'fast-check'
import t from 'tap'
import { Extents } from '../../src/util/extents.js'

const SIZE = 40

type Step = { readonly op: 'insert' | 'remove'; readonly start: number; readonly end: number }

const range = fc
  .tuple(fc.nat(SIZE), fc.nat(SIZE))
  .map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }))

const step: fc.Arbitrary<Step> = fc
  .tuple(fc.constantFrom('insert' as const, 'insert' as const, 'remove' as const), range)
  .map(([op, { start, end }]) => ({ op, start, end }))

function build(steps: readonly Step[]): { extents: Extents; model: Set<number> } {
  const extents = new Extents()
  const model = new Set<number>()
  for (const { op, start, end } of steps) {
    extents[op](start, end)
    for (let i = start; i < end; i += 1) {
      if (op === 'insert') model.add(i)
      else model.delete(i)
    }
    extents.checkInvariants()
  }
  return { extents, model }
}

function members(extents: Iterable<{ start: number; end: number }>): number[] {
  return [...extents].flatMap(({ start, end }) =>
    Array.from({ length: end - start }, (_, i) => start + i),
  )
}

function within(model: ReadonlySet<number>, start: number, end: number): boolean[] {
  return Array.from({ length: end - start }, (_, i) => model.has(start + i))
}

void t.test('any inserts and removals make the same set of integers as a Set', t => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), steps => {
      const { extents, model } = build(steps)
      const expected = [...model].toSorted((a, b) => a - b)
      if (members(extents).join() !== expected.join()) throw new Error('other members')
      if (extents.total !== model.size) throw new Error('another total')
      if (extents.isEmpty !== (model.size === 0)) throw new Error('isEmpty is wrong')
    }),
    {
      numRuns: 500,
      // An empty removal in the middle of a range once cut it in two that touch.
      examples: [
        [
          [
            { op: 'insert', start: 0, end: 10 },
            { op: 'remove', start: 5, end: 5 },
          ],
        ],
      ],
    },
  )
  t.end()
})

void t.test('covers and intersects ask for all and any of a range', t => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 15 }), range, (steps, { start, end }) => {
      const { extents, model } = build(steps)
      const inside = within(model, start, end)
      if (extents.covers(start, end) !== inside.every(Boolean)) throw new Error('covers is wrong')
      if (extents.intersects(start, end) !== inside.some(Boolean)) {
        throw new Error('intersects is wrong')
      }
    }),
    { numRuns: 500 },
  )
  t.end()
})

void t.test('split cuts a range into its parts in and out of the set, in order', t => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 15 }), range, (steps, { start, end }) => {
      const { extents, model } = build(steps)
      let position = start
      let before: boolean | undefined
      for (const piece of extents.split(start, end)) {
        if (piece.start !== position || piece.end <= piece.start) throw new Error('not in order')
        if (piece.inside === before) throw new Error('two pieces that are one')
        if (within(model, piece.start, piece.end).some(inside => inside !== piece.inside)) {
          throw new Error('a piece on the wrong side')
        }
        position = piece.end
        before = piece.inside
      }
      if (position !== end) throw new Error('the pieces do not reach the end')
    }),
    { numRuns: 500 },
  )
  t.end()
})

void t.test('what is no range is refused', t => {
  const extents = new Extents()
  for (const [start, end] of [
    [-1, 2],
    [3, 2],
    [0.5, 2],
    [0, Infinity],
    [Number.NaN, 2],
  ] as const) {
    t.throws(() => extents.insert(start, end), RangeError, `insert [${start}, ${end})`)
    t.throws(() => extents.remove(start, end), RangeError, `remove [${start}, ${end})`)
  }
  t.ok(extents.isEmpty)
  t.end()
})

void t.test('an open end may be asked about', t => {
  const extents = new Extents()
  extents.insert(10, 20)
  t.ok(extents.intersects(19, Infinity))
  t.notOk(extents.intersects(20, Infinity))
  t.notOk(extents.covers(10, Infinity))
  extents.clear()
  t.notOk(extents.intersects(0, Infinity))
  t.end()
})
