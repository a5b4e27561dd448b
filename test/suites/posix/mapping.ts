/** mmap(2) with MAP_SHARED beside read(2) and write(2). */
import { Mapping } from '../../helpers/libc.js'
import { seededBytes } from '../../helpers/oci-image.js'
import { descriptorOf } from './host-os.js'
import { digest, O, readAll, readFile, tried, writeAll, writeFile } from './os.js'
import type { KernelCase, Result } from './os.js'

const SIZE = 300_000

export const mappingCases: readonly KernelCase[] = [
  {
    title: 'a stored file is read through a mapping',
    onKernel: async os => {
      await writeFile(os, '/f', seededBytes('mapped', SIZE))
      const file = await os.open('/f', O.rdonly)
      const mapping = new Mapping(descriptorOf(file), SIZE, { writable: false })
      const seen = [digest(mapping.read(0, SIZE)), digest(mapping.read(123_456, 7))]
      mapping.unmap()
      await file.close()
      return seen
    },
  },
  {
    title: 'what is written through a mapping is read, and the reverse',
    onKernel: async os => {
      const file = await os.open('/f', O.rdwr | O.creat)
      await writeAll(file, Buffer.alloc(SIZE, 'a'), 0)
      const mapping = new Mapping(descriptorOf(file), SIZE)
      mapping.write(1000, Buffer.from('mapped'))
      const seen: Result[] = [(await file.read(998, 10)).toString()]
      await file.write(Buffer.from('written'), 5000)
      seen.push(mapping.read(4998, 11).toString())
      mapping.sync()
      seen.push(digest(await readFile(os, '/f')))
      mapping.write(200_000, Buffer.from('again'))
      mapping.unmap()
      seen.push(digest(await readAll(file)))
      await file.close()
      return [...seen, digest(await readFile(os, '/f'))]
    },
  },
  {
    title: 'a mapping outlives its descriptor',
    onKernel: async os => {
      await writeFile(os, '/f', Buffer.alloc(10_000, 'b'))
      const file = await os.open('/f', O.rdwr)
      const mapping = new Mapping(descriptorOf(file), 10_000)
      await file.close()
      mapping.write(1, Buffer.from('late'))
      const seen: Result[] = [mapping.read(0, 6).toString()]
      mapping.sync()
      mapping.unmap()
      return [...seen, digest(await readFile(os, '/f'))]
    },
  },
  {
    title: 'a mapping beyond the end of a file gives nothing there, and zeros in its last page',
    onKernel: async os => {
      await writeFile(os, '/f', 'short')
      const file = await os.open('/f', O.rdwr)
      const mapping = new Mapping(descriptorOf(file), 16_384)
      const seen: Result[] = [
        mapping.read(0, 10).toString('latin1'),
        await tried(() => mapping.read(8192, 1).length),
      ]
      await file.truncate(9000)
      seen.push(await tried(() => mapping.read(8192, 1).length))
      await file.truncate(3)
      seen.push(mapping.read(0, 10).toString('latin1'))
      mapping.unmap()
      await file.close()
      return seen
    },
  },
]
