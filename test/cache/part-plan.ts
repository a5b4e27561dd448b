/** Which bytes of a file are uploaded and which are copied, and in what parts. */
import fc from 'fast-check'
import t from 'tap'
import { planParts } from '../../src/cache/part-plan.js'
import type { PartPlanOptions, PlannedPart } from '../../src/cache/part-plan.js'
import type { Piece } from '../../src/cache/write-buffer.js'
import { PartLayout } from '../../src/driver/parts.js'
import { GiB, MiB } from '../../src/util/units.js'

const LIMITS = { partSize: 10 * MiB, minPartSize: 5 * MiB, maxPartSize: 100 * MiB, maxParts: 1000 }

/** A file in mebibytes: `d` is written, `b` from the base at the same place, `h` a hole. */
function piecesOf(map: string): PartPlanOptions['pieces'] {
  return (start, end) =>
    map.split('').flatMap((letter, i): Piece[] => {
      const offset = Math.max(start, i * MiB)
      const length = Math.min(end, (i + 1) * MiB) - offset
      if (length <= 0) return []
      if (letter === 'b') return [{ kind: 'stored', offset, length, source: 'base', from: offset }]
      return [{ kind: letter === 'h' ? 'hole' : 'staged', offset, length }]
    })
}

function plan(map: string, options: Partial<PartPlanOptions> = {}): PlannedPart[] {
  const limits = options.limits ?? LIMITS
  return planParts({
    size: map.length * MiB,
    limits,
    layout: new PartLayout(limits),
    sent: [],
    pieces: piecesOf(map),
    ...options,
  })
}

function shape(parts: readonly PlannedPart[]): string[] {
  return parts.map(
    ({ kind, partNumber, start, end }) => `${kind} ${partNumber} ${start / MiB}-${end / MiB}`,
  )
}

const of = (letter: string, count: number): string => letter.repeat(count)

void t.test('written bytes are uploaded in parts of the usual size', async t => {
  t.same(shape(plan(of('d', 30))), ['upload 1 0-10', 'upload 2 10-20', 'upload 3 20-30'])
  t.same(shape(plan(of('d', 8))), ['upload 1 0-8'])
  t.same(plan(''), [])
})

void t.test(
  'a little more than one part is one part rather than two that are too small',
  async t => {
    const limits = { ...LIMITS, minPartSize: 9 * MiB }
    t.same(shape(plan(of('d', 12), { limits })), ['upload 1 0-12'])
  },
)

void t.test('what the base has is copied, around what was written', async t => {
  t.same(shape(plan(of('b', 30) + of('d', 6) + of('b', 30))), [
    'copy 1 0-30',
    'upload 2 30-36',
    'copy 3 36-66',
  ])
})

void t.test('a change that is too small for a part takes bytes that follow it along', async t => {
  t.same(shape(plan(of('b', 30) + 'd' + of('b', 30))), [
    'copy 1 0-30',
    'upload 2 30-35',
    'copy 3 35-61',
  ])
  t.same(shape(plan(`d${of('b', 30)}`)), ['upload 1 0-5', 'copy 2 5-31'])
})

void t.test('a rest that would be too small to copy goes along', async t => {
  t.same(shape(plan(of('b', 30) + 'd' + of('b', 7))), ['copy 1 0-30', 'upload 2 30-38'])
  t.same(shape(plan(`d${of('b', 4)}d${of('b', 20)}`)), ['upload 1 0-6', 'copy 2 6-26'])
})

void t.test('the last part may be as small as it is', async t => {
  t.same(shape(plan(`${of('b', 30)}d`)), ['copy 1 0-30', 'upload 2 30-31'])
})

void t.test(
  'before a part that was sent, what is too small takes bytes before it along',
  async t => {
    const map = `${of('b', 19)}d${of('d', 12)}`
    t.same(shape(plan(map, { sent: [2] })), ['copy 1 0-15', 'upload 2 15-20', 'upload 4 30-32'])
  },
)

void t.test('a copy is no larger than a part may be, and none is too small', async t => {
  t.same(shape(plan(of('b', 201))), ['copy 1 0-67', 'copy 2 67-134', 'copy 3 134-201'])
})

