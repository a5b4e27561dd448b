/** Listing whole trees with several listings at once. */
import t from 'tap'
import type { StorageDriver } from '../../src/driver/driver.js'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import { scan } from '../../src/driver/scan.js'

async function filled(paths: readonly string[]): Promise<StorageDriver> {
  const driver = createMemoryDriver()
  for (const path of paths) await driver.putContent(path, Buffer.from(path))
  return driver
}

const PATHS = Array.from({ length: 60 }, (_, i) => `/a/d${i % 7}/e${i % 3}/f${i}`)

void t.test('everything below comes once', async t => {
  const driver = await filled([...PATHS, '/b/other'])
  for (const limit of [1, 3, 50]) {
    const found: string[] = []
    for await (const page of scan(driver, '/a', { limit })) {
      for (const { path, isDir } of page) if (!isDir) found.push(path)
    }
    t.same(found.sort(), PATHS.toSorted(), `${limit} at once`)
  }
})

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
  const counted: Pick<StorageDriver, 'entries'> = {
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
  const broken: Pick<StorageDriver, 'entries'> = {
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
