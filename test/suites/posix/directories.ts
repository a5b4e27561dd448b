/** Making, removing and listing directories; listings that go on while names come and go. */
import { setTimeout as delay } from 'node:timers/promises'
import { list, TICK, tree, tried, writeFile } from './os.js'
import type { AnyCase, Os, OsDirectory, Result } from './os.js'

async function manyFiles(os: Os, path: string, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, i) => `file-${String(i).padStart(4, '0')}`)
  await os.mkdir(path)
  for (const name of names) await writeFile(os, `${path}/${name}`, '')
  return names
}

/** Up to `count` names, without dots. */
async function take(directory: OsDirectory, count: number): Promise<string[]> {
  const names: string[] = []
  while (names.length < count) {
    const entry = await directory.next()
    if (entry === undefined) break
    if (entry.name !== '.' && entry.name !== '..') names.push(entry.name)
  }
  return names
}

const COUNT = 400

export const directoryCases: readonly AnyCase[] = [
  {
    title: 'directories are made, nested, listed and removed',
    run: async os => {
      const seen: Result[] = []
      for (const path of ['/a', '/a/b', '/a/b/c', '/a/d'])
        seen.push(await tried(() => os.mkdir(path)))
      seen.push(
        await tree(os, ''),
        await tried(() => os.mkdir('/a')),
        await tried(() => os.mkdir('/')),
      )
      seen.push(await tried(() => os.mkdir('/none/x')), await tried(() => os.rmdir('/a/b')))
      for (const path of ['/a/b/c', '/a/b', '/a/d', '/a'])
        seen.push(await tried(() => os.rmdir(path)))
      return [...seen, await tree(os, '')]
    },
  },
  {
    title: 'mkdir where a file is, below a file, and with a slash at the end',
    run: async os => {
      await writeFile(os, '/f', 'x')
      return [
        await tried(() => os.mkdir('/f')),
        await tried(() => os.mkdir('/f/d')),
        await tried(() => os.mkdir('/d/')),
        await tried(() => os.mkdir('/d/.')),
        ...(await tree(os, '')),
      ]
    },
  },
  {
    title: 'a directory stays when its last file is removed',
    run: async os => {
      await os.mkdir('/d')
      await writeFile(os, '/d/f', 'x')
      await os.unlink('/d/f')
      return tree(os, '')
    },
  },
  {
    title: 'entries have the types of what they name, and dots are there',
    run: async os => {
      await os.mkdir('/d')
      await os.mkdir('/d/sub')
      await writeFile(os, '/d/file', 'x')
      const directory = await os.opendir('/d')
      const entries: string[] = []
      for (;;) {
        const entry = await directory.next()
        if (entry === undefined) break
        entries.push(`${entry.name} ${entry.type}`)
      }
      await directory.close()
      return entries.toSorted()
    },
  },
  {
    title: 'a directory is emptied while it is read',
    run: async os => {
      await manyFiles(os, '/d', COUNT)
      const directory = await os.opendir('/d')
      let removed = 0
      for (;;) {
        const [name] = await take(directory, 1)
        if (name === undefined) break
        await os.unlink(`/d/${name}`)
        removed += 1
      }
      await directory.close()
      return [removed, await list(os, '/d'), await tried(() => os.rmdir('/d'))]
    },
  },
  {
    title: 'names that stay come once while others come and go',
    run: async os => {
      const names = await manyFiles(os, '/d', COUNT)
      const directory = await os.opendir('/d')
      const seen = await take(directory, 300)
      const unseen = names.filter(name => !seen.includes(name))
      for (const name of seen.slice(0, 50)) await os.unlink(`/d/${name}`)
      for (const name of unseen.slice(0, 50)) await os.unlink(`/d/${name}`)
      for (let i = 0; i < 50; i += 1) await writeFile(os, `/d/a-new-${i}`, '')
      seen.push(...(await take(directory, Infinity)))
      await directory.close()
      const staying = names.filter(name => !unseen.slice(0, 50).includes(name))
      return [
        staying.every(name => seen.includes(name)),
        new Set(seen).size === seen.length,
        (await list(os, '/d')).length,
      ]
    },
  },
  {
    title: 'two streams of one directory do not disturb each other',
    run: async os => {
      const names = await manyFiles(os, '/d', 120)
      const one = await os.opendir('/d')
      const two = await os.opendir('/d')
      const fromOne = await take(one, 60)
      const fromTwo = await take(two, Infinity)
      fromOne.push(...(await take(one, Infinity)))
      await one.close()
      await two.close()
      return [fromOne, fromTwo].map(seen => seen.toSorted().join() === names.join())
    },
  },
  {
    title: 'opendir of nothing, of a file, below a file',
    run: async os => {
      await writeFile(os, '/f', 'x')
      const open = async (path: string) => {
        await (await os.opendir(path)).close()
      }
      const results: Result[] = []
      for (const path of ['/none', '/f', '/f/x']) results.push(await tried(() => open(path)))
      return results
    },
  },
  {
    title: 'seekdir goes back to where telldir was, and on from there',
    onKernel: async os => {
      await manyFiles(os, '/d', COUNT)
      const directory = await os.opendir('/d')
      const results: boolean[] = []
      const positions: (number | bigint)[] = []
      const names: string[] = []
      for (;;) {
        const position = directory.tell()
        const entry = await directory.next()
        if (entry === undefined) break
        positions.push(position)
        names.push(entry.name)
      }
      for (const index of [0, 1, 5, 299, 300, 370, names.length - 1]) {
        directory.seek(positions[index] ?? 0)
        results.push((await directory.next())?.name === names[index])
        results.push((await directory.next())?.name === names[index + 1])
      }
      directory.seek(positions[350] ?? 0)
      await os.unlink(`/d/${names.find(name => name.startsWith('file')) ?? ''}`)
      const rest = await take(directory, Infinity)
      await directory.close()
      return [...results, names.length, rest.length >= names.length - 350 - 3]
    },
  },
  {
    title: 'the mtime of a directory moves when a name is made, removed or renamed in it',
    run: async os => {
      await os.mkdir('/d')
      const long = { seconds: 1_000_000_000, nanoseconds: 0 }
      const moved: Result[] = []
      const steps = [
        () => writeFile(os, '/d/f', 'x'),
        async () => os.rename('/d/f', '/d/g'),
        async () => os.mkdir('/d/sub'),
        async () => os.rmdir('/d/sub'),
        async () => os.unlink('/d/g'),
      ]
      for (const step of steps) {
        await os.utimens('/d', long, long)
        const before = await os.stat('/d')
        // A file system may know whole milliseconds only, or refuse the time that was set.
        await delay(TICK)
        await step()
        moved.push((await os.stat('/d')).mtime > before.mtime)
      }
      return moved
    },
  },
]
