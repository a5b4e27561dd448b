/** Journaled drivers for tests: over the memory driver, or over any store. */
import { join } from 'node:path'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import type { StorageDriver } from '../../src/driver/driver.js'
import { JournaledDriver } from '../../src/journal/driver.js'
import type { JournaledDriverOptions } from '../../src/journal/driver.js'
import { silentLogger } from '../../src/util/log.js'
import { GiB } from '../../src/util/units.js'
import type { Owner } from '../helpers/owner.js'
import { scratchFolder } from '../helpers/scratch.js'

/** A store that outlives the drivers which use it. */
export function lasting(driver: StorageDriver = createMemoryDriver()): StorageDriver {
  return new Proxy(driver, {
    get(target, property) {
      if (property === 'close') return async () => undefined
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** Opens a journal in a folder; it is closed when the test ends. */
export async function openJournaled(
  t: Owner,
  remote: StorageDriver,
  options: Partial<JournaledDriverOptions> = {},
): Promise<JournaledDriver> {
  const driver = await JournaledDriver.open(remote, {
    folder: options.folder ?? join(scratchFolder(t), 'journal'),
    store: 'bos://tests',
    size: GiB,
    delay: 60_000,
    log: silentLogger,
    ...options,
  })
  t.teardown(() => driver.close())
  return driver
}
