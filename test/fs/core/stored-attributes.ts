import t from 'tap'
import {
  decodeAttributes,
  encodeAttributes,
  hasTime,
  typeIn,
  withoutTime,
} from '../../../src/fs/core/stored-attributes.js'

const none = new Map<string, Uint8Array>()

void t.test('attributes are written as bosfs reads them', async t => {
  const mtime = { seconds: 1_700_000_000, nanoseconds: 120 }
  const xattrs = new Map([['user.a', Buffer.from('x')]])
  t.same(encodeAttributes({ mode: 0o100640, uid: 7, gid: 8, mtime, xattrs }), {
    'bosfs-mode': String(0o100640),
    'bosfs-uid': '7',
    'bosfs-gid': '8',
    'bosfs-mtime': '1700000000',
    'bosmount-mtime': '1700000000.000000120',
    'bosfs-xattr': 'user.a:eA==',
  })
})

void t.test('what was written is read back', async t => {
  const attributes = {
    mode: 0o120777,
    uid: 0,
    gid: 4_294_967_294,
    mtime: { seconds: -1, nanoseconds: 999_999_999 },
    rdev: 0xabc1_02de,
    target: '../a b/汉字%',
    xattrs: new Map([
      ['user.plain', Buffer.from([0, 1, 255])],
      ['user.odd:;=%汉', Buffer.alloc(0)],
    ]),
  }
  const metadata = encodeAttributes(attributes)
  t.same(decodeAttributes(metadata), attributes)
  for (const value of Object.values(metadata)) t.match(value, /^[\x21-\x7e]+$/, 'plain ASCII')
})

void t.test('what bosfs writes is read', async t => {
  const rows: [metadata: Record<string, string>, expected: object][] = [
    [
      { 'bosfs-mode': '33188', 'bosfs-mtime': '5' },
      { mode: 0o100644, mtime: { seconds: 5 } },
    ],
    [{ 'bosfs-mode': '0100644' }, { mode: 0o100644 }],
    [{ 'bosfs-mode': '0x81a4' }, { mode: 0o100644 }],
    [
      { mode: '33188', uid: '010', gid: '3', mtime: '9' },
      { uid: 10, gid: 3, mode: 0o100644 },
    ],
  ]
  for (const [metadata, expected] of rows) {
    t.match(decodeAttributes(metadata), expected, JSON.stringify(metadata))
  }
})

void t.test('what makes no sense is as if it were not there', async t => {
  const { xattrs, ...rest } = decodeAttributes({
    'bosfs-mode': 'rw-r--r--',
    'bosfs-uid': '-1',
    'bosfs-gid': '4294967295',
    'bosfs-mtime': 'yesterday',
    'bosmount-rdev': '1',
    'bosmount-target': '%E0%A4%A',
    'bosfs-xattr': ';:;nothing',
  })
  t.same(rest, {})
  t.equal(xattrs.size, 0)
})

void t.test('nanoseconds count only as long as nobody has set other seconds', async t => {
  const metadata = { 'bosfs-mtime': '6', 'bosmount-mtime': '5.000000001' }
  t.same(decodeAttributes(metadata).mtime, { seconds: 6, nanoseconds: 0 })
  t.ok(hasTime(metadata))
  t.notOk(hasTime({ 'bosmount-mtime': '5.000000001' }))
  t.same(withoutTime({ ...metadata, 'bosfs-uid': '1', other: '2' }), {
    'bosfs-uid': '1',
    other: '2',
  })
})

void t.test('the metadata of others stays, that of attributes which are gone does not', async t => {
  const before = { colour: 'red', 'bosfs-xattr': 'user.a:eA==', 'bosmount-rdev': '1:2' }
  t.same(encodeAttributes({ uid: 1, xattrs: none }, before), { colour: 'red', 'bosfs-uid': '1' })
})

void t.test('the type is that of the mode, and a file if there is none', async t => {
  t.equal(typeIn({}), 0o100000)
  t.equal(typeIn({ 'bosfs-mode': String(0o644) }), 0o100000)
  t.equal(
    typeIn({ 'bosfs-mode': String(0o040755) }),
    0o100000,
    'a key without a slash is no directory',
  )
  t.equal(typeIn({ 'bosfs-mode': String(0o120777) }), 0o120000)
})
