/** What the memory driver has beyond the contract: a settable clock, page size and name. */
import t from 'tap'
import { createMemoryDriver } from '../../../src/driver/memory/driver.js'
import { bytes, pagesOf } from '../helpers.js'

void t.test('time, page size and name can be chosen', async t => {
  let now = 1000
  const driver = createMemoryDriver({ name: 'mine', pageSize: 2, clock: { now: () => now } })
  await driver.putContent('/a', bytes(1))
  now = 2000
  await driver.putContent('/b', bytes(1))
  await driver.putContent('/c', bytes(1))
  t.equal((await driver.stat('/a')).modTime?.getTime(), 1000)
  t.equal((await driver.stat('/b')).modTime?.getTime(), 2000)
  const pages = await pagesOf(driver.entries('/'))
  t.same(
    pages.map(page => page.entries.length),
    [2, 1],
  )
  await t.rejects(driver.stat('/none'), { driver: 'mine', message: 'mine: path not found: /none' })
})

void t.test('a closed driver takes no calls', async t => {
  const driver = createMemoryDriver()
  await driver.close()
  await driver.close()
  await t.rejects(driver.stat('/'), { code: 'CLOSED' })
})

void t.test('a move tells of each object that is at its new name', async t => {
  const driver = createMemoryDriver()
  await driver.putContent('/from/one', Buffer.from('1'))
  await driver.putContent('/from/deep/two', Buffer.from('22'))
  const moved: number[] = []
  const onMoved = (size: number): void => void moved.push(size)
  await driver.move('/from', '/to', { onMoved })
  await driver.move('/to/one', '/one', { onMoved })
  t.same(
    moved.toSorted((a, b) => a - b),
    [1, 1, 2],
  )
})
