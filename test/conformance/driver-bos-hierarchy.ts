/** The BOS driver keeps the storage driver contract in a hierarchical bucket. */
import t from 'tap'
import { driverSuite } from '../suites/driver.js'
import { bosStores } from './bos-subject.js'

driverSuite(t, await bosStores(t, { hierarchical: true }))
