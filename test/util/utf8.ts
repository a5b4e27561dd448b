import fc from 'fast-check'
import t from 'tap'
import { compareUtf8, isWellFormed } from '../../src/util/utf8.js'

void t.test('strings are ordered as their UTF-8 bytes are', async t => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      const expected = Buffer.compare(Buffer.from(a), Buffer.from(b))
      return Math.sign(compareUtf8(a, b)) === expected
    }),
  )
  t.ok(compareUtf8('\uffee', '\u{1f600}') < 0, 'where UTF-16 has it the other way round')
})

void t.test('a lone surrogate is not well-formed', async t => {
  t.ok(isWellFormed('a\u{1f600}b'))
  t.notOk(isWellFormed('a\ud83d'))
  t.notOk(isWellFormed('\ude00b'))
})
