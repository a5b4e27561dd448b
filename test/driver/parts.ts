import fc from 'fast-check'
import t from 'tap'
import { PartLayout, partSizeAt } from '../../src/driver/parts.js'
import { GiB, MiB, TiB } from '../../src/util/units.js'

const BOS = { maxPartSize: 5 * GiB, maxParts: 10_000 }

void t.test('parts are chunks at first and grow with what lies before them', async t => {
  const limits = { ...BOS, partSize: 10 * MiB }
  t.equal(partSizeAt(0, limits), 10 * MiB)
  t.equal(partSizeAt(9 * GiB, limits), 10 * MiB)
  t.equal(partSizeAt(100 * GiB, limits), 103 * MiB)
  t.equal(partSizeAt(40 * TiB, limits), 5 * GiB)
})

void t.test('files far above 5 TB fit, whatever the chunk size', async t => {
  for (const partSize of [5, 10, 16, 64, 1024].map(size => size * MiB)) {
    const { maxSize } = new PartLayout({ ...BOS, partSize })
    t.ok(maxSize > 15 * TiB, `${partSize / MiB} MiB reach ${(maxSize / TiB).toFixed(1)} TiB`)
  }
  t.equal(new PartLayout({ ...BOS, partSize: 5 * GiB }).maxSize, 50_000 * GiB)
})

void t.test('every byte is in one part, and every part has the size its offset gives', async t => {
  const limits = { ...BOS, partSize: 5 * MiB }
  const layout = new PartLayout(limits)
  let end = 0
  for (let number = 1; number <= limits.maxParts; number++) {
    const { offset, size } = layout.part(number)
    if (offset !== end || size !== partSizeAt(offset, limits)) t.fail(`part ${number}`)
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
