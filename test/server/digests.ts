import { createHash } from 'node:crypto'
import t from 'tap'
import { crc32c } from '../../src/server/crc32c.js'
import { Digests, readAnnounced } from '../../src/server/digests.js'

const TEXT = Buffer.from('123456789')
// Check values of the two CRCs in the catalogue of parametrised CRC algorithms.
const CRC32 = 0xcbf43926
const CRC32C = 0xe3069283

void t.test('CRC-32C has its catalogued check value, in one piece and in several', async t => {
  t.equal(crc32c(TEXT), CRC32C)
  t.equal(crc32c(TEXT.subarray(4), crc32c(TEXT.subarray(0, 4))), CRC32C)
  t.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa, 'RFC 3720 appendix B.4')
  t.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43, 'RFC 3720 appendix B.4')
})

void t.test('right checksums pass and come back', async t => {
  const headers = {
    'content-md5': createHash('md5').update(TEXT).digest('base64'),
    'x-bce-content-sha256': createHash('sha256').update(TEXT).digest('hex').toUpperCase(),
    'x-bce-content-crc32': String(CRC32),
    'x-bce-content-crc32c': String(CRC32C),
  }
  const digests = new Digests(readAnnounced(headers))
  digests.update(TEXT.subarray(0, 3))
  digests.update(TEXT.subarray(3))
  const md5 = createHash('md5').update(TEXT).digest('hex')
  t.strictSame(digests.finish(), { md5, crc32: CRC32, crc32c: CRC32C })
})

void t.test('any wrong checksum is a BadDigest', async t => {
  const wrong = [
    { 'content-md5': createHash('md5').update('x').digest('base64') },
    { 'x-bce-content-sha256': '0'.repeat(64) },
    { 'x-bce-content-crc32': '1' },
    { 'x-bce-content-crc32c': '1' },
  ]
  for (const headers of wrong) {
    const digests = new Digests(readAnnounced(headers))
    digests.update(TEXT)
    t.throws(() => digests.finish(), { code: 'BadDigest' }, JSON.stringify(headers))
  }
})

void t.test('values that no body could have are refused at once', async t => {
  for (const headers of [
    { 'content-md5': 'short' },
    { 'x-bce-content-sha256': 'xyz' },
    { 'x-bce-content-crc32': '-1' },
    { 'x-bce-content-crc32': '4294967296' },
    { 'x-bce-content-crc32c': '0xff' },
  ]) {
    t.throws(() => readAnnounced(headers), { code: 'BadDigest' }, JSON.stringify(headers))
  }
})

void t.test('an announced CRC-64 is verified', t => {
  const announced = readAnnounced({ 'x-bce-content-crc64ecma': String(0x995dc9bbdf1939fan) })
  const good = new Digests(announced)
  good.update(Buffer.from('123456789'))
  t.ok(good.finish())
  const bad = new Digests(announced)
  bad.update(Buffer.from('12345678'))
  t.throws(() => bad.finish(), { code: 'BadDigest' })
  t.throws(() => readAnnounced({ 'x-bce-content-crc64ecma': '-1' }), { code: 'BadDigest' })
  t.end()
})
