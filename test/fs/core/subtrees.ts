/** Walks through trees: how few requests they cost, and what may happen meanwhile. */
import { S_IFDIR, S_IFMT } from '../../../src/fs/core/attributes.js'
import { CoreOs } from '../../helpers/core-os.js'
import { keys, scene, text, turns } from '../../helpers/core-scene.js'
import type { Scene } from '../../helpers/core-scene.js'
import type { Request } from '../../helpers/watched-driver.js'
import { hold } from '../../helpers/watched-driver.js'

const clock = { now: 0 }

/** Of mounts whose users take their time. */
const slow = { now: 0 }

interface Tree {
  readonly directories: readonly string[]
  readonly files: readonly string[]
}

/** Directories `/t/dNNN` of some files each. */
async function plant({ bucket }: Scene, directories: number, each: number): Promise<Tree> {
  const tree: { directories: string[]; files: string[] } = { directories: [], files: [] }
  for (let i = 0; i < directories; i += 1) {
    const directory = `/t/d${String(i).padStart(4, '0')}`
    tree.directories.push(directory)
    for (let j = 0; j < each; j += 1) {
      tree.files.push(`${directory}/f${j}`)
      await bucket.putContent(`${directory}/f${j}`, text('x'))
    }
  }
  return tree
}

async function isDirectory(os: CoreOs, path: string): Promise<boolean> {
  return ((await os.stat(path)).mode & S_IFMT) === S_IFDIR
}

/** Visits everything below a directory as find does: each directory is read before those in it. */
async function find(
  os: CoreOs,
  path: string,
  visit?: (path: string) => Promise<void>,
): Promise<string[]> {
  const found: string[] = []
  for (const name of await os.readdir(path, { plus: true })) {
    const child = `${path === '/' ? '' : path}/${name}`
    // Removed since the directory was read.
    if (!(await os.exists(child))) continue
    const isDir = await isDirectory(os, child)
    await visit?.(child)
    if (isDir) found.push(...(await find(os, child, visit)))
    else found.push(child)
  }
  return found
}

scene(
  'find over 2,000 files in 200 directories costs 4 requests',
  async s => {
    const { t, os, watch } = s
    const { files } = await plant(s, 200, 10)
    watch.requests.length = 0
    t.same((await find(os, '/t')).toSorted(), files)
    t.equal(watch.count(), 4)
  },
  { monotonic: () => clock.now },
)

scene(
  'and in a tree of several levels hardly more',
  async s => {
    const { t, os, bucket, watch } = s
    const files: string[] = []
    for (let i = 0; i < 2000; i += 1) {
      const path = `/t/a${i % 4}/b${i % 20}/c${i % 100}/f${i}`
      files.push(path)
      await bucket.putContent(path, text('x'))
    }
    t.same((await find(os, '/')).toSorted(), files.toSorted())
    t.ok(watch.count() <= 10, `${watch.count()}`)
  },
  { monotonic: () => clock.now },
)

scene(
  'a walker who is slow loses nothing of what his walk has brought, and others believe no longer than ever',
  async s => {
    const { t, os, bucket, watch } = s
    const { files } = await plant(s, 100, 20)
    let visited = 0
    const slowly = async (path: string): Promise<void> => {
      if (path.includes('/f')) return
      visited += 1
      slow.now += 40
      if (visited !== 50) return
      // Read 2 s before, by this walk.
      await bucket.putContent('/t/d0000/late', text('x'))
      t.ok((await os.readdir('/t/d0000')).includes('late'), 'listed anew')
    }
    watch.requests.length = 0
    t.same((await find(os, '/t', slowly)).toSorted(), files.toSorted())
    t.ok(watch.count() <= 9, `${watch.count()} requests`)
  },
  { monotonic: () => slow.now, config: { metadataTtl: 1000 } },
)

