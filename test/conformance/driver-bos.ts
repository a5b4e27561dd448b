/** The BOS driver keeps the storage driver contract, over the embedded server. */
import t from 'tap'
import { startDriverHarness } from '../driver/bos/harness.js'
import { driverSuite } from '../suites/driver.js'

const harness = await startDriverHarness(t, { strict: { keyRules: false } })
const api = harness.api()
let stores = 0

driverSuite(t, async () => {
  // Each store is a root directory of its own in one bucket; the first is the bucket itself.
  const number = stores++
  const rootdirectory = number === 0 ? '' : `roots/${number}`
  const open = () => harness.driver({ rootdirectory })
  const plant = async (key: string, content: Uint8Array): Promise<void> => {
    await api.put(rootdirectory === '' ? key : `${rootdirectory}/${key}`, content)
  }
  return { driver: await open(), reopen: open, plant }
})
