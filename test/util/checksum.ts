import t from 'tap'
import { crc32Of } from '../../src/util/checksum.js'

void t.test('the checksum of pieces is that of the whole, wherever it was cut', t => {
  // The check value of CRC-32/ISO-HDLC.
  const text = Buffer.from('123456789')
  t.equal(crc32Of([text]), 0xcbf43926)
  for (let at = 0; at <= text.length; at += 1) {
    const [head, tail] = [text.subarray(0, at), text.subarray(at)]
    t.equal(crc32Of([head, tail]), 0xcbf43926)
    t.equal(crc32Of([tail], crc32Of([head])), 0xcbf43926)
  }
  t.equal(crc32Of([]), 0)
  t.end()
})
