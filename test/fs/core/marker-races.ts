/** Markers that are on their way to the bucket while their directory changes. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { StorageDriver } from '../../../src/driver/driver.js'
import { createMemoryDriver } from '../../../src/driver/memory/driver.js'
import { createCore } from '../../helpers/core.js'
import { CoreOs } from '../../helpers/core-os.js'

/** A driver whose markers are begun at once and arrive when `release` is called. */
function heldMarkers(): { driver: StorageDriver; begun: () => number; release: () => void } {
  const driver = createMemoryDriver()
  const made = driver.makeDirectory.bind(driver)
  const waiting: (() => void)[] = []
  let begun = 0
  driver.makeDirectory = async (path, options) => {
    begun += 1
    await new Promise<void>(resolve => waiting.push(resolve))
    await made(path, options)
  }
  return { driver, begun: () => begun, release: () => waiting.splice(0).forEach(go => go()) }
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !holds(); i += 1) await sleep(5)
  if (!holds()) throw new Error('waited too long')
}

void t.test('a directory that is removed while its marker is written stays removed', async t => {
  const { driver, begun, release } = heldMarkers()
  const fs = createCore(driver)
  const os = new CoreOs(fs)
  await os.mkdir('/a')
  await until(() => begun() === 1)
  const removed = os.rmdir('/a')
  await sleep(10)
  release()
  await removed
  t.same(await driver.list('/'), [])
  t.notOk(await os.exists('/a'))
  t.same(await os.readdir('/'), [])
  await fs.destroy()
  t.same(await driver.list('/'), [])
})

void t.test('a directory that is renamed while its marker is written has one name', async t => {
  const { driver, begun, release } = heldMarkers()
  const fs = createCore(driver)
  const os = new CoreOs(fs)
  await os.mkdir('/a')
  await until(() => begun() === 1)
  const renamed = os.rename('/a', '/b')
  await sleep(10)
  release()
  await renamed
  t.same(await os.readdir('/'), ['b'])
  await fs.destroy()
  t.same(await driver.list('/'), ['/b'])
})
