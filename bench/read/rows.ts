/** The rows of bench/read.ts: what is measured, against what, and which ratio is wanted. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MiB } from '../../src/util/units.js'
import { Background, runOk } from '../../test/helpers/processes.js'
import {
  client,
  CLIENT,
  dd,
  dropPages,
  FILES,
  residentBytes,
  seconds,
  type Scene,
} from './scene.js'

/** One figure of one round. */
export interface Sample {
  readonly name: string
  readonly value: number
}

export interface Row {
  readonly name: string
  readonly unit: string
  /** Figures that are measured in turn, once per round. */
  readonly run: (scene: Scene) => Promise<readonly Sample[]>
  /** The ratio of the median of `of` to that of `to`. */
  readonly ratios: readonly { readonly of: string; readonly to: string; readonly goal: string }[]
}

const CURLS = 8
const CACHE_ALL = ['--cache-memory', '2GiB']

async function urlOf({ driver }: Scene): Promise<string> {
  const url = await driver.redirectURL('/big', { method: 'GET' })
  if (url === undefined) throw new Error('the driver gives no URL')
  return url
}

async function curls(scene: Scene): Promise<number> {
  const url = await urlOf(scene)
  const part = Math.ceil(scene.size / CURLS)
  return seconds(() =>
    Promise.all(
      Array.from({ length: CURLS }, (_, i) => {
        const range = `${i * part}-${Math.min(scene.size, (i + 1) * part) - 1}`
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

function rate(name: string, bytes: number, time: number): Sample {
  return { name, value: bytes / MiB / time }
}

async function coldRead(scene: Scene, blockSize = '1M'): Promise<number> {
  return scene.mounted([], () => seconds(() => dd(join(scene.mountpoint, 'big'), blockSize)))
}

async function cold(scene: Scene): Promise<readonly Sample[]> {
  const { size } = scene
  const samples = [rate('mount', size, await coldRead(scene))]
  samples.push(rate('mount, reads of 128 KiB', size, await coldRead(scene, '128K')))
  if (await hasCurl()) samples.push(rate('8 curls', size, await curls(scene)))
  samples.push(rate('undici', size, await client('undici', await urlOf(scene), String(size))))
  return samples
}

async function delayed(scene: Scene): Promise<readonly Sample[]> {
  const { size } = scene
  const without = rate('mount', size, await coldRead(scene))
  await scene.delay(20)
  try {
    return [without, rate('mount, 20 ms per request', size, await coldRead(scene))]
  } finally {
    await scene.delay(0)
  }
}

/** Both mounts are there at once, and read in turn. */
async function warm(scene: Scene): Promise<readonly Sample[]> {
  const { size, mountpoint } = scene
  const big = join(mountpoint, 'big')
  return scene.mounted(CACHE_ALL, async () => {
    await dd(big)
    return passThrough(scene, async file => {
      const samples: Sample[] = []
      for (let turn = 0; turn < 3; turn += 1) {
        await dropPages(big)
        samples.push(rate('mount', size, await seconds(() => dd(big))))
        samples.push(rate('pass-through', size, await seconds(() => dd(file))))
      }
      return samples
    })
  })
}

/** A file of the big object's size on tmpfs, seen through a mount that does nothing but pass on. */
async function passThrough<T>(
  { owner, size, folder }: Scene,
  work: (file: string) => Promise<T>,
): Promise<T> {
  const shared = mkdtempSync('/dev/shm/bosmount-bench-')
  const target = join(folder, 'pass-through')
  try {
    const source = join(shared, 'file')
    await runOk('dd', ['if=/dev/zero', `of=${source}`, 'bs=1M', `count=${size / MiB}`])
    mkdirSync(target, { recursive: true })
    const server = new Background(owner, process.execPath, [CLIENT, 'pass-through', source, target])
    await server.waitFor(/mounted/)
    const result = await work(join(target, 'file'))
    await server.stop()
    return result
  } finally {
    rmSync(shared, { recursive: true })
  }
}

async function readers(scene: Scene): Promise<readonly Sample[]> {
  const { size, mountpoint } = scene
  const one = await coldRead(scene)
  const paths = Array.from({ length: 16 }, (_, i) => join(mountpoint, `file${i}`))
  const times = await scene.mounted([], () => client<number[]>('streams', ...paths))
  return [
    rate('one reader', size, one),
    rate('16 readers', size, Math.max(...times)),
    { name: 'slowest', value: Math.max(...times) * 1000 },
    { name: 'fastest', value: Math.min(...times) * 1000 },
  ]
}

async function random(scene: Scene): Promise<readonly Sample[]> {
  const big = join(scene.mountpoint, 'big')
  const samples: Sample[] = []
  for (const binding of ['fuse', 'fuse-native']) {
    await scene.mounted([...CACHE_ALL, '--binding', binding], async () => {
      await dd(big)
      for (const size of [4096, 131072]) {
        await dropPages(big)
        const value = await client<number>('random', big, String(size), '3')
        samples.push({ name: `${binding}, ${size / 1024} KiB`, value })
      }
    })
  }
  return samples
}

async function firstByte(scene: Scene): Promise<readonly Sample[]> {
  const { driver, mountpoint } = scene
  const names = Array.from({ length: FILES }, (_, i) => `file${i}`)
  const paths = names.map(name => join(mountpoint, name))
  const value = await scene.mounted([], () => client<number>('first', ...paths))
  const target = Buffer.allocUnsafeSlow(128 * 1024)
  const times: number[] = []
  for (const name of names) times.push(await seconds(() => driver.readInto(`/${name}`, target)))
  times.sort((a, b) => a - b)
  return [
    { name: 'mount', value },
    { name: 'one GET', value: (times[times.length >> 1] ?? Number.NaN) * 1000 },
  ]
}

async function memory(scene: Scene): Promise<readonly Sample[]> {
  const paths = Array.from({ length: FILES }, (_, i) => join(scene.mountpoint, `file${i}`))
  const limit = 256 * MiB
  return scene.mounted(['--cache-memory', '256MiB'], async ({ process: { pid } }) => {
    let most = 0
    let done = false
    const reading = client('streams', ...paths).finally(() => (done = true))
    while (!done) {
      most = Math.max(most, residentBytes(pid))
      await sleep(100)
    }
    await reading
    return [
      { name: 'most resident', value: most / MiB },
      { name: 'cache and 200 MB', value: (limit + 200e6) / MiB },
    ]
  })
}

export const ROWS: readonly Row[] = [
  {
    name: 'cold',
    unit: 'MiB/s',
    run: cold,
    ratios: [
      { of: 'mount', to: '8 curls', goal: '>= 0.9' },
      { of: 'mount', to: 'undici', goal: '>= 1.0' },
    ],
  },
  {
    name: 'delay',
    unit: 'MiB/s',
    run: delayed,
    ratios: [{ of: 'mount, 20 ms per request', to: 'mount', goal: '>= 0.85' }],
  },
  {
    name: 'warm',
    unit: 'MiB/s',
    run: warm,
    ratios: [{ of: 'mount', to: 'pass-through', goal: '>= 0.9' }],
  },
  {
    name: 'readers',
    unit: 'MiB/s, ms',
    run: readers,
    ratios: [
      { of: '16 readers', to: 'one reader', goal: '>= 0.9' },
      { of: 'slowest', to: 'fastest', goal: '<= 1.5' },
    ],
  },
  {
    name: 'random',
    unit: '/s',
    run: random,
    ratios: [
      { of: 'fuse, 4 KiB', to: 'fuse-native, 4 KiB', goal: '>= 1.5' },
      { of: 'fuse, 128 KiB', to: 'fuse-native, 128 KiB', goal: '>= 1.5' },
    ],
  },
  {
    name: 'first-byte',
    unit: 'ms',
    run: firstByte,
    ratios: [{ of: 'mount', to: 'one GET', goal: '<= 1.3' }],
  },
  {
    name: 'memory',
    unit: 'MiB',
    run: memory,
    ratios: [{ of: 'most resident', to: 'cache and 200 MB', goal: '<= 1.0' }],
  },
]
