import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { checksum, copyHeaders } from '../../../src/driver/bos/headers.js'
import { bytes } from '../helpers.js'

void t.test('the checksum of pieces is that of the whole, empty pieces included', async t => {
  const sizes = fc.array(fc.integer({ min: 0, max: 2000 }), { maxLength: 6 })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(sizes, lengths => {
        const pieces = lengths.map((length, i) => bytes(length, i + 1))
        return checksum(pieces) === String(crc32(Buffer.concat(pieces)))
      }),
    ),
  )
})

void t.test('the source of a copy is encoded once, slashes kept', async t => {
  t.same(copyHeaders('b', { key: 'a b/c?d%20', etag: 'e' }), {
    'x-bce-copy-source': '/b/a%20b/c%3Fd%2520',
    'x-bce-copy-source-if-match': '"e"',
  })
})
