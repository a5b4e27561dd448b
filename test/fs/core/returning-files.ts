/** An unlink that fails when the store stops answering leaves the file where it was, sooner or later. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createMemoryDriver } from '../../../src/driver/memory/driver.js'
import type { Ledger, LedgerEntry } from '../../../src/fs/core/ledger.js'
import { createCore } from '../../helpers/core.js'
import { CoreOs, O_RDONLY } from '../../helpers/core-os.js'
import type { OpenFile } from '../../helpers/core-os.js'
import { fails, keys, scene, text } from '../../helpers/core-scene.js'
import type { Scene } from '../../helpers/core-scene.js'
import { StillTime } from '../../helpers/still-time.js'
import { watched } from '../../helpers/watched-driver.js'

const HOME = '/.bosmount/unlinked'

/** Unlinks an open file of a store that dies when it has carried the content away. */
async function unlinkWithDeath({ t, os, bucket, watch }: Scene): Promise<OpenFile> {
  await bucket.putContent('/d/f', text('all there is'))
  const file = await os.open('/d/f', O_RDONLY)
  const die = (): never => {
    watch.before = die
    throw new Error('no answer')
  }
  watch.after = ({ method }) => {
    if (method === 'move') die()
  }
  await fails(t, 'EIO', os.unlink('/d/f'))
  t.same(await keys(bucket), [], 'carried away, and nobody knows')
  return file
}

function revive({ watch }: Scene): void {
  watch.before = () => undefined
  watch.after = () => undefined
}

const config = { metadataTtl: 0 }

scene(
  'a name whose unlink has failed is there for whoever looks it up',
  async s => {
    const { t, os, bucket } = s
    const file = await unlinkWithDeath(s)
    await t.rejects(os.readFile('/d/f'), { code: 'EIO' }, 'while the store is dead, that is said')
    revive(s)
    t.equal(String(await os.readFile('/d/f')), 'all there is')
    t.equal(String(await file.read(0, 100)), 'all there is', 'and its holder reads on')
    await file.close()
    t.same(await keys(bucket), ['/d/f'])
  },
  { config },
)

scene(
  'who has the file open finds it by reading on',
  async s => {
    const { t, bucket } = s
    const file = await unlinkWithDeath(s)
    revive(s)
    t.equal(String(await file.read(0, 100)), 'all there is')
    await file.close()
    t.same(await keys(bucket), ['/d/f'])
  },
  { config },
)

scene(
  'a failed unlink can be repeated',
  async s => {
    const { t, os, bucket } = s
    const file = await unlinkWithDeath(s)
    revive(s)
    await os.unlink('/d/f')
    t.equal(String(await file.read(0, 100)), 'all there is')
    await file.close()
    t.notOk((await keys(bucket)).includes('/d/f'))
  },
  { config },
)

scene(
  'what somebody has stored under the name meanwhile stays',
  async s => {
    const { t, os, bucket } = s
    const file = await unlinkWithDeath(s)
    await bucket.putContent('/d/f', text('12 new bytes'))
    revive(s)
    t.equal(String(await os.readFile('/d/f')), '12 new bytes')
    await fails(t, 'ESTALE', file.read(0, 100))
    await file.close()
    t.same(await keys(bucket), ['/d/f'])
  },
  { config },
)

for (const when of ['after a while', 'at unmount'] as const) {
  scene(
    `a name whose unlink has failed comes back ${when} though nobody asks for it`,
    async s => {
      const { t, os, bucket } = s
      const file = await unlinkWithDeath(s)
      await file.close()
      revive(s)
      if (when === 'at unmount') await os.fs.destroy()
      else while ((await keys(bucket)).length === 0) await sleep(50)
      t.same(await keys(bucket), ['/d/f'])
      t.equal(String(await bucket.getContent('/d/f')), 'all there is')
    },
    { config },
  )
}

void t.test('the ledger knows of it when the store is not back by then', async t => {
  const entries = new Map<string, LedgerEntry>()
  const ledger: Ledger = {
    record: async entry => void entries.set(JSON.stringify(entry), entry),
    strike: entry => void entries.delete(JSON.stringify(entry)),
  }
  const bucket = createMemoryDriver()
  const watch = watched(bucket)
  const os = new CoreOs(createCore(watch.driver, { ledger, config }))
  const file = await unlinkWithDeath({
    t,
    os,
    bucket,
    watch,
    other: () => os,
    time: new StillTime(),
  })
  await file.close()
  await t.rejects(os.fs.destroy(), /\/d\/f \(its unlink had failed\): no answer/)
  const [entry, ...others] = entries.values()
  t.same(others, [])
  t.match(entry, { kind: 'return', to: '/d/f', path: new RegExp(`^${HOME}/`) })
})
