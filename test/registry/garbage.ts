/** Going on with a search for garbage that was interrupted. Whole runs are in test/cli/commands/registry.ts. */
import { createHash } from 'node:crypto'
import t from 'tap'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import { findGarbage } from '../../src/registry/garbage.js'
import type { GarbageState } from '../../src/registry/garbage.js'
import { RegistryStore } from '../../src/registry/layout.js'
import { StateFile } from '../../src/registry/state.js'
import { RegistryLayout } from '../helpers/registry-layout.js'
import { scratchFolder } from '../helpers/scratch.js'

const REPOSITORIES = 12
const LAYERS = 5
const ORPHANS = 30
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

function digestOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}

/** A registry, and what in it nothing refers to. */
async function filled() {
  const layout = new RegistryLayout()
  const add = (repository: string, text: string): { digest: string; size: number } => {
    const content = Buffer.from(text)
    const digest = digestOf(content)
    layout.addBlob(repository, digest, content)
    return { digest, size: content.length }
  }
  for (let i = 0; i < REPOSITORIES; i += 1) {
    const repository = `team/app-${i}`
    const layers = Array.from({ length: LAYERS }, (_, n) => add(repository, `layer ${i} ${n}`))
    const config = add(repository, `{"of":${i}}`)
    const body = { schemaVersion: 2, mediaType: MANIFEST, config, layers }
    const manifest = Buffer.from(JSON.stringify(body))
    layout.addManifest(repository, digestOf(manifest), manifest)
    layout.addTag(repository, 'latest', digestOf(manifest))
  }
  const orphans = Array.from({ length: ORPHANS }, (_, i) => add('team/app-0', `orphan ${i}`).digest)
  const driver = createMemoryDriver()
  for (const [path, content] of layout.files) await driver.putContent(path, content)
  return { driver, orphans }
}

void t.test('a search that is interrupted again and again finds what one run finds', async t => {
  const folder = scratchFolder(t)
  const { driver, orphans } = await filled()
  const repositories: string[] = []
  const found = new Set<string>()
  let rounds = 0
  for (;;) {
    rounds += 1
    t.ok(rounds < 100, 'it comes to an end')
    const stop = new AbortController()
    const store = new RegistryStore(driver, { signal: stop.signal })
    let steps = 0
    const step = (): void => {
      steps += 1
      if (steps === 12) stop.abort(new Error('enough'))
    }
    try {
      const all = await findGarbage(store, {
        folder,
        state: new StateFile<GarbageState>(folder, { work: 'gc' }),
        concurrency: 2,
        onRepository: name => {
          repositories.push(name)
          step()
        },
        onBlobs: step,
        onUnreferenced: async ({ digest }) => {
          found.add(digest)
        },
      })
      t.match(all, {
        repositories: REPOSITORIES,
        manifests: REPOSITORIES,
        blobs: REPOSITORIES * (LAYERS + 2) + ORPHANS,
        unreferenced: ORPHANS,
        broken: [],
      })
      break
    } catch (error) {
      t.match(error, { message: 'enough' })
    }
  }
  t.ok(rounds > 3, 'it was interrupted while it read manifests, and while it listed blobs')
  t.same([...found].sort(), orphans.sort(), 'nothing that is needed, and all that is not')
  t.equal(new Set(repositories).size, repositories.length, 'no repository is read twice')
})
