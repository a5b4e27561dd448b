/** The journaled driver keeps the storage driver contract, over the BOS driver. */
import t from 'tap'
import { driverSuite } from '../suites/driver.js'
import { openJournaled } from '../journal/subject.js'
import { bosStores } from './bos-subject.js'

const stores = await bosStores(t, { strict: { keyRules: false, renameObject: true } })
driverSuite(t, async t => {
  const { driver: remote } = await stores(t)
  const driver = await openJournaled(t, remote, { delay: 60_000 })
  return { driver, reopen: async () => driver, hasOwnPages: true }
})
