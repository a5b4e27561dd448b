/** Files that are removed while they are open, and names that are used again. */
import { seededBytes } from '../../helpers/oci-image.js'
import { contentOf, digest, list, O, readAll, tree, tried, writeFile } from './os.js'
import type { Case, Result } from './os.js'

export const unlinkCases: readonly Case[] = [
  {
    title: 'a stored file that is removed while open is read and written to the end',
    run: async os => {
      await writeFile(os, '/f', seededBytes('stored', 300_000))
      const file = await os.open('/f', O.rdwr)
      await os.unlink('/f')
      const seen: Result[] = [await list(os, '/'), digest(await readAll(file))]
      await file.write(Buffer.from('written after'), 100)
      await file.write(Buffer.from('further'), 400_000)
      seen.push(digest(await readAll(file)), (await file.stat()).size)
      await file.truncate(1000)
      seen.push(digest(await readAll(file)), await tried(() => file.fsync()))
      await file.close()
      return [...seen, ...(await tree(os, ''))]
    },
  },
  {
    title: 'a file that was never stored is removed while open, read and written to the end',
    run: async os => {
      const file = await os.open('/f', O.rdwr | O.creat)
      await file.write(Buffer.from('content'), 0)
      await os.unlink('/f')
      await file.write(Buffer.from('!'), 7)
      const seen: Result[] = [(await readAll(file)).toString(), (await file.stat()).size]
      seen.push(await tried(() => file.fsync()), (await readAll(file)).toString())
      await file.close()
      return [...seen, ...(await tree(os, ''))]
    },
  },
  {
    title: 'a new file under the name of a removed open one has nothing to do with it',
    run: async os => {
      await writeFile(os, '/f', 'old')
      const old = await os.open('/f', O.rdwr)
      await os.unlink('/f')
      await writeFile(os, '/f', 'new content')
      await old.write(Buffer.from('OLD!'), 0)
      const seen = [(await readAll(old)).toString(), await contentOf(os, '/f')]
      await old.close()
      return [...seen, ...(await tree(os, ''))]
    },
  },
  {
    title: 'two descriptors share a removed file, and the last keeps it',
    run: async os => {
      await writeFile(os, '/f', 'shared')
      const one = await os.open('/f', O.rdwr)
      const two = await os.open('/f', O.rdonly)
      await os.unlink('/f')
      await one.write(Buffer.from('S'), 0)
      await one.close()
      const seen = [(await readAll(two)).toString(), (await two.stat()).size]
      await two.close()
      return [...seen, ...(await tree(os, ''))]
    },
  },
  {
    title: 'the link count of a removed open file is 0, and its inode number stays',
    run: async os => {
      await writeFile(os, '/f', 'x')
      const file = await os.open('/f', O.rdonly)
      const before = await file.stat()
      await os.unlink('/f')
      const after = await file.stat()
      await file.close()
      return [before.nlink, after.nlink, before.ino === after.ino]
    },
  },
  {
    title: 'a directory is removed with a removed open file that was in it',
    run: async os => {
      await os.mkdir('/d')
      await writeFile(os, '/d/f', 'content')
      const file = await os.open('/d/f', O.rdwr)
      await os.unlink('/d/f')
      const seen = [await tried(() => os.rmdir('/d'))]
      await file.write(Buffer.from('C'), 0)
      seen.push((await readAll(file)).toString())
      await file.close()
      return [...seen, ...(await tree(os, ''))]
    },
  },
  {
    title: 'unlink and rmdir of what they are not for',
    run: async os => {
      await writeFile(os, '/f', 'x')
      await os.mkdir('/d')
      await os.mkdir('/d/e')
      return [
        await tried(() => os.unlink('/d')),
        await tried(() => os.unlink('/none')),
        await tried(() => os.unlink('/f/x')),
        await tried(() => os.unlink('/none/x')),
        await tried(() => os.rmdir('/f')),
        await tried(() => os.rmdir('/none')),
        await tried(() => os.rmdir('/d')),
        await tried(() => os.rmdir('/d/e/.')),
        await tried(() => os.rmdir('/d/e/..')),
        await tried(() => os.rmdir('/f/x')),
        ...(await tree(os, '')),
      ]
    },
  },
]
