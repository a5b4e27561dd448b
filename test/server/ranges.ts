import fc from 'fast-check'
import t from 'tap'
import { parseRange } from '../../src/server/ranges.js'

void t.test('ranges are clamped to the object', async t => {
  t.strictSame(parseRange('bytes=0-0', 10), { kind: 'range', first: 0, last: 0 })
  t.strictSame(parseRange('bytes=5-', 10), { kind: 'range', first: 5, last: 9 })
  t.strictSame(parseRange('bytes=5-100', 10), { kind: 'range', first: 5, last: 9 })
  t.strictSame(parseRange('bytes=-3', 10), { kind: 'range', first: 7, last: 9 })
  t.strictSame(parseRange('bytes=-30', 10), { kind: 'range', first: 0, last: 9 })
})

void t.test('what no byte answers to cannot be satisfied', async t => {
  for (const header of ['bytes=10-', 'bytes=10-20', 'bytes=5-4', 'bytes=-0']) {
    t.equal(parseRange(header, 10).kind, 'unsatisfiable', header)
  }
  t.equal(parseRange('bytes=0-', 0).kind, 'unsatisfiable')
  t.equal(parseRange('bytes=-1', 0).kind, 'unsatisfiable')
})

void t.test('anything else means the whole object', async t => {
  for (const header of [undefined, '', 'bytes=', 'bytes=-', 'lines=1-2', 'bytes=1-2,4-5', 'x']) {
    t.equal(parseRange(header, 10).kind, 'whole', String(header))
  }
})

void t.test('a range never leaves the object', async t => {
  const number = fc.nat(50)
  fc.assert(
    fc.property(fc.option(number), fc.option(number), number, (from, to, size) => {
      const verdict = parseRange(`bytes=${from ?? ''}-${to ?? ''}`, size)
      if (verdict.kind !== 'range') return
      t.ok(verdict.first >= 0 && verdict.first <= verdict.last && verdict.last < size)
    }),
  )
})
