/** Symbolic links, hard links, and nodes that are neither file nor directory. */
import { contentOf, list, O, tree, tried, writeFile } from './os.js'
import type { AnyCase, Result } from './os.js'

const S_IFREG = 0o100000
const S_IFIFO = 0o010000
const S_IFSOCK = 0o140000

export const linkCases: readonly AnyCase[] = [
  {
    title: 'a symbolic link has the target that it was given, and its length',
    run: async os => {
      const targets = ['f', '../x', '/absolute', 'ü 🦀', 'x'.repeat(300), 'dangling/..//./.']
      const seen: Result[] = []
      for (const [index, target] of targets.entries()) {
        await os.symlink(target, `/l${index}`)
        const { type, size } = await os.stat(`/l${index}`)
        seen.push(await os.readlink(`/l${index}`), type, size)
      }
      return [...seen, await list(os, '/')]
    },
  },
  {
    title: 'symbolic links are followed, to files, directories and nowhere',
    onKernel: async os => {
      await os.mkdir('/d')
      await writeFile(os, '/d/f', 'content')
      await os.symlink('d/f', '/to-file')
      await os.symlink('d', '/to-directory')
      await os.symlink('nowhere', '/to-nothing')
      await os.symlink('loop', '/loop')
      const seen: Result[] = [
        await contentOf(os, '/to-file'),
        await contentOf(os, '/to-directory/f'),
        await contentOf(os, '/to-nothing'),
        await contentOf(os, '/loop'),
      ]
      await writeFile(os, '/to-nothing', 'made through the link')
      seen.push(await tried(async () => (await os.open('/to-file', O.rdonly | O.nofollow)).close()))
      await os.truncate('/to-file', 3)
      return [...seen, ...(await tree(os, ''))]
    },
  },
  {
    title: 'symbolic links are renamed and removed themselves',
    run: async os => {
      await writeFile(os, '/f', 'x')
      await os.symlink('f', '/l')
      await os.rename('/l', '/m')
      const seen: Result[] = [await os.readlink('/m'), await tried(() => os.readlink('/l'))]
      await os.symlink('other', '/n')
      await os.rename('/m', '/n')
      seen.push(await os.readlink('/n'), await tried(() => os.symlink('x', '/n')))
      seen.push(await tried(() => os.rmdir('/n')), await tried(() => os.unlink('/n')))
      return [...seen, ...(await tree(os, ''))]
    },
  },
  {
    title: 'readlink of what is no link, symlink where something is or nothing can be',
    run: async os => {
      await writeFile(os, '/f', 'x')
      await os.mkdir('/d')
      return [
        await tried(() => os.readlink('/f')),
        await tried(() => os.readlink('/d')),
        await tried(() => os.readlink('/none')),
        await tried(() => os.symlink('x', '/f')),
        await tried(() => os.symlink('x', '/none/l')),
        await tried(() => os.symlink('x', '/f/l')),
        ...(await tree(os, '')),
      ]
    },
  },
  {
    title: 'a regular file is made by mknod',
    run: async os => {
      const made = await tried(() => os.mknod('/f', S_IFREG | 0o644))
      return [made, await tried(() => os.mknod('/f', S_IFREG | 0o644)), ...(await tree(os, ''))]
    },
  },
  {
    title: 'a fifo and a socket are made by mknod',
    run: async os => {
      const made = [
        await tried(() => os.mknod('/fifo', S_IFIFO | 0o644)),
        await tried(() => os.mknod('/socket', S_IFSOCK | 0o644)),
      ]
      return [...made, ...(await tree(os, ''))]
    },
  },
  {
    title: 'a hard link is another name of the same file',
    run: async os => {
      await writeFile(os, '/f', 'x')
      await os.mkdir('/d')
      const linked = await tried(() => os.link('/f', '/g'))
      return [linked, await tried(() => os.link('/none', '/h')), ...(await tree(os, ''))]
    },
  },
]
