/** Every record that goes to the kernel, one group of fields per row. */
import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import t from 'tap'
import { ByteReader, ByteWriter } from '../../../src/util/cursor.js'
import * as encode from '../../../src/fs/fuse/encode.js'
import type { Attributes, CreateReply, Entry, Fh, Ino } from '../../../src/fs/operations.js'
import { row, type Field } from '../../helpers/fake-kernel.js'

const attributes: Attributes = {
  ino: 12,
  size: 2 ** 40 + 1,
  blocks: 3,
  atime: { seconds: -2, nanoseconds: 1 },
  mtime: { seconds: 1_700_000_000, nanoseconds: 999_999_999 },
  ctime: { seconds: 5, nanoseconds: 3 },
  mode: 0o100644,
  nlink: 1,
  uid: 1000,
  gid: 0xffff_fffe,
  rdev: 0,
  blksize: 4096,
}

const ATTRIBUTE_FIELDS: Field[] = [
  [64, 12], // ino
  [64, 2 ** 40 + 1], // size
  [64, 3], // blocks
  [64, -2], // atime
  [64, 1_700_000_000], // mtime
  [64, 5], // ctime
  [32, 1], // nanoseconds of each
  [32, 999_999_999],
  [32, 3],
  [32, 0o100644], // mode
  [32, 1], // nlink
  [32, 1000], // uid
  [32, 0xffff_fffe], // gid
  [32, 0], // rdev
  [32, 4096], // blksize
  [32, 0], // flags
]

const entry: Entry = {
  ino: 9 as Ino,
  generation: 4,
  entryValid: 1.5,
  attributesValid: 60,
  attributes,
}

const ENTRY_FIELDS: Field[] = [
  [64, 9], // nodeid
  [64, 4], // generation
  [64, 1], // entry_valid
  [64, 60], // attr_valid
  [32, 500_000_000], // entry_valid_nsec
  [32, 0], // attr_valid_nsec
  ...ATTRIBUTE_FIELDS,
]

function written(write: (writer: ByteWriter) => void): Buffer {
  const bytes = Buffer.alloc(4096, 0xee)
  const writer = new ByteWriter().reset(bytes)
  write(writer)
  return bytes.subarray(0, writer.position)
}

await t.test('the records of answers', async t => {
  const rows: [title: string, write: (writer: ByteWriter) => void, fields: Field[]][] = [
    [
      'attributes',
      w => encode.encodeAttr(w, { attributes, attributesValid: 0.25 }),
      [[64, 0], [32, 250_000_000], [32, 0], ...ATTRIBUTE_FIELDS],
    ],
    ['entry', w => encode.encodeEntry(w, entry), ENTRY_FIELDS],
    [
      'negative entry',
      w => encode.encodeEntry(w, { ino: undefined, entryValid: 2 }),
      [[64, 0], [64, 0], [64, 2], Buffer.alloc(104)],
    ],
    [
      'open',
      w => encode.encodeOpen(w, { fh: 6 as Fh, directIo: true, nonSeekable: true }),
      [
        [64, 6],
        [32, 0b101],
        [32, 0],
      ],
    ],
    [
      'opendir',
      w => encode.encodeOpen(w, { fh: 6 as Fh, keepCache: true, cacheDirectory: true }),
      [
        [64, 6],
        [32, 0b1010],
        [32, 0],
      ],
    ],
    [
      'create',
      w => encode.encodeCreate(w, { ...entry, fh: 8 as Fh } satisfies CreateReply),
      [...ENTRY_FIELDS, [64, 8], [32, 0], [32, 0]],
    ],
    [
      'write',
      w => encode.encodeWrite(w, 4097),
      [
        [32, 4097],
        [32, 0],
      ],
    ],
    ['readlink', w => encode.encodeText(w, 'ü/x'), [Buffer.from('ü/x')]],
    [
      'statfs',
      w =>
        encode.encodeStatfs(w, {
          blockSize: 4096,
          blocks: 2 ** 50,
          blocksFree: 3,
          blocksAvailable: 2,
          files: 5,
          filesFree: 4,
          nameLength: 255,
        }),
      [
        [64, 2 ** 50], // blocks
        [64, 3], // bfree
        [64, 2], // bavail
        [64, 5], // files
        [64, 4], // ffree
        [32, 4096], // bsize
        [32, 255], // namelen
        [32, 4096], // frsize
        Buffer.alloc(28),
      ],
    ],
    [
      'init',
      w =>
        encode.encodeInit(w, {
          major: 7,
          minor: 38,
          maxReadahead: 131072,
          flags: 0x1040_0001,
          flags2: 16,
          maxBackground: 64,
          congestionThreshold: 48,
          maxWrite: 1048576,
          maxPages: 256,
        }),
      [
        [32, 7],
        [32, 38],
        [32, 131072],
        [32, 0x1040_0001],
        [16, 64],
        [16, 48],
        [32, 1048576],
        [32, 1], // time_gran
        [16, 256],
        [16, 0],
        [32, 16],
        Buffer.alloc(28),
      ],
    ],
    [
      'invalidate inode',
      w => encode.encodeInvalidateInode(w, 9 as Ino, { offset: 4096, length: 0 }),
      [
        [64, 9],
        [64, 4096],
        [64, 0],
      ],
    ],
    [
      'invalidate entry',
      w => encode.encodeInvalidateEntry(w, 9 as Ino, 'ü'),
      [[64, 9], [32, 2], [32, 0], 'ü'],
    ],
  ]
  for (const [title, write, fields] of rows) t.strictSame(written(write), row(...fields), title)
})

