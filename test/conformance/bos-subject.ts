/** The BOS driver over the embedded server as a subject of the driver suite. */
import type { Test } from 'tap'
import type { BosServerOptions } from '../../src/server/server.js'
import { BUCKET, startDriverHarness } from '../driver/bos/harness.js'
import type { DriverFactory } from '../suites/driver.js'

/** A server with these options; each store is a root directory of its own in its one bucket. */
export async function bosStores(
  t: Test,
  { hierarchical = false, ...options }: Partial<BosServerOptions> & { hierarchical?: boolean } = {},
): Promise<DriverFactory> {
  const buckets = [{ name: BUCKET, hierarchy: hierarchical }]
  const harness = await startDriverHarness(t, { buckets, ...options })
  const api = harness.api()
  let stores = 0
  return async () => {
    // The first is the bucket itself.
    const number = stores++
    const rootdirectory = number === 0 ? '' : `roots/${number}`
    const open = () => harness.driver({ rootdirectory }, { hierarchical })
    const plant = async (key: string, content: Uint8Array): Promise<void> => {
      await api.put(rootdirectory === '' ? key : `${rootdirectory}/${key}`, content)
    }
    const subject = { driver: await open(), reopen: open, hierarchical }
    return hierarchical ? subject : { ...subject, plant }
  }
}
