/** The rows of bench/read.ts: what is measured, against what, and which ratio is wanted. */
import { join } from 'node:path'
import { MiB } from '../../src/util/units.js'
import type { MountedBucket } from '../../test/helpers/bosmount.js'
import { cold, delayed } from './cold.js'
import { passThrough } from './pass-through.js'
import { inRounds, rate, type Row, type Sample } from './row.js'
import { median, seconds } from '../measure.js'
import { residentBytes } from '../process-usage.js'
import { client, dd, dropPages, type Scene } from './scene.js'

const CACHE_ALL = ['--cache-memory', '2GiB']
/** What the row of that name gives the mount, and what it may take beyond that. */
const MEMORY = 256 * MiB
const ALLOWANCE = 200e6

/** Both mounts are there at once, and read in turn. */
async function warm(scene: Scene): Promise<readonly Sample[]> {
  const { size } = scene
  return scene.mounted(CACHE_ALL, async ({ path }) => {
    const big = join(path, 'big')
    await dd(big)
    return passThrough(scene, file =>
      inRounds(scene, async () => {
        await dropPages(big)
        return [
          rate('mount', size, await seconds(() => dd(big))),
          rate('pass-through', size, await seconds(() => dd(file))),
        ]
      }),
    )
  })
}

/** One and many are first reads of fresh mounts. */
function readers(scene: Scene): Promise<readonly Sample[]> {
  const { size } = scene
  return inRounds(scene, async () => {
    const one = await scene.mounted([], ({ path }) => seconds(() => dd(join(path, 'big'))))
    const times = await scene.mounted([], ({ path }) =>
      client<number[]>('streams', ...scene.files.slice(0, 16).map(name => join(path, name))),
    )
    return [
      rate('one reader', size, one),
      rate('16 readers', size, Math.max(...times)),
      { name: 'slowest, ms', value: Math.max(...times) * 1000 },
      { name: 'fastest, ms', value: Math.min(...times) * 1000 },
    ]
  })
}

function random(scene: Scene): Promise<readonly Sample[]> {
  return inRounds(scene, async () => {
    const samples: Sample[] = []
    for (const binding of ['fuse', 'fuse-native']) {
      await scene.mounted([...CACHE_ALL, '--binding', binding], async ({ path }) => {
        const big = join(path, 'big')
        await dd(big)
        for (const size of [4096, 131072]) {
          await dropPages(big)
          samples.push({
            name: `${binding}, ${size / 1024} KiB`,
            value: await iops(scene, big, size),
          })
        }
      })
    }
    return samples
  })
}

function iops(scene: Scene, path: string, size: number, time = scene.seconds): Promise<number> {
  return client<number>('random', path, String(size), String(time))
}

/** Tenths of a long run on one mount, of which the first and the last are shown. */
async function decay(scene: Scene): Promise<readonly Sample[]> {
  return scene.mounted(CACHE_ALL, async ({ path }) => {
    const big = join(path, 'big')
    await dd(big)
    const tenths: number[] = []
    for (let i = 0; i < 10; i += 1) tenths.push(await iops(scene, big, 4096, scene.decay / 10))
    console.log(
      `  tenths: ${tenths.map(value => Math.round(value).toLocaleString('en')).join(' ')}`,
    )
    return [
      { name: 'first tenth', value: tenths[0] ?? Number.NaN },
      { name: 'last tenth', value: tenths.at(-1) ?? Number.NaN },
    ]
  })
}

/** open(2) and the first 128 KiB, of files that were listed and of which nothing else is known. */
function firstByte(scene: Scene): Promise<readonly Sample[]> {
  const { driver, files } = scene
  const target = Buffer.allocUnsafeSlow(128 * 1024)
  const measure = async (suffix: string): Promise<readonly Sample[]> => {
    const paths = ({ path }: MountedBucket) => files.map(name => join(path, name))
    const value = await scene.mounted([], mount => client<number>('first', ...paths(mount)))
    const times: number[] = []
    for (const name of files) times.push(await seconds(() => driver.readInto(`/${name}`, target)))
    return [
      { name: `mount${suffix}`, value },
      { name: `one GET${suffix}`, value: median(times) * 1000 },
    ]
  }
  return inRounds(scene, async () => {
    const samples = await measure('')
    return [...samples, ...(await scene.delayed(20, () => measure(', 20 ms per request')))]
  })
}

async function memory(scene: Scene): Promise<readonly Sample[]> {
  const { driver, files, stream } = scene
  const streams = files.map(name => `stream-of-${name}`)
  const source = await scene.make('stream', stream)
  for (const name of streams) await driver.copy(source, `/${name}`)
  const cache = ['--cache-memory', `${MEMORY / MiB}MiB`]
  return scene.mounted(cache, async ({ path, process: { pid } }) => {
    await client('streams', ...streams.map(name => join(path, name)))
    return [
      { name: 'most resident', value: residentBytes(pid, 'most') / MiB },
      { name: 'cache and 200 MB', value: (MEMORY + ALLOWANCE) / MiB },
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
      { of: 'first read of a mount', to: '8 curls', goal: '>= 0.9' },
      { of: 'first read of a mount', to: 'undici', goal: '>= 1.0' },
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
    unit: 'MiB/s',
    run: readers,
    ratios: [
      { of: '16 readers', to: 'one reader', goal: '>= 0.9' },
      { of: 'slowest, ms', to: 'fastest, ms', goal: '<= 1.5' },
    ],
  },
  {
    name: 'random',
    unit: '/s, 32 at a time',
    run: random,
    ratios: [
      { of: 'fuse, 4 KiB', to: 'fuse-native, 4 KiB', goal: '>= 1.5' },
      { of: 'fuse, 128 KiB', to: 'fuse-native, 128 KiB', goal: '>= 1.5' },
    ],
  },
  {
    name: 'decay',
    unit: '/s, 4 KiB, 32 at a time',
    run: decay,
    ratios: [{ of: 'last tenth', to: 'first tenth', goal: '>= 0.95' }],
  },
  {
    name: 'first-byte',
    unit: 'ms',
    run: firstByte,
    ratios: [
      { of: 'mount', to: 'one GET', goal: '<= 1.3' },
      { of: 'mount, 20 ms per request', to: 'one GET, 20 ms per request', goal: '<= 1.3' },
    ],
  },
  {
    name: 'memory',
    unit: 'MiB, 32 streams',
    run: memory,
    ratios: [{ of: 'most resident', to: 'cache and 200 MB', goal: '<= 1.0' }],
  },
]
