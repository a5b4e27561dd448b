/** Extended attributes in the namespace `user`. */
import { XATTR } from '../../helpers/libc.js'
import { seededBytes } from '../../helpers/oci-image.js'
import { digest, tried, writeFile } from './os.js'
import type { Case, Os, Result } from './os.js'

const value = (text: string): Buffer => Buffer.from(text)

async function get(os: Os, path: string, name: string): Promise<string> {
  return tried(async () => (await os.getxattr(path, name)).toString('latin1'))
}

async function names(os: Os, path: string): Promise<string[]> {
  // What a file system lists besides is its own business.
  return (await os.listxattr(path)).filter(name => name.startsWith('user.t.')).toSorted()
}

export const xattrCases: readonly Case[] = [
  {
    title: 'attributes are set, replaced, listed and removed',
    run: async os => {
      await writeFile(os, '/f', 'x')
      await os.mkdir('/d')
      const seen: Result[] = []
      for (const path of ['/f', '/d']) {
        await os.setxattr(path, 'user.t.one', value('1'))
        await os.setxattr(path, 'user.t.two', value('second'))
        await os.setxattr(path, 'user.t.empty', value(''))
        seen.push(await names(os, path))
        await os.setxattr(path, 'user.t.one', value('replaced'))
        for (const name of ['one', 'two', 'empty', 'none']) {
          seen.push(await get(os, path, `user.t.${name}`))
        }
        await os.removexattr(path, 'user.t.two')
        seen.push(await names(os, path), await tried(() => os.removexattr(path, 'user.t.two')))
      }
      return seen
    },
  },
  {
    title: 'XATTR_CREATE and XATTR_REPLACE insist',
    run: async os => {
      await writeFile(os, '/f', 'x')
      const set = async (text: string, flags: number) =>
        tried(() => os.setxattr('/f', 'user.t.a', value(text), flags))
      return [
        await set('1', XATTR.replace),
        await set('2', XATTR.create),
        await set('3', XATTR.create),
        await set('4', XATTR.replace),
        await get(os, '/f', 'user.t.a'),
      ]
    },
  },
  {
    title: 'values are bytes, and come only where there is room',
    run: async os => {
      await writeFile(os, '/f', 'x')
      const bytes = seededBytes('xattr', 700)
      await os.setxattr('/f', 'user.t.bytes', bytes)
      return [
        digest(await os.getxattr('/f', 'user.t.bytes')),
        await tried(async () => (await os.getxattr('/f', 'user.t.bytes', 699)).length),
        await tried(async () => (await os.getxattr('/f', 'user.t.none')).length),
      ]
    },
  },
  {
    title: 'attributes stay when the file is written, cut and renamed',
    run: async os => {
      await writeFile(os, '/f', 'x')
      await os.setxattr('/f', 'user.t.a', value('kept'))
      const seen: Result[] = []
      await writeFile(os, '/f', 'other')
      seen.push(await get(os, '/f', 'user.t.a'))
      await os.truncate('/f', 1)
      seen.push(await get(os, '/f', 'user.t.a'))
      await os.rename('/f', '/g')
      return [...seen, await get(os, '/g', 'user.t.a'), await get(os, '/f', 'user.t.a')]
    },
  },
  {
    title: 'names with signs of all kinds, and names that cannot be',
    run: async os => {
      await writeFile(os, '/f', 'x')
      const seen: Result[] = []
      for (const name of ['user.t.A B', 'user.t.ü', 'user.t.UPPER', 'user.t.upper', 'user.t.%']) {
        await os.setxattr('/f', name, value(name))
      }
      seen.push(await names(os, '/f'))
      for (const name of await names(os, '/f'))
        seen.push((await os.getxattr('/f', name)).toString())
      seen.push(await tried(() => os.setxattr('/f', 'nonsense', value('x'))))
      seen.push(await tried(() => os.setxattr('/f', `user.${'x'.repeat(260)}`, value('x'))))
      return seen
    },
  },
]
