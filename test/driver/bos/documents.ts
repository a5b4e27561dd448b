import t from 'tap'
import {
  readDeleteFailures,
  readHead,
  readListPage,
  readPartsPage,
  readRange,
  readUploadsPage,
  unquote,
} from '../../../src/driver/bos/documents.js'

const NOT_UNDERSTOOD = { name: 'BosError', message: /not understood/ }

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

void t.test('a page of a listing is read as BOS writes it', async t => {
  const page = readListPage(
    json({
      name: 'b',
      isTruncated: true,
      nextMarker: 'dir4/key0',
      contents: [
        {
          key: 'a',
          lastModified: '2016-04-05T10:20:35Z',
          eTag: '"0af"',
          size: 123,
          storageClass: 'STANDARD',
        },
      ],
      commonPrefixes: [{ prefix: 'dir4/' }],
    }),
  )
  t.same(page, {
    objects: [{ key: 'a', size: 123, etag: '0af', modTime: new Date('2016-04-05T10:20:35Z') }],
    prefixes: ['dir4/'],
    truncated: true,
    nextMarker: 'dir4/key0',
  })
  t.same(readListPage(json({ isTruncated: false })), {
    objects: [],
    prefixes: [],
    truncated: false,
  })
})

void t.test('answers that are not what they should be are integrity errors', async t => {
  const object = { key: 'a', lastModified: '2016-04-05T10:20:35Z', eTag: 'e', size: 1 }
  const bad = [
    Buffer.from('<html>'),
    Buffer.alloc(0),
    json(null),
    json({ contents: 'x' }),
    json({ contents: [{ ...object, key: 7 }] }),
    json({ contents: [{ ...object, size: -1 }] }),
    json({ contents: [{ ...object, size: '1' }] }),
    json({ contents: [{ ...object, lastModified: 'yesterday' }] }),
    json({ commonPrefixes: [{}] }),
  ]
  for (const body of bad) t.throws(() => readListPage(body), NOT_UNDERSTOOD)
  t.throws(() => readPartsPage(json({ isTruncated: true })), NOT_UNDERSTOOD)
  t.throws(() => readUploadsPage(json({ isTruncated: true })), NOT_UNDERSTOOD)
  t.throws(() => readHead({ etag: '"e"' }), NOT_UNDERSTOOD)
  t.throws(() => readHead({ 'content-length': '1' }), NOT_UNDERSTOOD)
})

void t.test('the range of an answer must agree with itself', async t => {
  const at = (range: string, length: string) =>
    readRange(206, { 'content-range': range, 'content-length': length })
  t.same(at('bytes 2-5/10', '4'), { offset: 2, length: 4, size: 10 })
  t.same(readRange(200, { 'content-length': '7' }), { offset: 0, length: 7, size: 7 })
  for (const [range, length] of [
    ['bytes 2-5/10', '5'],
    ['bytes 2-10/10', '9'],
    ['bytes */10', '0'],
    ['', '4'],
  ] as const) {
    t.throws(() => at(range, length), NOT_UNDERSTOOD)
  }
  t.throws(() => readRange(200, {}), NOT_UNDERSTOOD)
})

void t.test('a batch delete that went well says nothing', async t => {
  t.same(readDeleteFailures(Buffer.alloc(0)), [])
  const failures = [{ key: 'a', code: 'AccessDenied', message: 'no' }]
  t.same(readDeleteFailures(json({ errors: failures })), failures)
})

void t.test('metadata is told from other headers', async t => {
  const head = readHead({
    'content-length': '3',
    etag: '"abc"',
    'last-modified': 'Tue, 05 Apr 2016 10:20:35 GMT',
    'x-bce-meta-a-b': 'c',
    'x-bce-storage-class': 'COLD',
  })
  t.match(head, { size: 3, etag: 'abc', storageClass: 'COLD', metadata: { 'a-b': 'c' } })
  t.equal(head.modTime?.toISOString(), '2016-04-05T10:20:35.000Z')
  t.equal(unquote('"-0af"'), '-0af')
})
