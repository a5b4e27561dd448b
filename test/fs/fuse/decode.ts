/** Every record that the kernel sends, one group of fields per row. */
import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import t from 'tap'
import { ByteReader } from '../../../src/util/cursor.js'
import * as decode from '../../../src/fs/fuse/decode.js'
import type { Ino } from '../../../src/fs/operations.js'
import { request, row, type Field } from '../../helpers/fake-kernel.js'

const MTIME = [64, 1_600_000_000] as const

function reader(...fields: Field[]): ByteReader {
  return new ByteReader().reset(row(...fields))
}

await t.test('a header', async t => {
  const bytes = request(15, { unique: 2 ** 40, ino: 7, uid: 1, gid: 2, pid: 3 }, [64, 0])
  const cursor = new ByteReader().reset(bytes)
  t.strictSame(decode.decodeHeader(cursor), {
    length: 48,
    opcode: 15,
    unique: 2 ** 40,
    ino: 7,
    uid: 1,
    gid: 2,
    pid: 3,
  })
  t.equal(cursor.remaining, 8)
  t.throws(() => decode.decodeHeader(new ByteReader().reset(bytes, 0, 47)), RangeError)
  t.throws(() => decode.decodeHeader(reader([32, 8], [32, 1])), RangeError)
})

await t.test('INIT, whole or from a kernel that tells its version alone', async t => {
  t.strictSame(decode.decodeInit(reader([32, 7], [32, 31], [32, 4096], [32, 9], [32, 1])), {
    major: 7,
    minor: 31,
    maxReadahead: 4096,
    flags: 9,
    flags2: 1,
  })
  t.match(decode.decodeInit(reader([32, 7], [32, 31], [32, 4096], [32, 9])), {
    flags: 9,
    flags2: 0,
  })
  t.match(decode.decodeInit(reader([32, 8], [32, 1])), { major: 8, minor: 1, flags: 0 })
})

await t.test('SETATTR gives what its flags say, and nothing else', async t => {
  const setattr = (valid: number, size: number | bigint = 10): Field[] => [
    [32, valid],
    [32, 0],
    [64, 5], // fh
    [64, size],
    [64, 2n ** 64n - 1n], // lock_owner
    [64, -1], // atime
    MTIME,
    [64, 3], // ctime
    [32, 11], // atimensec
    [32, 12],
    [32, 13],
    [32, 0o100640], // mode
    [32, 0],
    [32, 21], // uid
    [32, 22], // gid
    [32, 0],
  ]
  const rows: [valid: number, set: object][] = [
    [0, {}],
    [1 << 0, { mode: 0o640 }],
    [1 << 1, { uid: 21 }],
    [1 << 2, { gid: 22 }],
    [1 << 3, { size: 10 }],
    [1 << 4, { atime: { seconds: -1, nanoseconds: 11 } }],
    [1 << 5, { mtime: { seconds: 1_600_000_000, nanoseconds: 12 } }],
    [1 << 6, { fh: 5 }],
    [(1 << 4) | (1 << 7), { atime: 'now' }],
    [(1 << 5) | (1 << 8), { mtime: 'now' }],
    [1 << 10, { ctime: { seconds: 3, nanoseconds: 13 } }],
    [1 << 11, { killPrivileges: true }],
    [(1 << 9) | (1 << 12), {}],
  ]
  for (const [valid, set] of rows) {
    t.strictSame(decode.decodeSetattr(reader(...setattr(valid))), set, `valid ${valid}`)
  }
  t.throws(() => decode.decodeSetattr(reader(...setattr(1 << 3, 2n ** 60n))), { code: 'EFBIG' })
  t.strictSame(decode.decodeSetattr(reader(...setattr(0, 2n ** 63n))), {}, 'a size not meant')
})

await t.test('records with names', async t => {
  t.strictSame(decode.decodeMknod(reader([32, 0o10644], [32, 5], [32, 0o22], [32, 0], 'pipe')), {
    name: 'pipe',
    mode: 0o10644,
    umask: 0o22,
    rdev: 5,
  })
  t.strictSame(decode.decodeMkdir(reader([32, 0o40755], [32, 0o22], 'd')), {
    name: 'd',
    mode: 0o755,
    umask: 0o22,
  })
  t.strictSame(
    decode.decodeCreate(reader([32, 0o102], [32, 0o100644], [32, 0o77], [32, 0], 'file')),
    { name: 'file', mode: 0o644, umask: 0o77, flags: 0o102 },
  )
  t.strictSame(decode.decodeSymlink(reader('link', '../ü')), { name: 'link', target: '../ü' })
  t.strictSame(decode.decodeLink(reader([64, 9], 'hard')), { ino: 9, newName: 'hard' })
  const names = { parent: 3, newParent: 4, name: 'a', newName: 'b' }
  t.strictSame(decode.decodeRename(reader([64, 4], 'a', 'b'), 3 as Ino), { ...names, flags: 0 })
  t.strictSame(decode.decodeRename2(reader([64, 4], [32, 1], [32, 0], 'a', 'b'), 3 as Ino), {
    ...names,
    flags: 1,
  })
})

