/**
 * The journaled driver keeps the storage driver contract, over the BOS driver in a hierarchical bucket. What
 * differs where not all is pending is in test/journal/hierarchy.ts.
 */
import t from 'tap'
import { openJournaled } from '../journal/subject.js'
import { driverSuite } from '../suites/driver.js'
import { bosStores } from './bos-subject.js'

t.setTimeout(120_000)
const stores = await bosStores(t, { hierarchical: true })
driverSuite(t, async t => {
  const { driver: remote } = await stores(t)
  const driver = await openJournaled(t, remote)
  const reopen = async () => driver
  return { driver, reopen, hierarchical: true, hasOwnPages: true, defersParents: true }
})
