/**
 * Cold sequential reads of bench/read.ts: through a mount that has been running, through fresh ones, and
 * of the same objects without a mount. Every read is of an object that its mount has never seen.
 *
 * Beside the speed, the processor seconds (user and system) of each GiB: where other work is done on the same
 * machine, they say more.
 */
import { join } from 'node:path'
import { GiB } from '../../src/util/units.js'
import type { MountedBucket } from '../../test/helpers/bosmount.js'
import { runOk } from '../../test/helpers/processes.js'
import { inRounds, rate, type Sample } from './row.js'
import { seconds } from '../measure.js'
import { processorSeconds } from '../process-usage.js'
import { client, dd, type Scene } from './scene.js'

const CURLS = 8

/** Reads one object of the scene's size that nobody has read. */
async function read(
  scene: Scene,
  { path, process: { pid } }: MountedBucket,
  { name, blockSize }: { readonly name: string; readonly blockSize?: string },
): Promise<readonly Sample[]> {
  const file = join(path, scene.anotherBig())
  const before = processorSeconds(pid)
  const took = await seconds(() => dd(file, blockSize))
  const cpu = (processorSeconds(pid) - before) / (scene.size / GiB)
  return [rate(name, scene.size, took), { name: `${name}, CPU s/GiB`, value: cpu }]
}

async function curls({ size }: Scene, url: string): Promise<number> {
  const part = Math.ceil(size / CURLS)
  return seconds(() =>
    Promise.all(
      Array.from({ length: CURLS }, (_, i) => {
        const range = `${i * part}-${Math.min(size, (i + 1) * part) - 1}`
        return runOk('curl', ['-sf', '-o', '/dev/null', '-r', range, url], { timeout: 300_000 })
      }),
    ),
  )
}

async function hasCurl(): Promise<boolean> {
  return runOk('curl', ['--version']).then(
    () => true,
    () => false,
  )
}

export async function cold(scene: Scene): Promise<readonly Sample[]> {
  const url = await scene.driver.redirectURL('/big', { method: 'GET' })
  if (url === undefined) throw new Error('the driver gives no URL')
  const withCurl = await hasCurl()
  return scene.mounted([], async running => {
    await read(scene, running, { name: 'warming up' })
    return inRounds(scene, async () => {
      const small = { name: 'mount, reads of 128 KiB', blockSize: '128K' }
      const samples = [
        ...(await read(scene, running, { name: 'mount' })),
        ...(await read(scene, running, small)),
      ]
      if (withCurl) samples.push(rate('8 curls', scene.size, await curls(scene, url)))
      const took = await client<number>('undici', url, String(scene.size))
      samples.push(rate('undici', scene.size, took))
      const first = { name: 'first read of a mount' }
      return [...samples, ...(await scene.mounted([], fresh => read(scene, fresh, first)))]
    })
  })
}

/** One mount, with and without a delay in turn. */
export async function delayed(scene: Scene): Promise<readonly Sample[]> {
  return scene.mounted([], async mount => {
    await read(scene, mount, { name: 'warming up' })
    const name = 'mount, 20 ms per request'
    return inRounds(scene, async () => [
      ...(await read(scene, mount, { name: 'mount' })),
      ...(await scene.delayed(20, () => read(scene, mount, { name }))),
    ])
  })
}
