/** open(2): flags, creation, exclusiveness, and what is refused. */
import {
  contentOf,
  list,
  O,
  readAll,
  tried,
  writeFile,
  type Case,
  type Os,
  type Result,
} from './os.js'

const FLAG_SETS: Readonly<Record<string, number>> = {
  rdonly: O.rdonly,
  wronly: O.wronly,
  rdwr: O.rdwr,
  'wronly creat': O.wronly | O.creat,
  'rdonly creat': O.rdonly | O.creat,
  'wronly creat excl': O.wronly | O.creat | O.excl,
  'rdwr creat trunc': O.rdwr | O.creat | O.trunc,
  'wronly trunc': O.wronly | O.trunc,
  'rdwr append': O.rdwr | O.append,
  'rdonly directory': O.rdonly | O.directory,
  'rdonly nofollow': O.rdonly | O.nofollow,
  'wronly sync': O.wronly | O.sync,
  'wronly dsync': O.wronly | O.dsync,
}

/** Opens, tries to write and to read, and tells what the file holds then. */
async function openAndUse(os: Os, path: string, flags: number): Promise<Result> {
  const opened = await tried(async () => {
    const file = await os.open(path, flags)
    const wrote = await tried(() => file.write(Buffer.from('XY'), 1))
    const read = await tried(async () => (await readAll(file)).toString())
    const { size } = await file.stat()
    await file.close()
    return { wrote, read, size }
  })
  return { opened, content: await contentOf(os, path) }
}

function flagCase([name, flags]: readonly [string, number]): Case {
  return {
    title: `open with ${name}: of a file, of nothing, of a directory, below a file`,
    run: async os => {
      await writeFile(os, '/file', 'content')
      await os.mkdir('/directory')
      const results: Record<string, Result> = {}
      for (const path of ['/file', '/nothing', '/directory', '/file/below', '/nowhere/file']) {
        results[path] = await openAndUse(os, path, flags)
      }
      return { results, names: await list(os, '/') }
    },
  }
}

export const openCases: readonly Case[] = [
  ...Object.entries(FLAG_SETS).map(flagCase),
  {
    title: 'of several who create a file exclusively one succeeds',
    run: async os => {
      const attempts = Array.from({ length: 5 }, () =>
        tried(async () => (await os.open('/f', O.wronly | O.creat | O.excl)).close()),
      )
      return (await Promise.all(attempts)).toSorted()
    },
  },
  {
    title: 'a file that is made for reading only is there, empty',
    run: async os => {
      const file = await os.open('/f', O.rdonly | O.creat | O.excl)
      const wrote = await tried(() => file.write(Buffer.from('x')))
      await file.close()
      return [wrote, await contentOf(os, '/f'), (await os.stat('/f')).size]
    },
  },
  {
    title: 'a file made without the right to write is written by the descriptor that made it',
    run: async os => {
      const file = await os.open('/f', O.rdwr | O.creat | O.excl, 0o444)
      await file.write(Buffer.from('written'))
      const seen = String(await readAll(file))
      await file.close()
      return [seen, await contentOf(os, '/f')]
    },
  },
  {
    title: 'opening with O_TRUNC empties the file for those who have it open',
    run: async os => {
      await writeFile(os, '/f', 'old content')
      const before = await os.open('/f', O.rdwr)
      const truncating = await os.open('/f', O.wronly | O.trunc)
      const seen = [(await before.stat()).size, (await readAll(before)).toString()]
      await truncating.write(Buffer.from('new'))
      seen.push((await readAll(before)).toString())
      await before.write(Buffer.from('N'), 0)
      await truncating.close()
      await before.close()
      return [...seen, await contentOf(os, '/f')]
    },
  },
  {
    title: 'names are seen by the listing as soon as they are made',
    run: async os => {
      const seen: Result[] = []
      const file = await os.open('/one', O.wronly | O.creat)
      seen.push(await list(os, '/'))
      await file.close()
      await os.mkdir('/two')
      seen.push(await list(os, '/'))
      await os.unlink('/one')
      seen.push(await list(os, '/'))
      await os.rename('/two', '/three')
      seen.push(await list(os, '/'))
      await os.rmdir('/three')
      return [...seen, await list(os, '/')]
    },
  },
]
