import fc from 'fast-check'
import t from 'tap'
import { BufferPool } from '../../src/cache/buffer-pool.js'
import { PAGE_SIZE, WriteBuffer } from '../../src/cache/write-buffer.js'
import type { Piece } from '../../src/cache/write-buffer.js'
import { KiB } from '../../src/util/units.js'
import { sequences } from '../helpers/sequences.js'

function buffer(baseSize = 0): WriteBuffer {
  return new WriteBuffer(new BufferPool(4 * PAGE_SIZE), baseSize)
}

/** Pieces as text: kind, and length. */
function shape(pieces: readonly Piece[]): string {
  return pieces
    .map(piece => `${piece.kind === 'stored' ? 'base' : piece.kind} ${piece.length}`)
    .join(', ')
}

function content(pieces: readonly Piece[]): Buffer {
  return Buffer.concat(
    pieces.map(piece => (piece.kind === 'memory' ? piece.data : Buffer.alloc(0))),
  )
}

void t.test('dirty bytes lie over the base, and holes behind it', t => {
  const file = buffer(100)
  file.write(40, Buffer.alloc(20, 1))
  file.write(150, Buffer.alloc(10, 2))
  t.equal(file.size, 160)
  t.equal(shape(file.pieces(0, 1000)), 'base 40, memory 20, base 40, hole 50, memory 10')
  t.equal(shape(file.pieces(50, 55)), 'memory 5')
  t.equal(shape(file.pieces(160, 1000)), '')
  t.ok(file.isClean(0, 40))
  t.notOk(file.isClean(0, 41))
  t.notOk(file.isClean(90, 110), 'a hole is not what the base has')
  t.ok(file.isWhollyDirty(40, 60))
  t.notOk(file.isWhollyDirty(40, 61))
  file.checkInvariants()
  t.end()
})

void t.test('the data is copied', t => {
  const file = buffer()
  const data = Buffer.from('abc')
  file.write(0, data)
  data.fill(0)
  t.equal(content(file.pieces(0, 3)).toString(), 'abc')
  t.end()
})

void t.test('what is cut off does not come back', t => {
  const file = buffer(100)
  file.write(50, Buffer.alloc(100, 1))
  file.truncate(70)
  t.equal(file.size, 70)
  file.truncate(200)
  t.equal(shape(file.pieces(0, 200)), 'base 50, memory 20, hole 130')
  file.truncate(30)
  file.truncate(60)
  t.equal(shape(file.pieces(0, 200)), 'base 30, hole 30')
  file.checkInvariants()
  t.end()
})

void t.test('a small file holds little memory, which grows in place', t => {
  const file = buffer()
  t.equal(file.cost(0, 20), 16 * KiB)
  file.write(0, Buffer.alloc(20, 1))
  t.equal(file.held, 16 * KiB)
  t.equal(file.cost(20, 20), 0)
  t.equal(file.cost(20, 16 * KiB), 48 * KiB)
  file.write(20, Buffer.alloc(16 * KiB, 2))
  t.equal(file.held, 64 * KiB)
  const all = content(file.pieces(0, file.size))
  t.ok(all.equals(Buffer.concat([Buffer.alloc(20, 1), Buffer.alloc(16 * KiB, 2)])))
  t.equal(file.cost(PAGE_SIZE, 1), PAGE_SIZE, 'later pages are whole')
  t.end()
})

