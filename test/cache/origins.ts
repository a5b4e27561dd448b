/** Which range of which object each byte of a file comes from. */
import fc from 'fast-check'
import t from 'tap'
import { Origins } from '../../src/cache/origins.js'

const other = { path: '/other', etag: 'v1', size: 1000 }

function shape(origins: Origins, end = 100): string {
  return Array.from(origins.split(0, end))
    .map(({ start, end, ...rest }) => {
      if (rest.source === undefined) return `hole ${start}-${end}`
      const name = rest.source === 'base' ? 'base' : rest.source.path
      return `${name} ${start}-${end} from ${rest.from}`
    })
    .join(', ')
}

void t.test('what is set lies over what was there', async t => {
  const origins = new Origins()
  t.equal(shape(origins), 'hole 0-100')
  origins.reset(60)
  t.ok(origins.isBase(0, 60))
  t.notOk(origins.isBase(0, 61))
  origins.set({ start: 20, end: 30, source: other, from: 500 })
  origins.remove(50, 70)
  t.equal(
    shape(origins),
    'base 0-20 from 0, /other 20-30 from 500, base 30-50 from 30, hole 50-100',
  )
  t.notOk(origins.isBase(10, 40))
  origins.checkInvariants()
})

void t.test('ranges that continue each other are one', async t => {
  const origins = new Origins()
  origins.set({ start: 0, end: 10, source: other, from: 5 })
  origins.set({ start: 20, end: 30, source: other, from: 25 })
  origins.set({ start: 10, end: 20, source: { ...other }, from: 15 })
  t.equal(shape(origins, 30), '/other 0-30 from 5')
  origins.set({ start: 30, end: 40, source: other, from: 0 })
  t.equal(shape(origins, 40), '/other 0-30 from 5, /other 30-40 from 0')
  origins.set({ start: 40, end: 50, source: { ...other, etag: 'v2' }, from: 10 })
  t.equal([...origins].length, 3, 'another version is another object')
})

void t.test('the base elsewhere than at its place is not the base', async t => {
  const origins = new Origins()
  origins.set({ start: 0, end: 10, source: 'base', from: 10 })
  t.notOk(origins.isBase(0, 10))
})

void t.test('any sets and removals agree with a table of bytes', async t => {
  const range = fc.record({ start: fc.nat(50), length: fc.nat(20), from: fc.nat(1000) })
  const steps = fc.array(fc.record({ range, kind: fc.constantFrom('base', 'other', 'remove') }))
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(steps, all => {
        const origins = new Origins()
        const table = Array.from({ length: 70 }, () => '')
        for (const { range, kind } of all) {
          const { start, from } = range
          const end = start + range.length
          if (kind === 'remove') origins.remove(start, end)
          else origins.set({ start, end, source: kind === 'base' ? 'base' : other, from })
          for (let at = start; at < end; at += 1) {
            table[at] = kind === 'remove' ? '' : `${kind} ${from + at - start}`
          }
          origins.checkInvariants()
        }
        const bytes = Array.from(origins.split(0, 70)).flatMap(({ start, end, ...rest }) =>
          Array.from({ length: end - start }, (_, i) => {
            if (rest.source === undefined) return ''
            return `${rest.source === 'base' ? 'base' : 'other'} ${rest.from + i}`
          }),
        )
        return bytes.join() === table.join()
      }),
    ),
  )
})
