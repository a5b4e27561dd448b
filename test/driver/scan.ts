/** Listing whole trees with several listings at once. */
import t from 'tap'
import type { StorageDriver } from '../../src/driver/driver.js'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import { scan } from '../../src/driver/scan.js'
import type { Listable } from '../../src/driver/scan.js'
import { watched } from '../helpers/watched-driver.js'

/** As in a hierarchical bucket: one directory at a time. */
function oneByOne(driver: StorageDriver): Listable {
  return {
    capabilities: { ...driver.capabilities, listsSubtrees: false },
    entries: (path, options) => driver.entries(path, options),
    entriesBelow: () => {
      throw new Error('subtrees are not listed')
    },
  }
}

async function filled(paths: readonly string[]): Promise<StorageDriver> {
  const driver = createMemoryDriver()
  for (const path of paths) await driver.putContent(path, Buffer.from(path))
  return driver
}

const PATHS = Array.from({ length: 60 }, (_, i) => `/a/d${i % 7}/e${i % 3}/f${i}`)

void t.test('everything below comes once', async t => {
  const driver = await filled([...PATHS, '/b/other'])
  for (const [limit, store] of [
    [1, oneByOne(driver)],
    [3, oneByOne(driver)],
    [50, oneByOne(driver)],
    [1, driver],
  ] as const) {
    const found: string[] = []
    const directories: string[] = []
    for await (const page of scan(store, '/a', { limit })) {
      for (const { path, isDir } of page) (isDir ? directories : found).push(path)
    }
    t.same(found.sort(), PATHS.toSorted(), `${limit} at once`)
    t.equal(directories.length, new Set(directories).size)
    t.equal(directories.length, 7 + 21, 'every directory comes once')
  }
})

void t.test(
  'a store that lists subtrees is asked page by page, others for each directory',
  async t => {
    const requests = async (isWhole: boolean): Promise<readonly [number, number]> => {
      const store = watched(await filled(PATHS))
      const { driver } = store
      for await (const page of scan(isWhole ? driver : oneByOne(driver), '/a')) t.ok(page)
      return [store.count('entriesBelow'), store.count('entries')]
    }
    t.same(await requests(true), [1, 0])
    t.same(await requests(false), [0, 1 + 7 + 21])
  },
)

void t.test('directories that are not to be entered are told and left alone', async t => {
  const driver = await filled(['/a/x/1', '/a/y/2'])
  const found: string[] = []
  for await (const page of scan(driver, '/', { enter: ({ path }) => !path.endsWith('/x') })) {
    for (const { path } of page) found.push(path)
  }
  t.same(found.sort(), ['/a', '/a/x', '/a/y', '/a/y/2'])
})

void t.test('never are more listings under way than allowed', async t => {
  const driver = await filled(PATHS)
  let active = 0
  let most = 0
  const counted: Listable = {
    ...oneByOne(driver),
    async *entries(path, options) {
      active += 1
      most = Math.max(most, active)
      await new Promise(resolve => setImmediate(resolve))
      yield* driver.entries(path, options)
      active -= 1
    },
  }
  for await (const page of scan(counted, '/a', { limit: 4 })) t.ok(page.length > 0)
  t.equal(most, 4)
})

void t.test('a failure ends it, and so does whoever listens no more', async t => {
  const driver = await filled(PATHS)
  const broken: Listable = {
    ...oneByOne(driver),
    async *entries(path, options) {
      if (path.endsWith('e1')) throw new Error('broken')
      yield* driver.entries(path, options)
    },
  }
  const all = async () => {
    for await (const page of scan(broken, '/a')) t.ok(page)
  }
  await t.rejects(all(), { message: 'broken' })
  for await (const page of scan(driver, '/a')) {
    t.ok(page.length > 0)
    break
  }
})
