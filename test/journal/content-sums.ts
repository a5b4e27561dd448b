/** Checksums of blocks, and the table that they are kept in. */
import t from 'tap'
import { ContentSums, SUMMED, TRAILER } from '../../src/journal/content-sums.js'
import { crc32Of } from '../../src/util/checksum.js'
import { bytes } from '../driver/helpers.js'

void t.test('blocks are summed as they lie in the file, however their bytes come', t => {
  const content = bytes(2 * SUMMED + 1000, 1)
  const sums = new ContentSums()
  sums.add(3 * SUMMED, [bytes(10, 2)])
  sums.add(0, [content.subarray(0, 5), Buffer.alloc(0), content.subarray(5)])
  const blocks = [...sums.covering(0, 4 * SUMMED)]
  t.same(
    blocks.map(({ start, length }) => [start / SUMMED, length]),
    [
      [0, SUMMED],
      [1, SUMMED],
      [2, 1000],
      [3, 10],
    ],
  )
  t.equal(blocks[1]?.crc, crc32Of([content.subarray(SUMMED, 2 * SUMMED)]))
  t.equal(blocks[3]?.crc, crc32Of([bytes(10, 2)]))
  t.same([...sums.covering(SUMMED + 1, 1)], [blocks[1]])
  t.same([...sums.covering(SUMMED - 1, 2)], blocks.slice(0, 2))
  t.end()
})

void t.test('a table is read as it was written, or not at all', t => {
  const sums = new ContentSums()
  sums.add(0, [bytes(SUMMED + 1, 1)])
  sums.add(4 * SUMMED, [bytes(7, 2)])
  const encoded = sums.encode()
  const read = (from: Buffer): ContentSums | undefined => {
    const trailer = from.subarray(-TRAILER)
    const length = ContentSums.tableLength(trailer)
    if (length === undefined || length !== from.length - TRAILER) return undefined
    return ContentSums.decode(from.subarray(0, length), trailer)
  }
  t.same([...(read(encoded)?.covering(0, 5 * SUMMED) ?? [])], [...sums.covering(0, 5 * SUMMED)])
  for (let at = 0; at < encoded.length; at += 1) {
    const damaged = Buffer.from(encoded)
    damaged[at] = (damaged[at] ?? 0) ^ 1
    t.equal(read(damaged), undefined, `a wrong byte ${at}`)
  }
  t.end()
})
