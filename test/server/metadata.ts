import t from 'tap'
import { checksumHeaders, describe, readAttributes } from '../../src/server/metadata.js'
import { DEFAULT_SWITCHES } from '../../src/server/switches.js'

const read = (headers: Record<string, string>, key = 'k') =>
  readAttributes(headers, key, DEFAULT_SWITCHES)

void t.test('attributes are what the headers say, with defaults', async t => {
  t.strictSame(read({}), {
    storageClass: 'STANDARD',
    headers: { 'content-type': 'application/octet-stream' },
    meta: {},
  })
  t.equal(read({}, 'a/b.JSON').headers['content-type'], 'application/json')
  t.strictSame(read({ 'x-bce-meta-a': '1', 'x-bce-meta-b': '', 'x-other': 'x' }).meta, { a: '1' })
})

void t.test('the traffic limit has bounds', async t => {
  t.doesNotThrow(() => read({ 'x-bce-traffic-limit': '819200' }))
  for (const limit of ['819199', '838860801', 'fast']) {
    t.throws(() => read({ 'x-bce-traffic-limit': limit }), { code: 'InvalidArgument' })
  }
})

void t.test('an object without Expires shows one three days ahead', async t => {
  const record = { ...read({}), size: 1, etag: '-x', modified: Date.parse('2024-02-28T00:00:00Z') }
  t.equal(describe(record)['expires'], 'Sat, 02 Mar 2024 00:00:00 GMT')
  const set = { ...record, headers: { expires: '0' } }
  t.equal(describe(set)['expires'], '0')
})

void t.test('only an etag that is an MD5 gives a Content-MD5', async t => {
  const etag = '5d41402abc4b2a76b9719d911017c592'
  t.strictSame(checksumHeaders({ etag, crc32: 7, crc32c: 8 }), {
    'Content-MD5': 'XUFAKrxLKna5cZ2REBfFkg==',
    'x-bce-content-crc32': '7',
    'x-bce-content-crc32c': '8',
  })
  t.strictSame(checksumHeaders({ etag: `-${etag}` }), {})
})
