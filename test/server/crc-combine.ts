import { crc32 } from 'node:zlib'
import t from 'tap'
import { combineCrc32, combineCrc32c } from '../../src/server/crc-combine.js'
import { crc32c } from '../../src/server/crc32c.js'
import { seededBytes } from '../helpers/bos-harness.js'

const SIZES = [[], [0], [1], [1, 1], [0, 5, 0], [100, 100, 100, 7], [65_536, 3, 1_000_003]]

void t.test('the CRC of joined data follows from those of its pieces', t => {
  for (const sizes of SIZES) {
    const pieces = sizes.map(size => seededBytes(size))
    const whole = Buffer.concat(pieces)
    const by = (crc: (bytes: Uint8Array) => number) =>
      pieces.map(piece => ({ crc: crc(piece), size: piece.length }))
    t.equal(combineCrc32(by(bytes => crc32(bytes))), crc32(whole), `${sizes.join()}`)
    t.equal(combineCrc32c(by(bytes => crc32c(bytes))), crc32c(whole), `${sizes.join()}`)
  }
  t.end()
})

void t.test('joining is associative, for sizes that nobody could hash here', t => {
  const [one, two, three] = [
    { crc: 0x12345678, size: 5 * 2 ** 30 },
    { crc: 0x9abcdef0, size: 48 * 2 ** 40 + 1 },
    { crc: 0x0f1e2d3c, size: 2 ** 45 + 12_345 },
  ]
  for (const combine of [combineCrc32, combineCrc32c]) {
    const left = { crc: combine([one, two]), size: one.size + two.size }
    const right = { crc: combine([two, three]), size: two.size + three.size }
    t.equal(combine([left, three]), combine([one, two, three]))
    t.equal(combine([one, right]), combine([one, two, three]))
  }
  t.end()
})
