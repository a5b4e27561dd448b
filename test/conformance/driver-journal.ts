/** The journaled driver keeps the storage driver contract, over the memory driver. */
import t from 'tap'
import { driverSuite } from '../suites/driver.js'
import { lasting, openJournaled } from '../journal/subject.js'

await t.test('while all is pending', async t => {
  driverSuite(t, async t => {
    const driver = await openJournaled(t, lasting())
    return { driver, reopen: async () => driver, hasOwnPages: true }
  })
})
await t.test('while all is sent at once', async t => {
  driverSuite(t, async t => {
    const driver = await openJournaled(t, lasting(), { delay: 0 })
    return { driver, reopen: async () => driver, hasOwnPages: true }
  })
})
