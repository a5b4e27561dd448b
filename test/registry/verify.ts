/** Going on with a verification that was interrupted. Whole runs are in test/cli/commands/registry.ts. */
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import { RegistryStore } from '../../src/registry/layout.js'
import { StateFile } from '../../src/registry/state.js'
import { verify } from '../../src/registry/verify.js'
import type { VerifyState } from '../../src/registry/verify.js'
import { scratchFolder } from '../helpers/scratch.js'

const COUNT = 300

async function filled() {
  const driver = createMemoryDriver()
  const digests: string[] = []
  for (let i = 0; i < COUNT; i += 1) {
    const content = Buffer.from(`blob ${i}`)
    const algorithm = i % 10 === 0 ? 'sha512' : 'sha256'
    const hex = createHash(algorithm).update(content).digest('hex')
    const path = `/docker/registry/v2/blobs/${algorithm}/${hex.slice(0, 2)}/${hex}/data`
    await driver.putContent(path, content)
    digests.push(`${algorithm}:${hex}`)
  }
  return { driver, digests }
}

void t.test(
  'an interrupted run is gone on with: each blob is read once, none is left out',
  async t => {
    const folder = scratchFolder(t)
    const { driver, digests } = await filled()
    const identity = { work: 'verify', bucket: 'b' }
    const seen: string[] = []
    for (let round = 0; ; round += 1) {
      t.ok(round < 30, 'it comes to an end')
      const stop = new AbortController()
      const store = new RegistryStore(driver, { signal: stop.signal })
      let count = 0
      const onBlob = (digest: string): void => {
        seen.push(digest)
        count += 1
        if (count === 40) stop.abort(new Error('enough'))
      }
      const state = new StateFile<VerifyState>(folder, identity)
      try {
        const found = await verify(store, { state, onBlob, concurrency: 3 })
        t.match(found, { blobs: COUNT, damaged: [] })
        break
      } catch (error) {
        t.match(error, { message: 'enough' })
      }
    }
    t.same(seen.sort(), digests.sort())
  },
)

void t.test('a state file that is broken is told by its name', async t => {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, 'verify.json'), '{"identity"')
  const state = new StateFile<VerifyState>(folder, { work: 'verify' })
  await t.rejects(state.load(), { message: /verify\.json is not a state file/ })
})
