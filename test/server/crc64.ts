import t from 'tap'
import { Crc64 } from '../../src/server/crc64.js'
import { seededBytes } from '../helpers/bos-harness.js'

function crc64(...pieces: readonly Uint8Array[]): string {
  const crc = new Crc64()
  for (const piece of pieces) crc.update(piece)
  return crc.digest()
}

void t.test('the check value of the polynomial comes out', t => {
  t.equal(BigInt(crc64(Buffer.from('123456789'))), 0x995dc9bbdf1939fan)
  t.equal(crc64(), '0')
  t.end()
})

void t.test('data may come in pieces', t => {
  const bytes = seededBytes(1000)
  t.equal(crc64(bytes.subarray(0, 1), bytes.subarray(1, 333), bytes.subarray(333)), crc64(bytes))
  t.end()
})
