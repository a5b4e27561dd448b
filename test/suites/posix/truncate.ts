/** truncate(2) and ftruncate(2): to any size, open or not, before and after storing. */
import { MiB } from '../../../src/util/units.js'
import { seededBytes } from '../../helpers/oci-image.js'
import { contentOf, digest, O, readAll, readFile, tried, writeAll, writeFile } from './os.js'
import type { Case, Result } from './os.js'

const SIZES = [5, 0, 3, 4096, 1, 100_000, 50_000, 3 * MiB, MiB + 1, MiB, 7]

export const truncateCases: readonly Case[] = [
  {
    title: 'a stored file is cut and grown by its name',
    run: async os => {
      await writeFile(os, '/f', 'some content')
      const seen: Result[] = []
      for (const size of SIZES) {
        await os.truncate('/f', size)
        seen.push((await os.stat('/f')).size, digest(await readFile(os, '/f')))
      }
      return seen
    },
  },
  {
    title: 'an open file is cut and grown, written between',
    run: async os => {
      const file = await os.open('/f', O.rdwr | O.creat)
      const seen: Result[] = []
      for (const [index, size] of SIZES.entries()) {
        await writeAll(file, seededBytes(`piece ${index}`, 3000), size)
        await file.truncate(size + 1000)
        seen.push((await file.stat()).size, digest(await readAll(file)))
        if (index % 3 === 0) await file.fsync()
      }
      await file.close()
      return [...seen, digest(await readFile(os, '/f'))]
    },
  },
  {
    title: 'what was cut off does not come back when the file grows again',
    run: async os => {
      const file = await os.open('/f', O.rdwr | O.creat)
      await file.write(Buffer.alloc(10_000, 'x'), 0)
      await file.truncate(5000)
      await file.truncate(10_000)
      const seen: Result[] = [digest(await readAll(file))]
      await file.fsync()
      await file.truncate(100)
      await file.write(Buffer.from('y'), 200)
      seen.push(digest(await readAll(file)))
      await file.close()
      return [...seen, digest(await readFile(os, '/f'))]
    },
  },
  {
    title: 'a big stored file is cut in the middle and grown',
    run: async os => {
      await writeFile(os, '/f', seededBytes('cut', 11 * MiB))
      await os.truncate('/f', 6 * MiB + 17)
      const cut = digest(await readFile(os, '/f'))
      await os.truncate('/f', 8 * MiB)
      return [cut, digest(await readFile(os, '/f'))]
    },
  },
  {
    title: 'cutting by the name reaches those who have the file open',
    run: async os => {
      await writeFile(os, '/f', '0123456789')
      const file = await os.open('/f', O.rdwr)
      await os.truncate('/f', 4)
      const seen: Result[] = [(await file.stat()).size, (await readAll(file)).toString()]
      await file.write(Buffer.from('Z'), 6)
      await file.close()
      return [...seen, await contentOf(os, '/f')]
    },
  },
  {
    title: 'truncate of nothing, of a directory, below a file, to less than nothing',
    run: async os => {
      await writeFile(os, '/f', 'x')
      await os.mkdir('/d')
      return [
        await tried(() => os.truncate('/none', 0)),
        await tried(() => os.truncate('/d', 0)),
        await tried(() => os.truncate('/f/x', 0)),
        await tried(() => os.truncate('/f', -1)),
        await contentOf(os, '/f'),
      ]
    },
  },
]
