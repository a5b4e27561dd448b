/** The BOS driver keeps the storage driver contract where listings tell metadata. */
import t from 'tap'
import { driverSuite } from '../suites/driver.js'
import { bosStores } from './bos-subject.js'

driverSuite(t, await bosStores(t, { strict: { keyRules: false, listWithMetadata: true } }))