void t.test('sealed bytes are out of reach until they are unsealed or published', t => {
  const file = buffer()
  file.write(0, Buffer.alloc(3 * PAGE_SIZE, 1))
  const data = Buffer.concat(file.seal(PAGE_SIZE, 2 * PAGE_SIZE))
  t.ok(data.equals(Buffer.alloc(PAGE_SIZE, 1)))
  t.ok(file.isSealed(0, PAGE_SIZE + 1))
  t.notOk(file.isSealed(0, PAGE_SIZE))
  t.throws(() => file.write(PAGE_SIZE + 5, Buffer.alloc(1)), RangeError)
  t.throws(() => file.truncate(PAGE_SIZE + 5), RangeError)
  t.throws(() => file.seal(PAGE_SIZE, 2 * PAGE_SIZE), RangeError)
  t.equal(
    shape(file.pieces(0, 3 * PAGE_SIZE)),
    `memory ${PAGE_SIZE}, memory ${PAGE_SIZE}, memory ${PAGE_SIZE}`,
    'they can be read while they are being sent',
  )
  file.unseal(PAGE_SIZE, 2 * PAGE_SIZE)
  t.ok(content(file.pieces(0, 3 * PAGE_SIZE)).equals(Buffer.alloc(3 * PAGE_SIZE, 1)))
  file.seal(PAGE_SIZE, 2 * PAGE_SIZE)
  t.equal(file.drop(PAGE_SIZE, 2 * PAGE_SIZE), PAGE_SIZE)
  t.equal(file.held, 2 * PAGE_SIZE)
  t.equal(
    shape(file.pieces(0, 3 * PAGE_SIZE)),
    `memory ${PAGE_SIZE}, sealed ${PAGE_SIZE}, memory ${PAGE_SIZE}`,
  )
  file.checkInvariants()
  file.reset(3 * PAGE_SIZE)
  t.equal(file.held, 0)
  t.equal(shape(file.pieces(0, 3 * PAGE_SIZE)), `base ${3 * PAGE_SIZE}`)
  t.end()
})

void t.test('a write of nothing changes nothing', t => {
  const file = buffer(10)
  file.write(500, Buffer.alloc(0))
  t.equal(file.size, 10)
  t.equal(file.held, 0)
  t.equal(file.cost(500, 0), 0)
  t.end()
})

type Step =
  | {
      readonly op: 'write'
      readonly offset: number
      readonly length: number
      readonly fill: number
    }
  | { readonly op: 'truncate'; readonly size: number }

const position = fc.oneof(
  fc.nat(3 * PAGE_SIZE),
  fc.constantFrom(0, 1, 16 * KiB, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 2 * PAGE_SIZE),
)

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    op: fc.constant('write' as const),
    offset: position,
    length: fc.oneof(fc.nat(5000), fc.nat(PAGE_SIZE + 10)),
    fill: fc.integer({ min: 1, max: 255 }),
  }),
  fc.record({ op: fc.constant('truncate' as const), size: position }),
)

/** The base's bytes are 0xbb, a hole's 0. */
function run(baseSize: number, steps: readonly Step[]): void {
  const file = buffer(baseSize)
  let model = Buffer.alloc(baseSize, 0xbb)
  for (const each of steps) {
    const size =
      each.op === 'truncate'
        ? each.size
        : Math.max(model.length, each.length === 0 ? 0 : each.offset + each.length)
    const next = Buffer.alloc(size)
    model.copy(next)
    model = next
    if (each.op === 'truncate') file.truncate(each.size)
    else {
      const held = file.held
      const cost = file.cost(each.offset, each.length)
      file.write(each.offset, Buffer.alloc(each.length, each.fill))
      if (file.held !== held + cost) throw new Error('a write costs what it was said to')
      model.subarray(each.offset, each.offset + each.length).fill(each.fill)
    }
    file.checkInvariants()
  }
  const bytes = file.pieces(0, Infinity).map(piece => {
    if (piece.kind === 'memory') return piece.data
    return Buffer.alloc(piece.length, piece.kind === 'stored' ? 0xbb : 0)
  })
  if (!Buffer.concat(bytes).equals(model)) throw new Error('other bytes')
}

void t.test('any writes and truncates make the same bytes as a plain buffer', t => {
  const options = sequences(60)
  fc.assert(fc.property(position, fc.array(step, { maxLength: 12 }), run), options)
  t.ok(true, `${options.numRuns} sequences`)
  t.end()
})
