/** Reading and writing: in places, at the end, through several descriptors, in awkward sizes. */
import { KiB, MiB } from '../../../src/util/units.js'
import { seededBytes } from '../../helpers/oci-image.js'
import {
  contentOf,
  digest,
  O,
  readAll,
  readFile,
  tried,
  writeAll,
  writeFile,
  type AnyCase,
  type Result,
} from './os.js'

/** Sizes about those in which pages, blocks and requests come. */
const SIZES = [0, 1, 511, 4095, 4096, 4097, 128 * KiB - 1, 128 * KiB + 1, MiB, MiB + 1, 5 * MiB + 3]

export const writeCases: readonly AnyCase[] = [
  {
    title: 'content of any size comes back',
    run: async os => {
      const seen: Result[] = []
      for (const size of SIZES) {
        await writeFile(os, `/f${size}`, seededBytes(`size ${size}`, size))
        seen.push(digest(await readFile(os, `/f${size}`)), (await os.stat(`/f${size}`)).size)
      }
      return seen
    },
  },
  {
    title: 'writes in any order and overlapping give the last that was written',
    run: async os => {
      const file = await os.open('/f', O.rdwr | O.creat)
      const bytes = seededBytes('pieces', 200_000)
      for (let i = 0; i < 60; i += 1) {
        const offset = (i * 48_271) % 150_000
        await writeAll(file, bytes.subarray((i * 7919) % 100_000).subarray(0, 1 + i * 300), offset)
      }
      const open = digest(await readAll(file))
      await file.close()
      return [open, digest(await readFile(os, '/f'))]
    },
  },
  {
    title: 'a file is written, synced, written again and read at every step',
    run: async os => {
      const seen: Result[] = []
      const file = await os.open('/f', O.rdwr | O.creat)
      for (const piece of ['one ', 'two ', 'three ']) {
        await file.write(Buffer.from(piece), (await file.stat()).size)
        seen.push((await readAll(file)).toString())
        await file.fsync()
        seen.push((await readAll(file)).toString())
        await file.write(Buffer.from('X'), 0)
        await file.fdatasync()
        seen.push((await readAll(file)).toString(), await contentOf(os, '/f'))
      }
      await file.close()
      return seen
    },
  },
  {
    title: 'what one descriptor writes another reads at once',
    run: async os => {
      const writer = await os.open('/f', O.wronly | O.creat)
      const reader = await os.open('/f', O.rdonly)
      const seen: Result[] = [(await readAll(reader)).length]
      await writer.write(Buffer.from('hello'), 0)
      seen.push((await readAll(reader)).toString())
      await writer.write(Buffer.from('J'), 0)
      seen.push((await readAll(reader)).toString(), (await reader.stat()).size)
      await writer.close()
      seen.push((await readAll(reader)).toString())
      await reader.close()
      return seen
    },
  },
  {
    title: 'several descriptors append, and nothing is overwritten',
    run: async os => {
      const files = [
        await os.open('/f', O.wronly | O.creat | O.append),
        await os.open('/f', O.wronly | O.append),
        await os.open('/f', O.rdwr | O.append),
      ]
      for (let i = 0; i < 12; i += 1) await files[i % 3]?.write(Buffer.from(`${i};`))
      await files[0]?.close()
      const plain = await os.open('/f', O.rdwr)
      await plain.write(Buffer.from('#'), 0)
      await files[1]?.write(Buffer.from('end'))
      await plain.close()
      for (const file of files.slice(1)) await file.close()
      return contentOf(os, '/f')
    },
  },
  {
    title: 'pwrite with O_APPEND goes to the end, whatever its offset',
    run: async os => {
      await writeFile(os, '/f', '0123456789')
      const file = await os.open('/f', O.rdwr | O.append)
      await file.write(Buffer.from('abc'), 2)
      await file.close()
      return contentOf(os, '/f')
    },
  },
  {
    title: 'a file is appended to after it was stored, time and again',
    run: async os => {
      for (let i = 0; i < 5; i += 1) {
        const file = await os.open('/f', O.wronly | O.creat | O.append)
        await file.write(seededBytes(`append ${i}`, 70_000))
        await file.close()
      }
      return digest(await readFile(os, '/f'))
    },
  },
  {
    title: 'writing behind the end leaves zeros',
    run: async os => {
      await writeFile(os, '/f', 'start')
      const file = await os.open('/f', O.rdwr)
      await file.write(Buffer.from('far'), 100_000)
      const seen: Result[] = [digest(await readAll(file)), (await file.stat()).size]
      await file.write(Buffer.from('farther'), 3 * MiB + 5)
      await file.close()
      return [...seen, digest(await readFile(os, '/f'))]
    },
  },
  {
    title: 'a few bytes in the middle of a big file are changed, and no others',
    run: async os => {
      await writeFile(os, '/f', seededBytes('big', 12 * MiB))
      const seen: Result[] = []
      for (const offset of [5 * MiB - 2, 0, 11 * MiB, 6 * MiB + 1]) {
        const file = await os.open('/f', O.rdwr)
        await file.write(Buffer.from('changed'), offset)
        seen.push((await file.read(offset - (offset > 3 ? 3 : 0), 20)).toString('hex'))
        await file.close()
      }
      return [...seen, digest(await readFile(os, '/f'))]
    },
  },
  {
    title: 'reading at and behind the end gives what there is',
    run: async os => {
      await writeFile(os, '/f', '0123456789')
      const file = await os.open('/f', O.rdonly)
      const seen: Result[] = []
      for (const [offset, length] of [
        [0, 10],
        [0, 100],
        [5, 5],
        [9, 100],
        [10, 1],
        [1000, 5],
        [3, 0],
      ]) {
        seen.push((await file.read(offset ?? 0, length ?? 0)).toString())
      }
      await file.close()
      return seen
    },
  },
  {
    title: 'a write of nothing changes nothing',
    run: async os => {
      const file = await os.open('/f', O.rdwr | O.creat)
      const seen = [await file.write(Buffer.alloc(0), 500), (await file.stat()).size]
      await file.close()
      return [...seen, (await os.stat('/f')).size]
    },
  },
  {
    title: 'writing moves mtime and ctime, reading moves neither',
    run: async os => {
      await writeFile(os, '/f', 'x')
      const long = { seconds: 1_000_000_000, nanoseconds: 0 }
      await os.utimens('/f', long, long)
      const old = await os.stat('/f')
      await readFile(os, '/f')
      const read = await os.stat('/f')
      const file = await os.open('/f', O.rdwr)
      await file.write(Buffer.from('y'), 0)
      const written = await os.stat('/f')
      await file.close()
      const closed = await os.stat('/f')
      return [
        old.mtime === read.mtime,
        written.mtime > old.mtime,
        written.ctime >= old.ctime,
        closed.mtime >= written.mtime,
      ]
    },
  },
  {
    title: 'descriptors refuse what they were not opened for',
    run: async os => {
      await writeFile(os, '/f', 'x')
      const reader = await os.open('/f', O.rdonly)
      const writer = await os.open('/f', O.wronly)
      const results = [
        await tried(() => reader.write(Buffer.from('y'), 0)),
        await tried(() => reader.truncate(0)),
        await tried(async () => (await writer.read(0, 1)).toString()),
      ]
      await reader.close()
      await writer.close()
      return [...results, await contentOf(os, '/f')]
    },
  },
  {
    title: 'the descriptor stands where it was left, and O_APPEND moves it to the end',
    onKernel: async os => {
      const SEEK_SET = 0
      const SEEK_CURRENT = 1
      const SEEK_END = 2
      const file = await os.open('/f', O.rdwr | O.creat)
      const seen: Result[] = []
      await file.write(Buffer.from('0123456789'))
      seen.push(await file.lseek(0, SEEK_CURRENT), await file.lseek(-3, SEEK_END))
      await file.write(Buffer.from('abcdef'))
      seen.push(await file.lseek(0, SEEK_CURRENT), await file.lseek(100, SEEK_SET))
      seen.push(await tried(() => file.lseek(-1, SEEK_SET)), (await file.stat()).size)
      await file.close()
      const appending = await os.open('/f', O.rdwr | O.append)
      await appending.write(Buffer.from('!'))
      seen.push(await appending.lseek(0, SEEK_CURRENT))
      await appending.close()
      return [...seen, await contentOf(os, '/f')]
    },
  },
  {
    title: 'O_DIRECT reads and writes whole blocks',
    onKernel: async os => {
      const file = await os.open('/f', O.wronly | O.creat)
      await writeAll(file, seededBytes('direct', 64 * KiB), 0)
      await file.close()
      const direct = await os.open('/f', O.rdwr | O.direct)
      const seen = [(await direct.stat()).size]
      await direct.close()
      return [...seen, digest(await readFile(os, '/f'))]
    },
  },
]
