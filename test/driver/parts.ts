import fc from 'fast-check'
import t from 'tap'
import { PartLayout, partSizeOf } from '../../src/driver/parts.js'
import { GiB, MiB } from '../../src/util/units.js'

const BOS = { maxPartSize: 5 * GiB, maxParts: 10_000 }
/** 48.8 TB. @see https://cloud.baidu.com/doc/BOS/s/Ikc5nv3wc */
const BOS_LARGEST_OBJECT = 48.8e12

/** Every size that the parameter `chunksize` may have. */
const chunkSizes = fc.integer({ min: 5 * MiB, max: 5 * GiB })

void t.test('parts are chunks at first and grow from there on', async t => {
  const limits = { ...BOS, partSize: 10 * MiB }
  for (const number of [1, 100, 400]) t.equal(partSizeOf(number, limits), 10 * MiB)
  t.equal(partSizeOf(401, limits), 11 * MiB)
  t.equal(partSizeOf(10_000, limits), 5 * GiB)
  const layout = new PartLayout(limits)
  t.equal(layout.partAt(3 * GiB).size, 10 * MiB)
  t.ok(layout.partAt(10 * GiB).size < 100 * MiB, 'a large image is still many parts')
})

void t.test('the largest object of BOS fits, whatever the chunk size', async t => {
  fc.assert(
    fc.property(chunkSizes, partSize => {
      return new PartLayout({ ...BOS, partSize }).maxSize >= BOS_LARGEST_OBJECT
    }),
    { numRuns: 30, examples: [[5 * MiB], [10 * MiB], [5 * GiB]] },
  )
  t.equal(new PartLayout({ ...BOS, partSize: 5 * GiB }).maxSize, 50_000 * GiB)
})

void t.test('no part is smaller than the one before it, than a chunk, or too large', async () => {
  fc.assert(
    fc.property(chunkSizes, fc.integer({ min: 2, max: BOS.maxParts }), (partSize, number) => {
      const limits = { ...BOS, partSize }
      const size = partSizeOf(number, limits)
      return (
        size >= partSizeOf(number - 1, limits) &&
        size >= partSize &&
        size <= BOS.maxPartSize &&
        (number > 400 || size === partSize)
      )
    }),
  )
})

void t.test('every byte is in one part, and every part has the size its number gives', async t => {
  const limits = { ...BOS, partSize: 5 * MiB }
  const layout = new PartLayout(limits)
  let end = 0
  for (let number = 1; number <= limits.maxParts; number++) {
    const { offset, size } = layout.part(number)
    if (offset !== end || size !== partSizeOf(number, limits)) t.fail(`part ${number}`)
    end = offset + size
  }
  t.equal(end, layout.maxSize)
  fc.assert(
    fc.property(fc.integer({ min: 0, max: layout.maxSize - 1 }), at => {
      const { partNumber, offset, size } = layout.partAt(at)
      return offset <= at && at < offset + size && layout.part(partNumber).offset === offset
    }),
  )
})

void t.test('there are no parts outside', async t => {
  const layout = new PartLayout({ partSize: MiB, maxPartSize: MiB, maxParts: 3 })
  t.equal(layout.maxSize, 3 * MiB)
  t.equal(layout.partAt(3 * MiB - 1).partNumber, 3)
  for (const bad of [-1, 3 * MiB]) t.throws(() => layout.partAt(bad), RangeError)
  for (const bad of [0, 4]) t.throws(() => layout.part(bad), RangeError)
})
