import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import t from 'tap'
import { ByteReader, ByteWriter } from '../../src/util/cursor.js'

await t.test('integers are read in little-endian order', async t => {
  const bytes = Uint8Array.of(1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff, 8, 0, 0, 0, 1, 0, 0, 0)
  const reader = new ByteReader().reset(bytes)
  t.equal(reader.u16(), 0x0201)
  t.equal(reader.u16(), 0x0403)
  t.equal(reader.i32(), -1)
  t.equal(reader.u64(), 2 ** 32 + 8)
  t.equal(reader.remaining, 0)
  t.equal(reader.position, 16)
})

await t.test('what lies behind the end is never read', async t => {
  const reader = new ByteReader()
  for (const width of ['u16', 'u32', 'i32', 'u64', 'i64', 'u64Rounded'] as const) {
    reader.reset(Buffer.alloc(20, 1), 4, 5)
    t.throws(() => reader[width](), RangeError, width)
    t.equal(reader.position, 4, 'and the cursor stays')
  }
  reader.reset(Buffer.alloc(20, 1), 4, 5)
  t.throws(() => reader.bytes(2), RangeError)
  t.throws(() => reader.skip(2), RangeError)
  t.throws(() => reader.skip(-1), RangeError)
  t.throws(() => reader.utf8(2), RangeError)
  t.throws(() => reader.reset(Buffer.alloc(4), 2, 5), RangeError)
  t.throws(() => reader.reset(Buffer.alloc(4), 3, 2), RangeError)
})

await t.test('64-bit integers outside the safe range are refused or rounded', async t => {
  const reader = new ByteReader()
  const huge = Buffer.alloc(8, 0xff)
  t.throws(() => reader.reset(huge).u64(), RangeError)
  t.equal(reader.reset(huge).i64(), -1)
  t.equal(reader.reset(huge).u64Rounded(), 2 ** 64)
  huge.writeBigInt64LE(-(2n ** 60n))
  t.throws(() => reader.reset(huge).i64(), RangeError)
  t.throws(() => new ByteWriter().reset(huge).u64(2 ** 53), RangeError)
  t.throws(() => new ByteWriter().reset(huge).u64(1.5), RangeError)
})

await t.test('text ends at a NUL within the limit, and is UTF-8 or undefined', async t => {
  const reader = new ByteReader().reset(Buffer.from('añb\0rest'), 0, 6)
  t.equal(reader.lengthBeforeNul(), 4)
  t.equal(reader.utf8(4), 'añb')
  reader.skip(1)
  t.throws(() => reader.lengthBeforeNul(), RangeError)
  t.throws(() => reader.reset(Buffer.from('ab\0'), 0, 2).lengthBeforeNul(), RangeError)
  t.equal(reader.reset(Uint8Array.of(0x61, 0xff)).utf8(2), undefined)
  t.equal(reader.reset(Buffer.from('\ufffd')).utf8(3), '\ufffd', 'the replacement itself is text')
  t.equal(reader.reset(Buffer.from('\ufeffa')).utf8(4), '\ufeffa', 'nothing is stripped')
})

await t.test('nothing is written behind the end', async t => {
  const bytes = Buffer.alloc(3)
  const writer = new ByteWriter().reset(bytes)
  t.throws(() => writer.u32(1), RangeError)
  t.throws(() => writer.u64(1), RangeError)
  t.throws(() => writer.zeros(4), RangeError)
  t.throws(() => writer.bytes(Buffer.alloc(4)), RangeError)
  t.throws(() => writer.utf8('ää'), RangeError)
  t.throws(() => writer.seek(4), RangeError)
  t.strictSame([...bytes], [0, 0, 0])
  t.equal(writer.utf8('ab'), 2)
  t.equal(writer.remaining, 1)
})

await t.test('what is written is read', async t => {
  const field = fc.oneof(
    fc.record({ kind: fc.constant('u16' as const), value: fc.integer({ min: 0, max: 0xffff }) }),
    fc.record({ kind: fc.constant('u32' as const), value: fc.nat(0xffff_ffff) }),
    fc.record({ kind: fc.constant('i32' as const), value: fc.integer() }),
    fc.record({ kind: fc.constant('u64' as const), value: fc.maxSafeNat() }),
    fc.record({ kind: fc.constant('i64' as const), value: fc.maxSafeInteger() }),
    fc.record({ kind: fc.constant('utf8' as const), value: fc.string({ unit: 'binary' }) }),
  )
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(field), fields => {
        const writer = new ByteWriter().reset(Buffer.alloc(4096), 5)
        const lengths = fields.map(({ kind, value }) => {
          const before = writer.position
          if (kind === 'utf8') writer.utf8(value)
          else writer[kind === 'i64' ? 'u64' : kind](value)
          return writer.position - before
        })
        const bytes = Buffer.alloc(4096)
        const again = new ByteWriter().reset(bytes, 5)
        for (const { kind, value } of fields) {
          if (kind === 'utf8') again.utf8(value)
          else again[kind === 'i64' ? 'u64' : kind](value)
        }
        const reader = new ByteReader().reset(bytes, 5, writer.position)
        return fields.every(({ kind, value }, index) =>
          kind === 'utf8'
            ? reader.utf8(lengths[index] ?? 0) === Buffer.from(value).toString()
            : reader[kind]() === value,
        )
      }),
    ),
  )
})