scene(
  'removing a tree costs no more requests for being slow',
  async s => {
    const { t, os, bucket, watch } = s
    for (let i = 0; i < 2000; i += 1) {
      await bucket.putContent(`/t/a${i % 4}/b${i % 20}/c${i % 100}/f${i}`, text('x'))
    }
    const removeAll = async (path: string): Promise<void> => {
      slow.now += 30
      for (const name of await os.readdir(path)) {
        slow.now += 1
        const child = `${path}/${name}`
        if (name.startsWith('f')) await os.unlink(child)
        else await removeAll(child)
      }
      await os.rmdir(path)
    }
    watch.requests.length = 0
    await removeAll('/t')
    await os.fs.syncfs(os.context)
    t.same(await keys(bucket), [])
    t.ok(watch.count() <= 30, `${watch.count()} requests`)
  },
  { monotonic: () => slow.now, config: { markerDelay: 600_000 } },
)

scene(
  'a directory too large for a page is listed by itself, and what is in it is not',
  async s => {
    const { t, os, watch } = s
    const { files } = await plant(s, 60, 4)
    watch.requests.length = 0
    t.same((await find(os, '/')).toSorted(), files)
    // 240 files by 20 are 12 pages; /t is listed by 3.
    t.ok(watch.count() <= 12 + 3 + 4, `${watch.count()}`)
  },
  { pageSize: 20, monotonic: () => clock.now },
)

scene(
  'a walk is not followed by one who reads here and there',
  async s => {
    const { t, os, watch } = s
    await plant(s, 40, 4)
    await os.readdir('/t')
    watch.requests.length = 0
    for (const i of [30, 12, 5, 3, 2]) {
      const name = `/t/d${String(i).padStart(4, '0')}`
      t.equal((await os.readdir(name)).length, 4)
    }
    t.equal(watch.count('entriesBelow'), 1, 'the first could be the beginning of a walk')
    t.equal(watch.count(), 5)
  },
  { pageSize: 10 },
)

scene(
  'one who leaves out most of a tree does not have it listed',
  async s => {
    const { t, os, watch } = s
    const { directories } = await plant(s, 100, 4)
    await os.readdir('/t')
    watch.requests.length = 0
    for (let i = 0; i < 100; i += 20) {
      t.equal((await os.readdir(directories[i] ?? '')).length, 4)
    }
    t.ok(watch.count() <= 10, `${watch.count()}`)
  },
  { pageSize: 8 },
)

scene(
  'what changes here while a walk is under way is right in it',
  async s => {
    const { t, os, watch } = s
    const { directories } = await plant(s, 30, 4)
    await os.readdir('/t')
    for (const directory of directories.slice(0, 3)) await os.readdir(directory)
    const isWalk = ({ method, path }: Request): boolean =>
      method === 'entriesBelow' && path === '/t'
    const held = hold(watch, isWalk, 'after')
    const reading = find(os, '/t')
    await held.reached
    // The answer is under way and shows all this as it was.
    await os.unlink('/t/d0020/f1')
    await os.writeFile('/t/d0020/new', text('new'))
    await os.rename('/t/d0021/f2', '/t/d0022/moved')
    for (const i of [0, 1, 2, 3]) await os.unlink(`/t/d0023/f${i}`)
    await os.rmdir('/t/d0023')
    await os.rename('/t/d0024', '/t/d0024-moved')
    await os.mkdir('/t/d0024')
    held.release()
    await reading
    const now = await find(os, '/t')
    const below = (name: string): string[] =>
      now.filter(path => path.startsWith(`/t/${name}/`)).map(path => path.slice(name.length + 4))
    t.same(below('d0020').toSorted(), ['f0', 'f2', 'f3', 'new'])
    t.same(below('d0021'), ['f0', 'f1', 'f3'])
    t.same(below('d0022').toSorted(), ['f0', 'f1', 'f2', 'f3', 'moved'])
    t.same(below('d0023'), [])
    t.same(below('d0024'), [])
    t.same(below('d0024-moved'), ['f0', 'f1', 'f2', 'f3'])
    t.same(
      now.toSorted(),
      (await keys(s.bucket)).filter(key => !key.endsWith('/')),
    )
  },
  { pageSize: 50 },
)