await t.test('an answer begins with its length, errno and request', async t => {
  const bytes = Buffer.alloc(64)
  const writer = new ByteWriter().reset(bytes)
  encode.beginReply(writer)
  writer.u32(0xabcd)
  t.equal(encode.endReply(writer, 2 ** 33, 0), 20)
  t.strictSame(bytes.subarray(0, 20), row([32, 20], [32, 0], [64, 2 ** 33], [32, 0xabcd]))
  encode.beginReply(writer)
  t.equal(encode.endReply(writer, 4, 2), 16)
  t.strictSame(bytes.subarray(0, 16), row([32, 16], [32, -2], [64, 4]))
})

await t.test('validities stay within what the kernel can count', async t => {
  const validOf = (entryValid: number): [bigint, number] => {
    const bytes = written(w => encode.encodeEntry(w, { ...entry, entryValid }))
    return [bytes.readBigUInt64LE(16), bytes.readUInt32LE(32)]
  }
  t.strictSame(validOf(0), [0n, 0])
  t.strictSame(validOf(-1), [0n, 0])
  t.strictSame(validOf(Number.NaN), [0n, 0])
  t.strictSame(validOf(Infinity), [2n ** 32n - 1n, 0])
  t.strictSame(validOf(0.999_999_999_9), [0n, 999_999_999])
})

await t.test('directory entries fill a buffer exactly, and no further', async t => {
  const name = 'abc'
  const dirent = { name, ino: 5, offset: 77, type: 0o040000 }
  const fields: Field[] = [
    [64, 5], // ino
    [64, 77], // off
    [32, 3], // namelen
    [32, 4], // DT_DIR
    Buffer.from('abc\0\0\0\0\0'),
  ]
  const plain = (bytes: Buffer): boolean =>
    encode.encodeDirectoryEntry(new ByteWriter().reset(bytes), dirent, false)
  const exact = Buffer.alloc(32, 0xee)
  t.ok(plain(exact))
  t.strictSame(exact, row(...fields))
  const short = Buffer.alloc(31, 0xee)
  t.notOk(plain(short))
  t.ok(
    short.every(byte => byte === 0xee),
    'what does not fit leaves no trace',
  )
  const plus = (entryOf: object): Buffer =>
    written(w => encode.encodeDirectoryEntry(w, { ...dirent, ...entryOf }, true))
  t.strictSame(plus({ entry }), row(...ENTRY_FIELDS, ...fields))
  t.strictSame(plus({}), row(Buffer.alloc(128), ...fields), 'nodeid 0: attributes are not known')
})

await t.test('any names come back from a listing in their order', async t => {
  const names = fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }))
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(names, fc.integer({ min: 0, max: 1000 }), (all, size) => {
        const bytes = Buffer.alloc(size)
        const writer = new ByteWriter().reset(bytes)
        const taken = all.findIndex(
          (name, index) =>
            !encode.encodeDirectoryEntry(
              writer,
              { name, ino: index + 1, offset: index + 1, type: 0o100000 },
              false,
            ),
        )
        const reader = new ByteReader().reset(bytes, 0, writer.position)
        const got: (string | undefined)[] = []
        while (reader.remaining > 0) {
          reader.skip(16)
          const length = reader.u32()
          reader.skip(4)
          got.push(reader.utf8(length))
          reader.skip((8 - ((24 + length) % 8)) % 8)
        }
        const expected = taken < 0 ? all : all.slice(0, taken)
        return JSON.stringify(got) === JSON.stringify(expected)
      }),
    ),
  )
})
