/** Holes, reserved space, and copies made by the file system. */
import { KiB, MiB } from '../../../src/util/units.js'
import { FALLOCATE, SEEK } from '../../helpers/libc.js'
import { seededBytes } from '../../helpers/oci-image.js'
import { digest, O, readAll, readFile, tried, writeAll, writeFile } from './os.js'
import type { Case, Os, OsFile, Result } from './os.js'

async function made(os: Os, size: number): Promise<OsFile> {
  const file = await os.open('/f', O.rdwr | O.creat)
  await writeAll(file, seededBytes('sparse', size), 0)
  return file
}

/** Does one thing to a new file, a stored one and a big one, and tells what became of them. */
function onFiles(work: (file: OsFile) => Promise<void>): Case['run'] {
  return async os => {
    const results: Result[] = []
    for (const { size, stored } of [
      { size: 0, stored: false },
      { size: 20_000, stored: false },
      { size: 20_000, stored: true },
      { size: 7 * MiB, stored: true },
    ]) {
      let file = await made(os, size)
      if (stored) {
        await file.close()
        file = await os.open('/f', O.rdwr)
      }
      results.push(await tried(() => work(file)))
      results.push((await file.stat()).size, digest(await readAll(file)))
      await file.close()
      results.push(digest(await readFile(os, '/f')))
      await os.unlink('/f')
    }
    return results
  }
}

function fallocateCase(title: string, ...ranges: readonly [mode: number, at: number, n: number][]) {
  return {
    title: `fallocate: ${title}`,
    run: onFiles(async file => {
      for (const [mode, at, length] of ranges) await file.fallocate(mode, at, length)
    }),
  }
}

const { allocate, keepSize, punch, zero } = FALLOCATE

export const sparseCases: readonly Case[] = [
  fallocateCase('space inside of the file', [allocate, 100, 5000]),
  fallocateCase('space beyond the end makes the file longer', [allocate, 10_000, 30_000]),
  fallocateCase('space beyond the end that is kept out of the size', [keepSize, 10_000, 30_000]),
  fallocateCase('a hole in the middle', [punch | keepSize, 5000, 9000]),
  fallocateCase('a hole over the end', [punch | keepSize, 15_000, 50_000]),
  fallocateCase(
    'a hole of one byte, and one of the whole file',
    [punch | keepSize, 1, 1],
    [punch | keepSize, 0, 8 * MiB],
  ),
  fallocateCase('a hole without keeping the size', [punch, 0, 10]),
  fallocateCase('a range of no length', [allocate, 0, 0]),
  fallocateCase('space of several MiB, written in part', [allocate, 0, 3 * MiB]),
  {
    title: 'fallocate: a range of zeros inside of the file, and one that makes it longer',
    run: onFiles(async file => {
      await file.fallocate(zero, 3000, 4000)
      await file.fallocate(zero, 19_000, 11_000)
    }),
    // Not every local file system has FALLOC_FL_ZERO_RANGE.
    oracle: onFiles(async file => {
      await file.fallocate(punch | keepSize, 3000, 4000)
      await file.fallocate(allocate, 3000, 4000)
      await file.fallocate(punch | keepSize, 19_000, 11_000)
      await file.fallocate(allocate, 19_000, 11_000)
    }),
  },
  {
    title: 'SEEK_DATA and SEEK_HOLE agree with what is read',
    run: async os => {
      const file = await os.open('/f', O.rdwr | O.creat)
      await writeAll(file, Buffer.alloc(64 * KiB, 'a'), 0)
      await writeAll(file, Buffer.alloc(64 * KiB, 'b'), 4 * MiB)
      await file.truncate(8 * MiB)
      const seen: Result[] = []
      for (const offset of [0, 100, 4 * MiB + 10, 8 * MiB, 8 * MiB + 1]) {
        // Where holes begin is the file system's own business; what a hole holds is not.
        const hole = await tried(() => file.lseek(offset, SEEK.hole))
        const data = await tried(() => file.lseek(offset, SEEK.data))
        const rest = async (from: number): Promise<boolean> =>
          (await readAll(file, offset, from - offset)).every(byte => byte === 0)
        seen.push(typeof data === 'number' ? await rest(data) : data)
        seen.push(typeof hole === 'number' ? hole >= offset && hole <= 8 * MiB : hole)
      }
      await file.close()
      return seen
    },
  },
  {
    title: 'SEEK_DATA and SEEK_HOLE of a file without holes, and of an empty one',
    run: async os => {
      await writeFile(os, '/f', 'content')
      await writeFile(os, '/empty', '')
      const seen: Result[] = []
      for (const path of ['/f', '/empty']) {
        const file = await os.open(path, O.rdonly)
        for (const offset of [0, 3, 7, 8]) {
          seen.push(await tried(() => file.lseek(offset, SEEK.data)))
          seen.push(await tried(() => file.lseek(offset, SEEK.hole)))
        }
        await file.close()
      }
      return seen
    },
  },
  {
    title: 'copy_file_range copies whole files and pieces, to new files and into others',
    run: async os => {
      await writeFile(os, '/from', seededBytes('copied', 7 * MiB + 5))
      const results: Result[] = []
      for (const [at, there, length] of [
        [0, 0, 7 * MiB + 5],
        [100, 5000, 1000],
        [5 * MiB, 3, 2 * MiB],
        [0, 9 * MiB, 77],
        [7 * MiB, 0, MiB],
        [8 * MiB, 0, 10],
      ] as const) {
        const from = await os.open('/from', O.rdonly)
        const to = await os.open('/to', O.rdwr | O.creat)
        let copied = 0
        while (copied < length) {
          const range = { at: at + copied, there: there + copied, length: length - copied }
          const count = await from.copyTo(to, range)
          if (count === 0) break
          copied += count
        }
        results.push(copied, digest(await readAll(to)))
        await from.close()
        await to.close()
        results.push(digest(await readFile(os, '/to')))
      }
      return results
    },
  },
  {
    title: 'copy_file_range takes what was just written, and copies within one file',
    run: async os => {
      const file = await os.open('/f', O.rdwr | O.creat)
      await file.write(Buffer.from('0123456789'), 0)
      const other = await os.open('/g', O.rdwr | O.creat)
      const seen: Result[] = [await file.copyTo(other, { at: 2, there: 1, length: 5 })]
      seen.push(await file.copyTo(file, { at: 0, there: 20, length: 10 }))
      seen.push(await tried(() => file.copyTo(file, { at: 0, there: 5, length: 10 })))
      seen.push((await readAll(file)).toString('latin1'), (await readAll(other)).toString('latin1'))
      await file.close()
      await other.close()
      return seen
    },
  },
  {
    title: 'copy_file_range is refused where the descriptors are not for it',
    run: async os => {
      await writeFile(os, '/f', 'content')
      await writeFile(os, '/g', '')
      const reader = await os.open('/f', O.rdonly)
      const writer = await os.open('/g', O.wronly)
      const appender = await os.open('/g', O.wronly | O.append)
      const range = { at: 0, there: 0, length: 5 }
      const results = [
        await tried(() => writer.copyTo(writer, range)),
        await tried(() => reader.copyTo(reader, range)),
        await tried(() => reader.copyTo(appender, range)),
        await tried(() => reader.copyTo(writer, range)),
      ]
      for (const file of [reader, writer, appender]) await file.close()
      return results
    },
  },
]
