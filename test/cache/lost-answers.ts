/** Where the bytes of a file are in a version that it turns out to have made. */
import fc from 'fast-check'
import t from 'tap'
import { LostAnswers, originsOf, rebased } from '../../src/cache/lost-answers.js'
import type { Origin, Source } from '../../src/cache/origins.js'

const other = { path: '/other', etag: 'v1', size: 1000 }

function attempt(...origins: Origin[]) {
  return { size: 100, changes: 1, origins }
}

void t.test('bytes of the base are found where the version has them', async t => {
  const made = attempt(
    { start: 0, end: 20, source: 'base', from: 30 },
    { start: 50, end: 70, source: 'base', from: 50 },
  )
  t.same(rebased([{ start: 5, end: 10, source: 'base', from: 35 }], made), [
    { start: 5, end: 10, source: 'base', from: 5 },
  ])
  t.same(rebased([{ start: 80, end: 100, source: 'base', from: 50 }], made), [
    { start: 80, end: 100, source: 'base', from: 50 },
  ])
})

void t.test('bytes of the base that the version has in pieces are taken in pieces', async t => {
  const made = attempt(
    { start: 0, end: 10, source: 'base', from: 10 },
    { start: 40, end: 50, source: 'base', from: 0 },
  )
  t.same(rebased([{ start: 0, end: 20, source: 'base', from: 0 }], made), [
    { start: 0, end: 10, source: 'base', from: 40 },
    { start: 10, end: 20, source: 'base', from: 0 },
  ])
})

void t.test('bytes of the base that the version does not have are nowhere', async t => {
  const made = attempt({ start: 0, end: 20, source: 'base', from: 0 })
  t.equal(rebased([{ start: 0, end: 21, source: 'base', from: 0 }], made), undefined)
  t.equal(rebased([{ start: 0, end: 1, source: 'base', from: 0 }], attempt()), undefined)
})

void t.test('another object is needed only for what the version does not have', async t => {
  const made = attempt({ start: 0, end: 20, source: other, from: 100 })
  t.same(rebased([{ start: 50, end: 100, source: { ...other }, from: 90 }], made), [
    { start: 50, end: 60, source: other, from: 90 },
    { start: 60, end: 80, source: 'base', from: 0 },
    { start: 80, end: 100, source: other, from: 120 },
  ])
})

interface Span {
  readonly start: number
  readonly length: number
  readonly source: Source
  readonly from: number
}

function toOrigin({ start, length, source, from }: Span): Origin {
  return { start, end: start + length, source, from }
}

void t.test('the bytes are the same, wherever they are taken from', async () => {
  const span: fc.Arbitrary<Span> = fc.record({
    start: fc.integer({ min: 0, max: 40 }),
    length: fc.integer({ min: 1, max: 20 }),
    source: fc.constantFrom('base' as const, other),
    from: fc.integer({ min: 0, max: 40 }),
  })
  const byteAt = ({ source, from, start }: Origin, at: number): string =>
    `${source === 'base' ? 'base' : source.path} ${from + at - start}`
  fc.assert(
    fc.property(span, fc.array(span, { maxLength: 6 }), (wanted, had) => {
      // Disjoint, as those of a file are.
      const content = new Map<number, string>()
      const origins: Origin[] = []
      let next = 0
      for (const each of had.map(toOrigin)) {
        const moved = { ...each, start: next, end: next + each.end - each.start }
        next = moved.end
        origins.push(moved)
        for (let at = moved.start; at < moved.end; at += 1) content.set(at, byteAt(moved, at))
      }
      const origin = toOrigin(wanted)
      const result = rebased([origin], { size: next, changes: 0, origins })
      const all = [...content.values()]
      const bytes = Array.from({ length: wanted.length }, (_, i) =>
        byteAt(origin, origin.start + i),
      )
      const isThere = bytes.every(byte => !byte.startsWith('base') || all.includes(byte))
      if ((result !== undefined) !== isThere) return false
      let position = origin.start
      for (const piece of result ?? []) {
        if (piece.start !== position) return false
        for (; position < piece.end; position += 1) {
          const found = byteAt(piece, position)
          const byte = piece.source === 'base' ? content.get(Number(found.slice(5))) : found
          if (byte !== byteAt(origin, position)) return false
        }
      }
      return result === undefined || position === origin.end
    }),
  )
})

void t.test('what was not written here is what is remembered of a flush', async t => {
  const data = Buffer.alloc(10)
  t.same(
    originsOf([
      { kind: 'memory', offset: 0, length: 10, data },
      { kind: 'stored', offset: 10, length: 5, source: 'base', from: 3 },
      { kind: 'hole', offset: 15, length: 5 },
    ]),
    [{ start: 10, end: 15, source: 'base', from: 3 }],
  )
})

void t.test('the latest flushes are remembered, and not without end', async t => {
  const answers = new LostAnswers()
  t.ok(answers.isEmpty)
  for (let i = 0; i < 17; i += 1) answers.note(`v${i}`, attempt())
  t.equal(answers.get('v0'), undefined)
  t.ok(answers.get('v16'))
  answers.note('v1', attempt())
  answers.note('v17', attempt())
  t.ok(answers.get('v1'), 'it was made anew')
  t.equal(answers.get('v2'), undefined)
  answers.clear()
  t.ok(answers.isEmpty)
})
