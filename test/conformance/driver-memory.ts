/** The memory driver keeps the storage driver contract. */
import t from 'tap'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import { driverSuite } from '../suites/driver.js'

driverSuite(t, async () => {
  const driver = createMemoryDriver()
  return { driver, reopen: async () => driver }
})
