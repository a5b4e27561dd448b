/** rename(2): every kind of thing onto every other, open files, whole trees, flags. */
import { RENAME } from '../../helpers/libc.js'
import { contentOf, O, readAll, tree, tried, writeFile } from './os.js'
import type { Case, Os, Result } from './os.js'

type Make = (os: Os, path: string) => Promise<void>

const KINDS: Readonly<Record<string, Make>> = {
  nothing: async () => undefined,
  'a file': (os, path) => writeFile(os, path, `file ${path}`),
  'an empty file': (os, path) => writeFile(os, path, ''),
  'an empty directory': async (os, path) => os.mkdir(path),
  'a full directory': async (os, path) => {
    await os.mkdir(path)
    await os.mkdir(`${path}/sub`)
    await writeFile(os, `${path}/sub/file`, `file in ${path}`)
  },
}

function matrixCase(from: string, flags: keyof typeof RENAME): Case {
  return {
    title: `rename (${flags}) of ${from} onto each kind of thing`,
    run: async os => {
      const results: Record<string, Result> = {}
      for (const to of Object.keys(KINDS)) {
        await os.mkdir('/w')
        await KINDS[from]?.(os, '/w/from')
        await KINDS[to]?.(os, '/w/to')
        const renamed = await tried(() => os.rename('/w/from', '/w/to', RENAME[flags]))
        results[to] = [renamed, ...(await tree(os, '/w'))]
        await removeAll(os, '/w')
      }
      return results
    },
  }
}

async function removeAll(os: Os, path: string): Promise<void> {
  for (const line of (await tree(os, path)).toReversed()) {
    if (line.endsWith('/')) await os.rmdir(line.slice(0, -1))
    else await os.unlink(line.replace(/: .*$/s, ''))
  }
  await os.rmdir(path)
}

export const renameCases: readonly Case[] = [
  ...Object.keys(KINDS).map(kind => matrixCase(kind, 'plain')),
  ...Object.keys(KINDS).map(kind => matrixCase(kind, 'noReplace')),
  matrixCase('a file', 'exchange'),
  {
    title: 'rename of flags that cannot be',
    run: async os => {
      await writeFile(os, '/f', 'x')
      return [await tried(() => os.rename('/f', '/g', RENAME.noReplace | RENAME.exchange))]
    },
  },
  {
    title: 'rename onto itself, into itself, over a parent, of the root, of dots',
    run: async os => {
      await os.mkdir('/d')
      await os.mkdir('/d/e')
      await writeFile(os, '/d/f', 'x')
      const results = [
        await tried(() => os.rename('/d/f', '/d/f')),
        await tried(() => os.rename('/d', '/d')),
        await tried(() => os.rename('/d', '/d/x')),
        await tried(() => os.rename('/d', '/d/e')),
        await tried(() => os.rename('/d', '/d/e/x')),
        await tried(() => os.rename('/d/e', '/d')),
        await tried(() => os.rename('/d/f', '/d')),
        await tried(() => os.rename('/d/.', '/x')),
        await tried(() => os.rename('/d/f/', '/x')),
        await tried(() => os.rename('/d/f', '/x/')),
        await tried(() => os.rename('/d/f/x', '/x')),
        await tried(() => os.rename('/d/f', '/none/x')),
        await tried(() => os.rename('/d/f', '/d/f/x')),
        await tried(() => os.rename('/d/f', `/${'x'.repeat(256)}`)),
      ]
      return [...results, ...(await tree(os, ''))]
    },
  },
  {
    title: 'an open file is renamed and goes on being read and written',
    run: async os => {
      await os.mkdir('/a')
      await os.mkdir('/b')
      const file = await os.open('/a/f', O.rdwr | O.creat)
      await file.write(Buffer.from('before '), 0)
      await os.rename('/a/f', '/b/g')
      await file.write(Buffer.from('after'), 7)
      const seen = [(await readAll(file)).toString(), await contentOf(os, '/b/g')]
      await file.fsync()
      await os.rename('/b/g', '/a/h')
      await file.write(Buffer.from('!'), 12)
      await file.close()
      return [...seen, ...(await tree(os, ''))]
    },
  },
  {
    title: 'a file that replaces an open one leaves the old content to those who have it open',
    run: async os => {
      await writeFile(os, '/old', 'old content')
      const file = await os.open('/old', O.rdwr)
      await writeFile(os, '/new', 'new content')
      const seen: Result[] = [(await readAll(file)).toString()]
      await os.rename('/new', '/old')
      seen.push((await readAll(file)).toString(), (await file.stat()).size)
      await file.write(Buffer.from('OLD'), 0)
      seen.push((await readAll(file)).toString(), await contentOf(os, '/old'))
      await file.close()
      return [...seen, ...(await tree(os, ''))]
    },
  },
  {
    title: 'a dirty file takes the place of another dirty file',
    run: async os => {
      const one = await os.open('/one', O.rdwr | O.creat)
      const two = await os.open('/two', O.rdwr | O.creat)
      await one.write(Buffer.from('first'), 0)
      await two.write(Buffer.from('second'), 0)
      await os.rename('/one', '/two')
      await one.write(Buffer.from('!'), 5)
      await two.write(Buffer.from('?'), 6)
      const seen = [(await readAll(one)).toString(), (await readAll(two)).toString()]
      await one.close()
      await two.close()
      return [...seen, ...(await tree(os, ''))]
    },
  },
  {
    title: 'two files change names by way of a third',
    run: async os => {
      await writeFile(os, '/one', '1')
      await writeFile(os, '/two', '2')
      await os.rename('/one', '/tmp')
      await os.rename('/two', '/one')
      await os.rename('/tmp', '/two')
      return tree(os, '')
    },
  },
  {
    title: 'a tree is renamed with open and dirty files in it',
    run: async os => {
      await os.mkdir('/a')
      await os.mkdir('/a/b')
      await writeFile(os, '/a/b/stored', 'stored')
      const dirty = await os.open('/a/b/dirty', O.rdwr | O.creat)
      await dirty.write(Buffer.from('dirty'), 0)
      const reader = await os.open('/a/b/stored', O.rdonly)
      await os.rename('/a', '/z')
      await dirty.write(Buffer.from(' later'), 5)
      await writeFile(os, '/z/b/new', 'new')
      const seen = [(await readAll(reader)).toString(), (await readAll(dirty)).toString()]
      await dirty.close()
      await reader.close()
      await os.mkdir('/a')
      return [...seen, ...(await tree(os, ''))]
    },
  },
  {
    title: 'a directory is moved into another, and back, and its parent removed',
    run: async os => {
      await os.mkdir('/p')
      await os.mkdir('/q')
      await os.mkdir('/p/d')
      await writeFile(os, '/p/d/f', 'x')
      await os.rename('/p/d', '/q/d')
      const seen = [...(await tree(os, '')), await tried(() => os.rmdir('/p'))]
      await os.rename('/q/d/f', '/f')
      await os.rmdir('/q/d')
      await os.rmdir('/q')
      return [...seen, ...(await tree(os, ''))]
    },
  },
]
