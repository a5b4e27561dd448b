/** Ranges of open files: allocated, zeroed, sought in, and copied from one file to another. */
import { MiB } from '../../../src/util/units.js'
import { O_CREAT, O_DSYNC, O_RDONLY, O_RDWR, O_WRONLY } from '../../helpers/core-os.js'
import type { CoreOs, OpenFile } from '../../helpers/core-os.js'
import { fails, scene, text } from '../../helpers/core-scene.js'

const KEEP_SIZE = 1
const PUNCH_HOLE = 2
const COLLAPSE_RANGE = 8
const ZERO_RANGE = 16
const SEEK_SET = 0
const SEEK_DATA = 3
const SEEK_HOLE = 4

function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i += 1) bytes[i] = (seed * 57 + i * 7 + (i >> 9)) & 0xff
  return bytes
}

function zeros(count: number): string {
  return '\0'.repeat(count)
}

async function opened(os: CoreOs, path: string): Promise<OpenFile> {
  return os.open(path, O_RDWR | O_CREAT)
}

scene('allocating extends a file by zeros, and keeps what is there', async ({ t, os, bucket }) => {
  const file = await opened(os, '/f')
  await file.write(0, text('hello'))
  await file.allocate(0, 2, 2)
  t.equal((await file.stat()).size, 5)
  await file.allocate(KEEP_SIZE, 0, 100)
  t.equal((await file.stat()).size, 5)
  await file.allocate(0, 3, 5)
  t.equal((await file.stat()).size, 8)
  await file.close()
  t.equal(String(await bucket.getContent('/f')), 'hello\0\0\0')
})

scene('a hole is punched within the size alone', async ({ t, os, bucket }) => {
  await os.writeFile('/f', text('0123456789'))
  const file = await opened(os, '/f')
  await file.allocate(PUNCH_HOLE | KEEP_SIZE, 3, 4)
  await file.allocate(PUNCH_HOLE | KEEP_SIZE, 9, 100)
  t.equal(String(await file.read(0, 100)), `012${zeros(4)}78${zeros(1)}`)
  await file.close()
  t.equal(String(await bucket.getContent('/f')), `012${zeros(4)}78${zeros(1)}`)
})

scene('zeroing a range may extend the file', async ({ t, os, bucket }) => {
  await os.writeFile('/f', text('0123456789'))
  const file = await opened(os, '/f')
  await file.allocate(ZERO_RANGE | KEEP_SIZE, 8, 4)
  t.equal((await file.stat()).size, 10)
  await file.allocate(ZERO_RANGE, 1, 1)
  await file.allocate(ZERO_RANGE, 9, 3)
  await file.close()
  t.equal(String(await bucket.getContent('/f')), `0${zeros(1)}234567${zeros(4)}`)
})

scene('what was sent already can be zeroed', async ({ t, os, bucket }) => {
  const data = pattern(3 * MiB + 5)
  const file = await opened(os, '/f')
  await file.write(0, data)
  await file.allocate(ZERO_RANGE, MiB - 10, 20)
  data.fill(0, MiB - 10, MiB + 10)
  await file.close()
  t.ok((await bucket.getContent('/f')).equals(data))
})

scene('what fallocate cannot do is refused', async ({ t, os }) => {
  const file = await opened(os, '/f')
  await fails(t, 'EOPNOTSUPP', file.allocate(COLLAPSE_RANGE, 0, 10))
  await fails(t, 'EOPNOTSUPP', file.allocate(PUNCH_HOLE, 0, 10), 'punching must keep the size')
  await file.close()
  const reader = await os.open('/f', O_RDONLY)
  await fails(t, 'EBADF', reader.allocate(0, 0, 10))
  await reader.close()
})

scene('a file is data up to its end', async ({ t, os }) => {
  const file = await opened(os, '/f')
  await file.truncate(100)
  t.equal(await file.seek(10, SEEK_DATA), 10)
  t.equal(await file.seek(10, SEEK_HOLE), 100)
  await fails(t, 'ENXIO', file.seek(100, SEEK_DATA))
  await fails(t, 'ENXIO', file.seek(100, SEEK_HOLE))
  await fails(t, 'EINVAL', file.seek(0, SEEK_SET))
  await file.close()
})

scene('a large file is copied without moving its bytes', async ({ t, os, bucket, watch }) => {
  const data = pattern(5 * MiB + 100)
  await os.writeFile('/from', data)
  const from = await os.open('/from', O_RDONLY)
  const to = await opened(os, '/to')
  watch.requests.length = 0
  // As the kernel does with a large file: piece by piece.
  const half = 2 * MiB + 77
  t.equal(await from.copyTo(to, 0, 0, half), half)
  t.equal(await from.copyTo(to, half, half, 2 ** 31), data.length - half)
  t.equal(await from.copyTo(to, data.length, data.length, 2 ** 31), 0)
  t.equal((await to.stat()).size, data.length)
  await to.close()
  await from.close()
  t.ok((await bucket.getContent('/to')).equals(data))
  t.equal(watch.count('copy'), 1)
  t.equal(watch.count('compose', 'uploadPart', 'putContent', 'readInto'), 0)
})

scene('ranges are copied into a file beside what is written', async ({ t, os, bucket, watch }) => {
  const data = pattern(6 * MiB, 3)
  await os.writeFile('/from', data)
  await os.writeFile('/to', pattern(6 * MiB, 4))
  const expected = pattern(6 * MiB, 4)
  const from = await os.open('/from', O_RDONLY)
  const to = await opened(os, '/to')
  await from.copyTo(to, MiB + 5, 2 * MiB + 9, 3 * MiB)
  data.copy(expected, 2 * MiB + 9, MiB + 5, 4 * MiB + 5)
  await to.write(3 * MiB, text('between'))
  expected.write('between', 3 * MiB)
  t.ok((await to.read(0, 6 * MiB)).equals(expected), 'before it is stored')
  await to.close()
  await from.close()
  t.ok((await bucket.getContent('/to')).equals(expected))
  t.ok(watch.count('copyPart') > 1)
})

