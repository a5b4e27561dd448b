import t from 'tap'
import { PartRules } from '../../src/driver/part-rules.js'

const limits = { partSize: 10, minPartSize: 5, maxPartSize: 20, maxParts: 3 }
const rules = new PartRules({ driver: 'd', path: '/f', limits })
const part = (partNumber: number, size = 5, etag = `e${partNumber}`) => ({ partNumber, etag, size })

void t.test('numbers and sizes of parts have bounds', t => {
  for (const number of [1, 2, 3]) rules.check(number, 20)
  for (const number of [0, 4, -1, 1.5, NaN]) {
    t.throws(() => rules.check(number), { code: 'FAILED', message: /is not between 1 and 3/ })
  }
  t.throws(() => rules.check(1, 21), { message: /a part is larger than 20 bytes/, path: '/f' })
  t.end()
})

void t.test('what a completion names is as it was stored, in order', t => {
  const stored = new Map([part(1), part(2, 4), part(3, 1)].map(each => [each.partNumber, each]))
  t.same(rules.chosen([part(3), part(1)], stored), [part(1), part(3, 1)], 'with gaps')
  t.throws(() => rules.chosen([], stored), { message: /needs at least one part/ })
  t.throws(() => rules.chosen([part(1, 5, 'other')], stored), { code: 'INTEGRITY' })
  t.throws(() => rules.chosen([part(1), part(2), part(3)], stored), {
    message: /part 2 of \/f is smaller than 5/,
  })
  t.end()
})
