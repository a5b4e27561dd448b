/** The POSIX suite on the core without a kernel, over the memory driver. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import { MiB } from '../../src/util/units.js'
import { createCore } from '../helpers/core.js'
import { scratchFolder } from '../helpers/scratch.js'
import { CoreCalls } from '../suites/posix/core/core-calls.js'
import { posixSuite, type Subject } from '../suites/posix/suite.js'

t.setTimeout(300_000)
const local = join(scratchFolder(t), 'local')
mkdirSync(local)
const cores: ReturnType<typeof createCore>[] = []
const subject: Subject = {
  name: 'core',
  async place() {
    const driver = createMemoryDriver({ partSize: MiB, minPartSize: MiB })
    const core = createCore(driver, { config: { attributes: 'stored' } })
    cores.push(core)
    return Promise.resolve({ os: new CoreCalls(core) })
  },
}
await t.test('as on a local folder', { timeout: 290_000 }, t => posixSuite(t, subject, local))
await t.test('nothing stays open, remembered or unstored', async t => {
  for (const core of cores) {
    core.checkInvariants()
    await core.destroy()
    t.equal(core.counts.handles, 0)
    t.equal(core.counts.dirty, 0)
    t.equal(core.counts.lookups, 0)
  }
})