scene('a source that is dirty is stored first', async ({ t, os, bucket }) => {
  const from = await opened(os, '/from')
  await from.write(0, pattern(2 * MiB, 5))
  const to = await opened(os, '/to')
  await from.copyTo(to, 0, 0, 2 * MiB)
  t.ok((await bucket.getContent('/from')).equals(pattern(2 * MiB, 5)))
  await from.write(0, pattern(MiB, 6))
  await from.close()
  await to.close()
  t.ok((await bucket.getContent('/to')).equals(pattern(2 * MiB, 5)), 'as it was when it was copied')
})

for (const [what, change] of [
  ['removed', (os: CoreOs) => os.unlink('/d/from')],
  ['renamed', (os: CoreOs) => os.rename('/d/from', '/d/other')],
  ['moved with its directory', (os: CoreOs) => os.rename('/d', '/e')],
  ['written anew', (os: CoreOs) => os.writeFile('/d/from', text('new'))],
  [
    'replaced',
    async (os: CoreOs) => {
      await os.writeFile('/d/new', text('new'))
      await os.rename('/d/new', '/d/from')
    },
  ],
] as const) {
  scene(`a source may be ${what} before the copy is stored`, async ({ t, os, bucket }) => {
    const data = pattern(3 * MiB, 8)
    await os.mkdir('/d')
    await os.writeFile('/d/from', data)
    const from = await os.open('/d/from', O_RDONLY)
    const to = await opened(os, '/to')
    await from.copyTo(to, 0, 0, data.length)
    await from.close()
    await change(os)
    t.ok((await to.read(0, data.length)).equals(data))
    await to.close()
    t.ok((await bucket.getContent('/to')).equals(data))
  })
}

scene('a file is copied within itself', async ({ t, os, bucket }) => {
  const data = pattern(4 * MiB, 9)
  await os.writeFile('/f', data)
  const file = await opened(os, '/f')
  await file.copyTo(file, 0, 4 * MiB, 2 * MiB)
  await fails(t, 'EINVAL', file.copyTo(file, 0, 10, 100), 'overlapping')
  await file.close()
  t.ok((await bucket.getContent('/f')).equals(Buffer.concat([data, data.subarray(0, 2 * MiB)])))
})

scene('copies chain from file to file', async ({ t, os, bucket }) => {
  const data = pattern(2 * MiB, 2)
  await os.writeFile('/a', data)
  const [a, b, c] = [await opened(os, '/a'), await opened(os, '/b'), await opened(os, '/c')]
  await a.copyTo(b, 0, 0, data.length)
  await b.copyTo(c, 0, 0, data.length)
  await c.copyTo(a, 0, data.length, data.length)
  await a.copyTo(c, 0, 0, 2 * data.length)
  for (const file of [a, b, c]) await file.close()
  const twice = Buffer.concat([data, data])
  t.ok((await bucket.getContent('/a')).equals(twice))
  t.ok((await bucket.getContent('/b')).equals(data))
  t.ok((await bucket.getContent('/c')).equals(twice))
})

scene('a small file is copied as bytes, by one put', async ({ t, os, bucket, watch }) => {
  await os.writeFile('/from', text('small'))
  const from = await os.open('/from', O_RDONLY)
  const to = await opened(os, '/to')
  watch.requests.length = 0
  await from.copyTo(to, 0, 0, 100)
  await to.close()
  await from.close()
  t.equal(String(await bucket.getContent('/to')), 'small')
  t.equal(watch.count('putContent'), 1)
  t.equal(watch.count('compose'), 0)
})

scene('copying needs a source to read and a target to write', async ({ t, os }) => {
  await os.writeFile('/f', text('x'))
  const reader = await os.open('/f', O_RDONLY)
  const writer = await os.open('/f', O_WRONLY)
  await fails(t, 'EBADF', reader.copyTo(reader, 0, 5, 1))
  await fails(t, 'EBADF', writer.copyTo(writer, 0, 5, 1))
  await reader.close()
  await writer.close()
})

scene('a write with O_DSYNC is stored when it returns', async ({ t, os, bucket }) => {
  const file = await os.open('/f', O_WRONLY | O_CREAT | O_DSYNC)
  await file.write(0, text('one'))
  t.equal(String(await bucket.getContent('/f')), 'one')
  await file.write(3, text(' two'))
  t.equal(String(await bucket.getContent('/f')), 'one two')
  await file.close()
})

scene(
  'each descriptor is told once that the file could not be stored',
  async ({ t, os, bucket, watch }) => {
    const a = await opened(os, '/f')
    const b = await os.open('/f', O_RDWR)
    watch.before = ({ method }) => {
      if (method === 'putContent') throw new Error('the store is away')
    }
    await a.write(0, text('one'))
    await fails(t, 'EIO', a.fsync())
    t.equal(await a.write(3, text(' two')), 4, 'it was told by fsync')
    await fails(t, 'EIO', b.write(7, text('?')), 'and this one by write')
    t.equal(await b.write(7, text(' more')), 5)
    await fails(t, 'EIO', a.fsync())
    await fails(t, 'EIO', b.fsync())
    watch.before = () => undefined
    await a.close()
    await b.close()
    t.equal(String(await bucket.getContent('/f')), 'one two more', 'nothing is lost')
  },
)
