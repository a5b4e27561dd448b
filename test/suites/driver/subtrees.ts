/** entriesBelow: listings of whole subtrees. */
import type { FileInfo, StorageDriver } from '../../../src/driver/driver.js'
import { bytes, entriesOf, failure } from '../../driver/helpers.js'
import type { Behaviour } from './subject.js'

async function put(driver: StorageDriver, ...paths: readonly string[]): Promise<void> {
  await Promise.all(paths.map(path => driver.putContent(path, Buffer.from(path))))
}

interface Below {
  readonly children: Map<string, FileInfo[]>
  readonly complete: Set<string>
  readonly hidden: number
  readonly pages: number
}

const byPath = (a: FileInfo, b: FileInfo): number => (a.path < b.path ? -1 : 1)

/** All that a listing of a subtree tells; the children of each directory sorted. */
async function below(
  driver: StorageDriver,
  path: string,
  from?: string,
  signal?: AbortSignal,
): Promise<Below> {
  const children = new Map<string, FileInfo[]>()
  const complete = new Set<string>()
  let hidden = 0
  let pages = 0
  const options = {
    ...(from === undefined ? {} : { from }),
    ...(signal === undefined ? {} : { signal }),
  }
  for await (const { directories } of driver.entriesBelow(path, options)) {
    pages += 1
    for (const page of directories) {
      if (complete.has(page.path)) throw new Error(`${page.path} goes on behind its end`)
      const known = children.get(page.path) ?? []
      children.set(page.path, [...known, ...page.entries].toSorted(byPath))
      hidden += page.hidden
      if (page.isComplete) complete.add(page.path)
    }
  }
  return { children, complete, hidden, pages }
}

async function directoriesBelow(driver: StorageDriver, path: string): Promise<string[]> {
  const entries = await entriesOf(driver, path)
  const inside = entries.filter(({ isDir }) => isDir)
  const deeper = await Promise.all(inside.map(entry => directoriesBelow(driver, entry.path)))
  return [path, ...deeper.flat()]
}

export function subtrees(behaviour: Behaviour): void {
  behaviour(
    'a listing of a subtree tells what listings of its directories tell',
    async (t, driver) => {
      const files = ['/s/a', '/s/b/c', '/s/b/d/e/f', '/s/b-x', '/s/b-y/z', '/s/\u{1f600}/g', '/t']
      await put(driver, ...files)
      await driver.makeDirectory('/s/empty')
      await driver.makeDirectory('/s/empty/inner')
      for (const top of ['/', '/s', '/s/b', '/s/empty/inner', '/absent']) {
        const { children, complete } = await below(driver, top)
        t.ok(complete.has(top), top)
        for (const directory of await directoriesBelow(driver, top)) {
          const listed = await entriesOf(driver, directory)
          t.same(children.get(directory) ?? [], listed.toSorted(byPath), directory)
          t.ok(complete.has(directory) || listed.length === 0, `all of ${directory}`)
        }
      }
    },
  )

  behaviour('a listing of a subtree can begin with any directory in it', async (t, driver) => {
    const files = ['/s/a/x', '/s/b/c/f', '/s/b/d/e', '/s/b/z', '/s/c/f', '/s/d']
    await put(driver, ...files)
    await driver.makeDirectory('/s/b/c1')
    const { children, complete } = await below(driver, '/s', '/s/b/d')
    t.same(
      children.get('/s/b/d')?.map(({ path }) => path),
      ['/s/b/d/e'],
    )
    t.same(
      children.get('/s/c')?.map(({ path }) => path),
      ['/s/c/f'],
    )
    t.same(complete.has('/s/b/d') && complete.has('/s/c'), true)
    for (const before of ['/s/a', '/s/b/c', '/s/b/c1']) t.notOk(children.has(before), before)
    if (driver.capabilities.listsSubtrees) {
      t.notOk(complete.has('/s'))
      t.notOk(complete.has('/s/b'))
      t.ok((await below(driver, '/s', '/s/b/c1')).complete.has('/s/b/c1'), 'an empty one')
    }
    t.ok((await below(driver, '/s', '/s/b/nothing')).children.has('/s/c'), 'or where one was')
  })

  behaviour('in a subtree a directory wins over a file of its name', async (t, driver, subject) => {
    if (subject.hierarchical === true) return
    await put(driver, '/s/both', '/s/both-and', '/s/both!/x', '/s/both/in', '/s/bo', '/s/c')
    const { children } = await below(driver, '/s')
    const kinds = (children.get('/s') ?? []).map(({ path, isDir }) => [path, isDir])
    t.same(kinds, [
      ['/s/bo', false],
      ['/s/both', true],
      ['/s/both!', true],
      ['/s/both-and', false],
      ['/s/c', false],
    ])
  })

  behaviour('in a subtree of several pages nothing is missing', async (t, driver, subject) => {
    const files = Array.from({ length: 1010 }, (_, i) => `/p/d${i % 7}/e${i % 3}/f${i}`)
    for (let i = 0; i < files.length; i += 50) await put(driver, ...files.slice(i, i + 50))
    const { children, complete, pages } = await below(driver, '/p')
    const found = [...children.values()].flat().filter(({ isDir }) => !isDir)
    t.same(found.map(({ path }) => path).toSorted(), files.toSorted())
    t.equal(complete.size, 1 + 7 + 21)
    const countsPages = driver.capabilities.listsSubtrees && subject.hasOwnPages !== true
    if (countsPages) t.equal(pages, 2)
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    const aborted = below(driver, '/p', undefined, stop.signal)
    t.match(await failure(aborted), { message: 'enough' })
  })

  behaviour('a subtree does not show what no path can express', async (t, driver, subject) => {
    if (subject.plant === undefined) return
    for (const key of ['s//x', 's//y', 's/./z', 's/ok/..', 's/ok/fine', '.bosmount/own', 'q']) {
      await subject.plant(key, bytes(1))
    }
    const { children, hidden } = await below(driver, '/')
    const found = [...children.values()].flat().map(({ path }) => path)
    t.same(found.toSorted(), ['/q', '/s', '/s/ok', '/s/ok/fine'])
    t.equal(hidden, 3)
  })
}
