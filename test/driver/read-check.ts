import t from 'tap'
import { checkRead } from '../../src/driver/read-check.js'

void t.test('a range begins within the file, and is of the version that was asked for', t => {
  const file = { path: '/f', size: 10, etag: 'e' }
  for (const offset of [0, 10]) checkRead('d', file, { offset })
  checkRead('d', file, { offset: 3, etag: 'e' })
  for (const offset of [-1, 11]) {
    t.throws(() => checkRead('d', file, { offset }), { code: 'INVALID_OFFSET', path: '/f' })
  }
  t.throws(() => checkRead('d', file, { offset: 11, etag: 'other' }), { code: 'PRECONDITION' })
  t.end()
})
