/** stat(2) and what changes it. Owners other than the caller are the business of other tests. */
import { setTimeout as delay } from 'node:timers/promises'
import { O, TICK, tried, writeFile } from './os.js'
import type { AnyCase, Os, Result, Stat } from './os.js'

const LONG_AGO = { seconds: 1_000_000_000, nanoseconds: 0 }
const PRECISE = { seconds: 1_500_000_000, nanoseconds: 123_456_789 }
const OLDER = { seconds: 86_400, nanoseconds: 1 }

async function times(os: Os, path: string): Promise<string[]> {
  const { atime, mtime } = await os.stat(path)
  return [String(atime), String(mtime)]
}

function modeOf({ mode }: Stat): string {
  return mode.toString(8)
}

export const attributeCases: readonly AnyCase[] = [
  {
    title: 'types, sizes and permissions of what was just made',
    run: async os => {
      await writeFile(os, '/f', '12345')
      await os.mkdir('/d')
      const file = await os.stat('/f')
      const directory = await os.stat('/d')
      return [file.type, file.size, file.nlink, modeOf(file), directory.type, modeOf(directory)]
    },
  },
  {
    title: 'chmod of files and directories, by name and by descriptor',
    run: async os => {
      await writeFile(os, '/f', 'x')
      await os.mkdir('/d')
      const seen: Result[] = []
      for (const mode of [0o600, 0o755, 0o000, 0o4755, 0o2711, 0o7777, 0o644]) {
        await os.chmod('/f', mode)
        await os.chmod('/d', mode)
        seen.push(modeOf(await os.stat('/f')), modeOf(await os.stat('/d')))
      }
      const file = await os.open('/f', O.rdwr)
      await file.chmod(0o640)
      seen.push(modeOf(await file.stat()), modeOf(await os.stat('/f')))
      await file.close()
      return [...seen, await tried(() => os.chmod('/none', 0o600)), modeOf(await os.stat('/f'))]
    },
  },
  {
    title: 'modes are kept while the file is written, renamed and replaced',
    run: async os => {
      const file = await os.open('/f', O.wronly | O.creat, 0o600)
      const seen = [modeOf(await file.stat())]
      await file.write(Buffer.from('x'), 0)
      await file.close()
      seen.push(modeOf(await os.stat('/f')))
      await os.rename('/f', '/g')
      seen.push(modeOf(await os.stat('/g')))
      await writeFile(os, '/g', 'replaced')
      seen.push(modeOf(await os.stat('/g')))
      await os.truncate('/g', 2)
      return [...seen, modeOf(await os.stat('/g'))]
    },
  },
  {
    title: 'utimensat sets times to the nanosecond, to now, and leaves them',
    run: async os => {
      await writeFile(os, '/f', 'x')
      await os.mkdir('/d')
      const seen: Result[] = []
      for (const path of ['/f', '/d']) {
        await os.utimens(path, LONG_AGO, PRECISE)
        seen.push(await times(os, path))
        await os.utimens(path, 'omit', OLDER)
        seen.push(await times(os, path))
        await os.utimens(path, PRECISE, 'omit')
        seen.push(await times(os, path))
        await os.utimens(path, 'omit', 'omit')
        seen.push(await times(os, path))
        const before = BigInt(Date.now() - 60_000) * 1_000_000n
        await os.utimens(path, 'now', 'now')
        const { atime, mtime } = await os.stat(path)
        seen.push(atime > before, mtime > before)
      }
      return seen
    },
  },
  {
    title:
      'an mtime that was set stays when the descriptor is closed, and when the file is renamed',
    run: async os => {
      const file = await os.open('/f', O.wronly | O.creat)
      await file.write(Buffer.from('x'), 0)
      await os.utimens('/f', 'omit', PRECISE)
      await file.close()
      const closed = String((await os.stat('/f')).mtime)
      await os.rename('/f', '/g')
      return [closed, String((await os.stat('/g')).mtime)]
    },
  },
  {
    title: 'ctime moves with chmod, utimensat and rename, never backwards',
    run: async os => {
      await writeFile(os, '/f', 'x')
      const moved: boolean[] = []
      let before = (await os.stat('/f')).ctime
      let path = '/f'
      for (const step of [
        async () => os.chmod(path, 0o600),
        async () => os.utimens(path, LONG_AGO, LONG_AGO),
        async () => os.truncate(path, 5),
      ]) {
        await delay(TICK)
        await step()
        const { ctime } = await os.stat(path)
        moved.push(ctime > before)
        before = ctime
      }
      await os.rename(path, '/g')
      path = '/g'
      return [...moved, (await os.stat(path)).ctime >= before]
    },
  },
  {
    title: 'the inode number stays while content, name and mode change',
    run: async os => {
      await writeFile(os, '/f', 'x')
      const { ino } = await os.stat('/f')
      const same: boolean[] = []
      await writeFile(os, '/f', 'other content')
      same.push((await os.stat('/f')).ino === ino)
      await os.chmod('/f', 0o600)
      await os.rename('/f', '/g')
      same.push((await os.stat('/g')).ino === ino)
      await writeFile(os, '/f', 'another file')
      return [...same, (await os.stat('/f')).ino === ino]
    },
  },
  {
    title: 'access asks for rights and for being there',
    run: async os => {
      await writeFile(os, '/f', 'x')
      const R_OK = 4
      return [
        await tried(() => os.access('/f', 0)),
        await tried(() => os.access('/f', R_OK)),
        await tried(() => os.access('/none', 0)),
        await tried(() => os.access('/f/x', 0)),
      ]
    },
  },
  {
    title: 'the umask takes bits from what is made',
    onKernel: async os => {
      const old = process.umask(0o027)
      try {
        await (await os.open('/f', O.wronly | O.creat, 0o666)).close()
        await os.mkdir('/d', 0o777)
      } finally {
        process.umask(old)
      }
      return [modeOf(await os.stat('/f')), modeOf(await os.stat('/d'))]
    },
  },
]
