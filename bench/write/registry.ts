/**
 * Rows about a container registry: an image of three layers is pushed into an empty store and pulled
 * again, through a fresh mount and once more; and pushed, with the mount killed at once, and pulled
 * through the next one. Each row has a server of its own, so that the store is empty.
 */
import { join } from 'node:path'
import { MiB } from '../../src/util/units.js'
import { differences, makeImage, type Image } from '../../test/helpers/oci-image.js'
import { Registry } from '../../test/helpers/registry.js'
import { JOURNAL, type Line, type Row } from './row.js'
import { Scene, type Cost } from './scene.js'

const LAYERS = [1 * MiB, 8 * MiB, 40 * MiB]
const NAME = 'app:v1'
/** What the documents advise where only one host writes. */
const PATIENT = ['--metadata-ttl', '1m']

interface Pull {
  readonly cost: Cost
  /** How the image differs from what was pushed. */
  readonly wrong: readonly string[]
}

async function push(scene: Scene, image: Image, options: Options): Promise<Cost> {
  const { args, isKilled = false } = options
  return await scene.mounted(args, async (mount, owner) => {
    const registry = await Registry.start(owner, { root: mount.path, folder: scene.folder })
    const cost = await scene.cost(() => registry.push(image, NAME))
    if (isKilled) await mount.kill()
    await registry.stop()
    return cost
  })
}

interface Options {
  readonly args: readonly string[]
  readonly isKilled?: boolean
}

/** Twice through one fresh mount. */
async function pulls(scene: Scene, image: Image, { args }: Options): Promise<readonly Pull[]> {
  return await scene.mounted(args, async (mount, owner) => {
    const registry = await Registry.start(owner, { root: mount.path, folder: scene.folder })
    const made: Pull[] = []
    for (const time of ['first', 'second']) {
      const target = join(scene.folder, `pulled-${time}`)
      let wrong: readonly string[] = []
      const cost = await scene.cost(async () => {
        const pulled = await registry.pull(NAME, target)
        wrong = pulled.code === 0 ? differences(image, target) : [pulled.stderr]
      })
      made.push({ cost, wrong })
    }
    await registry.stop()
    return made
  })
}

function row(args: readonly string[], goal: string): Row['run'] {
  return async outer => {
    const scene = await Scene.make(outer.owner, outer.sizes)
    const image = makeImage(join(scene.folder, 'image'), 'bench', LAYERS)
    const pushed = await push(scene, image, { args })
    const [cold, warm] = await pulls(scene, image, { args })
    if (cold === undefined || warm === undefined) throw new Error('nothing was pulled')
    const [, patient] = await pulls(scene, image, { args: [...args, ...PATIENT] })
    const wrong = [...cold.wrong, ...warm.wrong, ...(patient?.wrong ?? ['not pulled'])]
    if (wrong.length > 0) throw new Error(wrong.join(', '))
    const unit = 'requests'
    return [
      { what: 'push of an image of 1, 8 and 40 MiB', value: pushed.requests, unit, goal },
      { what: 'its pull, cold', value: cold.cost.requests, unit, goal: '<= 25' },
      { what: 'its pull, again', value: warm.cost.requests, unit, goal: '0' },
      {
        what: `its pull, again, ${PATIENT.join(' ')}`,
        value: patient?.cost.requests ?? Number.NaN,
        unit,
        goal: '1: the tag may have been moved by another host',
      },
    ]
  }
}

function killed(args: readonly string[]): Row['run'] {
  return async outer => {
    const scene = await Scene.make(outer.owner, outer.sizes)
    const image = makeImage(join(scene.folder, 'image'), 'bench', LAYERS)
    await push(scene, image, { args, isKilled: true })
    const [pulled] = await pulls(scene, image, { args })
    if (pulled === undefined || pulled.wrong.length > 0) {
      throw new Error(`after kill -9: ${pulled?.wrong.join(', ') ?? 'nothing'}`)
    }
    const what = 'pull after push, kill -9 and a new mount: identical'
    return [{ what, value: pulled.cost.requests, unit: 'requests', goal: 'identical' }] as Line[]
  }
}

export const REGISTRY: readonly Row[] = [
  { name: 'registry', run: row([], '<= 120') },
  { name: 'registry-journal', needs: 'durability', run: row(JOURNAL, '<= 40') },
  { name: 'killed', run: killed([]) },
  { name: 'killed-journal', needs: 'durability', run: killed(JOURNAL) },
]
