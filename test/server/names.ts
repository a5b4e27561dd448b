import fc from 'fast-check'
import t from 'tap'
import {
  checkKey,
  isBucketName,
  uriDecode,
  uriEncode,
  uriEncodePath,
} from '../../src/server/names.js'

void t.test('bucket names are 3 to 63 lower-case letters, digits and inner hyphens', async t => {
  for (const name of ['abc', 'a-b', '0'.repeat(63)]) t.equal(isBucketName(name), true, name)
  for (const name of ['ab', 'a'.repeat(64), '-ab', 'ab-', 'a.b', 'Abc', 'a_b', '']) {
    t.equal(isBucketName(name), false, name)
  }
})

void t.test('keys up to 1024 bytes pass, whatever characters they have', async t => {
  for (const key of ['a', ' ', 'a b', '%', 'a/', 'a..b', '...', '.a', '中文', 'a'.repeat(1024)]) {
    t.doesNotThrow(() => checkKey(key, true), key)
  }
  const tooLong = `${'中'.repeat(341)}ab`
  t.equal(Buffer.byteLength(tooLong), 1025)
  for (const key of ['', tooLong, 'a\0b']) {
    t.throws(() => checkKey(key, false), { code: 'InvalidObjectName' }, JSON.stringify(key))
  }
})

void t.test('keys that paths would mangle are refused unless the rules are off', async t => {
  for (const key of ['/a', 'a//b', '..', '../a', 'a/..', 'a/../b', 'a//']) {
    t.throws(() => checkKey(key, true), { code: 'InvalidObjectName', status: 400 }, key)
    t.doesNotThrow(() => checkKey(key, false), key)
  }
  for (const key of ['.', './a', 'a/.', 'a/./b']) {
    t.throws(() => checkKey(key, true), { code: 'InvalidURI', status: 400 }, key)
    t.doesNotThrow(() => checkKey(key, false), key)
  }
})

void t.test('encoding keeps only unreserved characters', async t => {
  t.equal(uriEncode("A-z0_.~!'()*/ é"), 'A-z0_.~%21%27%28%29%2A%2F%20%C3%A9')
  t.equal(uriEncodePath('/a b/c'), '/a%20b/c')
})

void t.test('decoding undoes encoding', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), text => uriDecode(uriEncode(text)) === text),
    ),
  )
})
