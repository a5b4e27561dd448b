/** The POSIX suite on the core without a kernel, over a journaled driver that sends while it runs. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import type { JournaledDriver } from '../../src/journal/driver.js'
import { MiB } from '../../src/util/units.js'
import { createCore } from '../helpers/core.js'
import { scratchFolder } from '../helpers/scratch.js'
import { lasting, openJournaled } from '../journal/subject.js'
import { CoreCalls } from '../suites/posix/core/core-calls.js'
import { posixSuite, type Subject } from '../suites/posix/suite.js'

t.setTimeout(300_000)
const local = join(scratchFolder(t), 'local')
mkdirSync(local)
const opened: { core: ReturnType<typeof createCore>; driver: JournaledDriver }[] = []
const subject: Subject = {
  name: 'core',
  async place() {
    const memory = lasting(createMemoryDriver({ partSize: MiB, minPartSize: MiB }))
    const driver = await openJournaled(t, memory, { delay: 5, exclusive: 'journal' })
    const core = createCore(driver, { config: { attributes: 'stored' } })
    opened.push({ core, driver })
    return { os: new CoreCalls(core) }
  },
}
await t.test('as on a local folder', { timeout: 290_000 }, t => posixSuite(t, subject, local))
await t.test('nothing stays open, remembered or unstored', async t => {
  for (const { core, driver } of opened) {
    core.checkInvariants()
    await core.destroy()
    await driver.drain()
    t.equal(core.counts.handles, 0)
    t.equal(driver.gauges.journalFiles, 0)
    t.equal(driver.gauges.journalConflictsTotal, 0)
  }
})