scene(
  'a tree can be removed while it is walked',
  async s => {
    const { t, os, bucket } = s
    await plant(s, 40, 6)
    const remove = async (path: string): Promise<void> => {
      for (const name of await os.readdir(path)) {
        const child = `${path}/${name}`
        if (await isDirectory(os, child)) {
          await remove(child)
          await os.rmdir(child)
        } else await os.unlink(child)
      }
    }
    await remove('/t')
    await os.rmdir('/t')
    await os.fs.syncfs(os.context)
    t.same(await keys(bucket), [])
  },
  { pageSize: 25 },
)

scene(
  'ls -l of a crowded directory takes pages, however long it takes',
  async s => {
    const { t, os, bucket, watch } = s
    const names = Array.from({ length: 3000 }, (_, i) => `f${String(i).padStart(4, '0')}`)
    for (const name of names) await bucket.putContent(`/d/${name}`, text('x'))
    t.same(await os.readdir('/d'), names)
    clock.now += 2000
    watch.requests.length = 0
    for (const name of names) {
      clock.now += 0.4
      t.equal((await os.stat(`/d/${name}`)).size, 1)
    }
    t.ok(watch.count('entries') <= 8, `${watch.count('entries')}`)
    t.ok(watch.count() <= 14, `${watch.count()}`)
  },
  { monotonic: () => clock.now },
)

for (const [title, factor] of [
  ['a walker who is slow sees what others have changed since', 0.1],
  ['one who takes longer for a page than it is believed, too', 0.6],
] as const) {
  scene(
    title,
    async s => {
      const { t, os, bucket, watch } = s
      const { files } = await plant(s, 30, 4)
      watch.requests.length = 0
      let steps = 0
      const found = await find(os, '/t', async path => {
        clock.now += 1000 * factor
        steps += 1
        if (steps !== 20) return
        t.notOk(path.startsWith('/t/d0020'))
        await bucket.delete('/t/d0020/f1')
        await bucket.putContent('/t/d0025/other', text('x'))
      })
      const expected = [...files.filter(file => file !== '/t/d0020/f1'), '/t/d0025/other']
      t.same(found.toSorted(), expected.toSorted())
    },
    { pageSize: 12, monotonic: () => clock.now },
  )
}

scene(
  'a walk that fails leaves the walker where he would be without it',
  async s => {
    const { t, os, watch } = s
    const { files } = await plant(s, 30, 4)
    let failures = 0
    watch.before = ({ method, path }) => {
      if (method !== 'entriesBelow' || path !== '/t') return
      failures += 1
      throw new Error('no')
    }
    t.same((await find(os, '/t')).toSorted(), files)
    t.ok(failures > 0)
  },
  { pageSize: 12 },
)

scene(
  'a walker who waits for a page can be interrupted',
  async s => {
    const { t, os, watch } = s
    const { directories } = await plant(s, 30, 4)
    await os.readdir('/t')
    await os.readdir(directories[5] ?? '')
    const stop = new AbortController()
    const held = hold(watch, ({ method }) => method === 'entriesBelow')
    const impatient = new CoreOs(os.fs, stop.signal)
    const reading = impatient.readdir(directories[6] ?? '')
    await held.reached
    stop.abort()
    await t.rejects(reading, { code: 'EINTR' })
    held.release()
    await turns()
    t.equal((await os.readdir(directories[6] ?? '')).length, 4)
  },
  { pageSize: 12 },
)

scene(
  'where nothing is believed, nothing is listed but what is read',
  async s => {
    const { t, os, watch } = s
    const { files } = await plant(s, 10, 2)
    t.same((await find(os, '/t')).toSorted(), files)
    t.equal(watch.count('entriesBelow'), 0)
  },
  { config: { metadataTtl: 0 } },
)