await t.test('records of handles', async t => {
  const owner = [64, 2n ** 64n - 1n] as const
  t.strictSame(
    decode.decodeRead(reader([64, 5], [64, 4096], [32, 8192], [32, 2], owner, [32, 0], [32, 0])),
    { fh: 5, offset: 4096, size: 8192 },
  )
  const write = [[64, 5], [64, 7], [32, 3], [32, 1], owner, [32, 1], [32, 0]] as const
  const decoded = decode.decodeWrite(reader(...write, Buffer.from('abc')))
  t.strictSame([decoded.fh, decoded.offset, decoded.fromPageCache], [5, 7, true])
  t.equal(Buffer.from(decoded.data).toString(), 'abc')
  t.throws(() => decode.decodeWrite(reader(...write, Buffer.from('ab'))), RangeError)
  const far = [[64, 5], [64, 2n ** 61n], [32, 0], [32, 0], owner, [32, 1], [32, 0]] as const
  t.throws(() => decode.decodeWrite(reader(...far)), { code: 'EFBIG' })
  t.strictSame(decode.decodeFsync(reader([64, 5], [32, 1])), { fh: 5, dataOnly: true })
  t.equal(decode.decodeGetattr(reader([32, 1], [32, 0], [64, 5])), 5)
  t.equal(decode.decodeGetattr(reader([32, 0], [32, 0], [64, 5])), undefined)
  t.same(decode.decodeOpen(reader([32, 0o2], [32, 0])), { flags: 2, killPrivileges: false })
  t.same(decode.decodeOpen(reader([32, 0o2], [32, 1])), { flags: 2, killPrivileges: true })
  t.equal(decode.decodeAccess(reader([32, 4], [32, 0])), 4)
  t.equal(decode.decodeInterrupt(reader([64, 8])), 8)
})

await t.test('ranges to allocate, to seek in and to copy', async t => {
  const range: Field[] = [
    [64, 5],
    [64, 4096],
  ]
  t.strictSame(decode.decodeFallocate(reader(...range, [64, 100], [32, 3], [32, 0])), {
    fh: 5,
    offset: 4096,
    length: 100,
    mode: 3,
  })
  t.throws(() => decode.decodeFallocate(reader(...range, [64, 2n ** 62n], [32, 0], [32, 0])), {
    code: 'EFBIG',
  })
  t.strictSame(decode.decodeLseek(reader(...range, [32, 4], [32, 0])), {
    fh: 5,
    offset: 4096,
    whence: 4,
  })
  const copy: Field[] = [...range, [64, 9], [64, 6], [64, 10], [64, 2 ** 31], [64, 0]]
  t.strictSame(decode.decodeCopyFileRange(reader(...copy), 8 as Ino), {
    source: { ino: 8, fh: 5, offset: 4096 },
    target: { ino: 9, fh: 6, offset: 10 },
    length: 2 ** 31,
  })
})

await t.test('forgets', async t => {
  t.strictSame(decode.decodeForget(reader([64, 3]), 9 as Ino), { ino: 9, lookups: 3 })
  const two: Field[] = [
    [64, 7],
    [64, 1],
    [64, 8],
    [64, 2],
  ]
  t.strictSame(decode.decodeBatchForget(reader([32, 2], [32, 0], ...two)), [
    { ino: 7, lookups: 1 },
    { ino: 8, lookups: 2 },
  ])
  t.throws(() => decode.decodeBatchForget(reader([32, 3], [32, 0], ...two)), RangeError)
  t.throws(() => decode.decodeBatchForget(reader([32, 0xffff_ffff], [32, 0])), RangeError)
})

await t.test('names are UTF-8 of 255 bytes at most', async t => {
  const invalid = Buffer.from([0xff, 0])
  t.throws(() => decode.decodeNewName(reader(invalid)), { code: 'EILSEQ' })
  t.throws(() => decode.decodeName(reader(invalid)), { code: 'ENOENT' })
  t.throws(() => decode.decodeRename(reader([64, 1], invalid, 'b'), 1 as Ino), { code: 'ENOENT' })
  t.throws(() => decode.decodeRename(reader([64, 1], 'a', invalid), 1 as Ino), { code: 'EILSEQ' })
  t.throws(() => decode.decodeSymlink(reader('a', invalid)), { code: 'EILSEQ' })
  t.equal(decode.decodeName(reader('ü'.repeat(127))), 'ü'.repeat(127))
  t.throws(() => decode.decodeName(reader('ü'.repeat(128))), { code: 'ENAMETOOLONG' })
  t.throws(() => decode.decodeName(reader(Buffer.from('unended'))), RangeError)
  t.equal(decode.decodeSymlink(reader('a', 'x'.repeat(4095))).target.length, 4095)
})

await t.test(
  'no bytes make a decoder do anything but give a record or throw as promised',
  async t => {
    const decoders = [
      decode.decodeHeader,
      decode.decodeInit,
      decode.decodeSetattr,
      decode.decodeWrite,
      decode.decodeBatchForget,
      decode.decodeSymlink,
      decode.decodeCreate,
    ]
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(
          fc.uint8Array({ maxLength: 200 }),
          fc.constantFrom(...decoders),
          (bytes, decoder) => {
            try {
              decoder(new ByteReader().reset(bytes))
            } catch (error) {
              if (error instanceof RangeError) return
              if (error instanceof Error && error.name === 'ErrnoError') return
              throw error
            }
          },
        ),
      ),
    )
  },
)