void t.test('holes are uploaded', async t => {
  t.same(shape(plan(of('b', 10) + of('h', 10))), ['copy 1 0-10', 'upload 2 10-20'])
})

void t.test('where numbers are short, parts are cut along the grid', async t => {
  const limits = { ...LIMITS, maxParts: 4 }
  const map = `bbbbbdddddbbbbbdddddbbbbb${of('d', 15)}`
  t.same(shape(plan(map, { limits })), [
    'upload 1 0-10',
    'upload 2 10-20',
    'upload 3 20-30',
    'upload 4 30-40',
  ])
})

void t.test('ten gibibytes: a change moves one small part, a cut none', async t => {
  const limits = {
    partSize: 10 * MiB,
    minPartSize: 5 * MiB,
    maxPartSize: 5 * GiB,
    maxParts: 10_000,
  }
  const at = 7 * GiB + 12_345
  const base = (start: number, end: number): Piece[] =>
    end > start
      ? [{ kind: 'stored', offset: start, length: end - start, source: 'base', from: start }]
      : []
  const pieces = (): Piece[] => [
    ...base(0, at),
    { kind: 'hole', offset: at, length: 4096 },
    ...base(at + 4096, 10 * GiB),
  ]
  const layout = new PartLayout(limits)
  const bytes = (parts: readonly PlannedPart[]): number =>
    parts.reduce((sum, { kind, start, end }) => sum + (kind === 'upload' ? end - start : 0), 0)
  t.equal(bytes(planParts({ size: 10 * GiB, limits, layout, sent: [], pieces })), 5 * MiB)
  const cut = planParts({ size: at, limits, layout, sent: [], pieces: () => base(0, at) })
  t.equal(bytes(cut), 0)
})

void t.test('whatever a file is made of, its parts make it up and keep all rules', async t => {
  const letters = fc.array(fc.constantFrom('d', 'b', 'h'), { maxLength: 12 })
  const runs = fc.array(fc.record({ letters, repeat: fc.integer({ min: 1, max: 12 }) }))
  const sent = fc.uniqueArray(fc.nat(8), { maxLength: 4 })
  const limits = { ...LIMITS, maxPartSize: 35 * MiB }
  const layout = new PartLayout(limits)
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(runs, sent, fc.constantFrom(20, 60, 1000), (runs, sent, maxParts) => {
        const map = runs
          .map(({ letters, repeat }) => letters.map(letter => of(letter, repeat)).join(''))
          .join('')
          .slice(0, 20 * 10)
        const inside = sent.filter(index => (index + 1) * 10 < map.length).toSorted((a, b) => a - b)
        const parts = plan(map, { limits: { ...limits, maxParts }, layout, sent: inside })
        checkParts(map, inside, parts, maxParts)
      }),
      { numRuns: 300 },
    ),
  )
})

function checkParts(
  map: string,
  sent: readonly number[],
  planned: readonly PlannedPart[],
  maxParts: number,
): void {
  const known = sent.map(index => ({
    kind: 'sent' as const,
    partNumber: index + 1,
    start: index * 10 * MiB,
    end: (index + 1) * 10 * MiB,
  }))
  const all = [...planned, ...known].toSorted((a, b) => a.partNumber - b.partNumber)
  let position = 0
  for (const [i, part] of all.entries()) {
    const length = part.end - part.start
    if (part.start !== position) throw new Error(`a gap or an overlap at ${position}`)
    if (i > 0 && part.partNumber === all[i - 1]?.partNumber) throw new Error('a number twice')
    if (length < LIMITS.minPartSize && i < all.length - 1) throw new Error('too small')
    if (length > 35 * MiB) throw new Error('too large')
    const letters = map.slice(part.start / MiB, Math.ceil(part.end / MiB))
    if (part.kind === 'copy' && /[^b]/.test(letters)) throw new Error('copied what is not there')
    position = part.end
  }
  if (position !== map.length * MiB) throw new Error('bytes are missing')
  if ((all.at(-1)?.partNumber ?? 0) > maxParts) throw new Error('too many parts')
}
