/** Which parts of a file are uploaded and which are copied. */
import fc from 'fast-check'
import t from 'tap'
import { planParts } from '../../src/cache/part-plan.js'
import type { PartPlanOptions } from '../../src/cache/part-plan.js'

const GRID = 10

function plan(options: Partial<PartPlanOptions> & { size: number }): string[] {
  const parts = planParts({
    partSize: GRID,
    maxPartSize: 1000,
    isSent: () => false,
    isClean: () => false,
    ...options,
  })
  return parts.map(({ kind, partNumber, start, end }) => `${kind} ${partNumber} ${start}-${end}`)
}

void t.test('dirty parts are uploaded one by one, the last as short as it is', async t => {
  t.same(plan({ size: 25 }), ['upload 1 0-10', 'upload 2 10-20', 'upload 3 20-25'])
  t.same(plan({ size: 0 }), [])
})

void t.test('untouched neighbours are one copy, around what changed', async t => {
  const isClean = (start: number, end: number): boolean => end <= 30 || start >= 40
  t.same(plan({ size: 75, isClean }), ['copy 1 0-30', 'upload 4 30-40', 'copy 5 40-75'])
})

void t.test('a copy is no larger than a part may be', async t => {
  const options = { size: 55, maxPartSize: 25, isClean: () => true }
  t.same(plan(options), ['copy 1 0-20', 'copy 3 20-40', 'copy 5 40-55'])
})

void t.test('parts that were sent are left out and part the copies', async t => {
  const isSent = (index: number): boolean => index === 1
  t.same(plan({ size: 40, isClean: () => true, isSent }), ['copy 1 0-10', 'copy 3 20-40'])
})

void t.test('every byte that was not sent is in exactly one part, in ascending order', async t => {
  const flags = fc.array(fc.record({ sent: fc.boolean(), clean: fc.boolean() }), { maxLength: 20 })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(flags, fc.nat(GRID - 1), (parts, cut) => {
        const size = Math.max(0, parts.length * GRID - cut)
        const planned = planParts({
          size,
          partSize: GRID,
          maxPartSize: 35,
          isSent: index => parts[index]?.sent === true,
          isClean: start => parts[start / GRID]?.clean === true,
        })
        const seen = Array.from({ length: size }, () => 0)
        let last = 0
        for (const { partNumber, start, end, kind } of planned) {
          if (partNumber <= last || start !== (partNumber - 1) * GRID) return false
          last = partNumber
          for (let at = start; at < end; at += 1) {
            seen[at] = (seen[at] ?? 0) + 1
            if ((kind === 'copy') !== parts[Math.floor(at / GRID)]?.clean) return false
          }
        }
        return seen.every((times, at) => times === (parts[Math.floor(at / GRID)]?.sent ? 0 : 1))
      }),
    ),
  )
})
