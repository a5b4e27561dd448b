import fc from 'fast-check'
import t from 'tap'
import { ReadAhead, type Advice } from '../../src/cache/read-ahead.js'
import { GiB, KiB, MiB } from '../../src/util/units.js'

const BLOCK = 128 * KiB
const SIZE = GiB

interface Run {
  readonly advices: readonly Advice[]
  /** What was named in all. */
  readonly named: number
}

function read(
  offsets: readonly number[],
  length: number,
  { size = SIZE, most = 64 * MiB, ahead = new ReadAhead({ blockSize: BLOCK }) } = {},
): Run {
  const advices = offsets.map(offset => ahead.advance({ offset, length }, size, most))
  const named = advices
    .flatMap(advice => advice.ahead)
    .reduce((sum, range) => sum + range.length, 0)
  return { advices, named }
}

function sequence(count: number, length: number, start = 0): number[] {
  return Array.from({ length: count }, (_, i) => start + i * length)
}

void t.test('a small file comes whole with the first read', t => {
  for (const length of [4 * KiB, 128 * KiB, MiB]) {
    const { advices, named } = read([0], length)
    t.equal(length + (advices[0]?.reach ?? 0), MiB)
    t.equal(named, 0, 'and one read is not yet a run')
  }
  t.end()
})

void t.test('a run is followed further the longer it is, by large requests in the end', t => {
  for (const length of [4 * KiB, 128 * KiB, MiB]) {
    const count = (256 * MiB) / length
    const { advices } = read(sequence(count, length), length)
    let named = MiB
    for (const [i, { ahead }] of advices.entries()) {
      const position = (i + 1) * length
      named = Math.max(named, position)
      for (const range of ahead) {
        t.equal(range.offset, named, 'in order and without a gap')
        named += range.length
      }
      if (named > position + 64 * MiB || named > MiB + 9 * position)
        t.fail(`too far at ${position}`)
      if (position > 32 * MiB && named < position + 48 * MiB) t.fail(`not far at ${position}`)
    }
    const sizes = advices.slice(-100).flatMap(({ ahead }) => ahead.map(range => range.length))
    t.ok(sizes.every(size => size === 8 * MiB))
  }
  t.end()
})

void t.test('nothing is named behind the end of the file', t => {
  const size = 10 * MiB + 5
  const { advices } = read(sequence(Math.ceil(size / BLOCK), BLOCK), BLOCK, { size })
  const ranges = advices.flatMap(({ ahead }) => ahead)
  t.equal(Math.max(...ranges.map(({ offset, length }) => offset + length)), size)
  t.end()
})

void t.test('random reads fetch nothing ahead', t => {
  const { advices, named } = read(
    [50, 3, 99, 20, 70, 10].map(n => n * MiB),
    4 * KiB,
  )
  t.equal(named, 0)
  t.ok(advices.every(({ reach }) => reach === 0))
  t.end()
})

void t.test('a run in the middle of a file fetches no more ahead than it has read', t => {
  for (const length of [64 * KiB, 128 * KiB, 256 * KiB, MiB]) {
    const offsets = sequence(MiB / length, length, 10 * MiB)
    const { advices } = read(offsets, length)
    const ends = advices.flatMap(({ reach, ahead }, i) => [
      (offsets[i] ?? 0) + length + reach,
      ...ahead.map(range => range.offset + range.length),
    ])
    t.ok(Math.max(...ends) <= 12 * MiB, `reads of ${length}`)
  }
  const long = read(sequence(64, 128 * KiB, 10 * MiB), 128 * KiB)
  t.ok(long.named > 8 * MiB, 'a long one is followed like any other')
  t.end()
})

void t.test('a jump ends what was ahead, and reading on begins anew', t => {
  const ahead = new ReadAhead({ blockSize: BLOCK })
  read(sequence(64, BLOCK), BLOCK, { ahead })
  t.ok(ahead.isAhead)
  const [jump] = read([500 * MiB], BLOCK, { ahead }).advices
  t.match(jump, { jumped: true, reach: 0, ahead: [] })
  t.notOk(ahead.isAhead)
  t.ok(read(sequence(64, BLOCK, 500 * MiB + BLOCK), BLOCK, { ahead }).named > 0)
  t.end()
})

void t.test('neighbouring reads out of order are one run', t => {
  const offsets = sequence(64, BLOCK).map((offset, i) => offset + (i % 2 === 0 ? BLOCK : -BLOCK))
  const { advices, named } = read([0, ...offsets.slice(2)], BLOCK)
  t.ok(advices.every(({ jumped }) => !jumped))
  t.ok(named > 16 * MiB)
  t.end()
})

void t.test('equal strides are followed, forwards and backwards', t => {
  for (const step of [10 * MiB, -10 * MiB]) {
    const offsets = Array.from({ length: 20 }, (_, i) => 500 * MiB + i * step)
    const { advices } = read(offsets, 64 * KiB)
    const named = advices.flatMap(({ ahead }) => ahead.map(({ offset }) => offset))
    t.same(
      named,
      Array.from({ length: named.length }, (_, i) => 500 * MiB + (i + 4) * step),
      'each once, from the next one on',
    )
    t.ok(named.length >= 20)
  }
  t.end()
})

void t.test('no room to be ahead means nothing ahead', t => {
  const { named } = read(sequence(64, BLOCK), BLOCK, { most: 0 })
  t.equal(named, 0)
  t.end()
})

void t.test('whatever is read, ranges are in the file, new, and within bounds', t => {
  const position = fc.oneof(fc.constant(-1), fc.nat(40 * MiB))
  fc.assert(
    fc.property(
      fc.array(fc.tuple(position, fc.integer({ min: 1, max: MiB })), { maxLength: 60 }),
      fc.integer({ min: 1, max: 40 * MiB }),
      fc.nat(16 * MiB),
      (reads, size, most) => {
        const ahead = new ReadAhead({ blockSize: BLOCK })
        let next = 0
        for (const [at, length] of reads) {
          const offset = at === -1 ? next : at
          if (offset >= size) continue
          next = offset + length
          const advice = ahead.advance({ offset, length }, size, most)
          if (advice.reach < 0 || advice.reach > MiB * 9) return false
          const total = advice.ahead.reduce((sum, range) => sum + range.length, 0)
          if (total > most + 8 * MiB) return false
          for (const range of advice.ahead) {
            if (range.offset < 0 || range.offset >= size || range.length <= 0) return false
          }
        }
        return true
      },
    ),
  )
  t.end()
})
