/** Fsx over a mount of its own: a server, perhaps with faults, and a mount that is made anew at times. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { KiB, MiB } from '../../src/util/units.js'
import { MountedBucket, startServer } from '../helpers/bosmount.js'
import type { Owner } from '../helpers/owner.js'
import { scratchFolder } from '../helpers/scratch.js'
import { HostOs } from '../suites/posix/host-os.js'
import { Fsx } from './fsx.js'

export interface Round {
  readonly title: string
  readonly maxSize: number
  readonly maxLength: number
  /** Share of all requests of the store that fail in some way. */
  readonly faults?: number
  /** Further arguments of the mount. */
  readonly args?: readonly string[]
}

/** Small parts make uploads, copies and flushes in the middle happen all the time. */
const SMALL_PARTS = ['-o', 'chunksize=5242880']

export const ROUNDS: readonly Round[] = [
  { title: 'small files', maxSize: 256 * KiB, maxLength: 64 * KiB },
  { title: 'files of several parts', maxSize: 17 * MiB, maxLength: 3 * MiB, args: SMALL_PARTS },
  {
    title: 'small files, 2 % faults',
    maxSize: 96 * KiB,
    maxLength: 32 * KiB,
    faults: 0.02,
    // Without retries most faults would never be seen.
    args: ['-o', 'maxretries=0,log-level=error'],
  },
]

const ATTEMPTS = 5

/** What goes wrong between the mount and the store, each as likely as the others. */
const FAULTS = [
  { fault: 'error', status: 500, code: 'InternalError' },
  { fault: 'error', status: 503, code: 'SlowDown' },
  { fault: 'reset' },
  { fault: 'reset-after' },
  { fault: 'drop-response' },
  { fault: 'reset-upload', after: 1000 },
  { fault: 'truncate', after: 500 },
  { fault: 'corrupt' },
  { fault: 'corrupt-upload' },
] as const

export interface Outcome {
  /** Operations that failed, which only faults may cause. */
  readonly failures: number
}

/** @throws FsxError */
export async function playRound(
  t: Owner,
  { title, maxSize, maxLength, faults = 0, args = [] }: Round,
  { operations, seed }: { readonly operations: number; readonly seed: number },
): Promise<Outcome> {
  const folder = scratchFolder(t)
  const serverArgs: string[] = []
  if (faults > 0) {
    const file = join(folder, 'faults.json')
    const probability = faults / FAULTS.length
    const rules = FAULTS.map((rule, index) => ({ ...rule, probability, seed: seed + index }))
    writeFileSync(file, JSON.stringify(rules))
    serverArgs.push('--faults', file)
  }
  const server = await startServer(t, folder, serverArgs)
  const mountpoint = join(folder, 'mount')
  const start = async (attempt = 1): Promise<MountedBucket> => {
    try {
      return await MountedBucket.mount(t, { server, mountpoint, args })
    } catch (error) {
      // A fault that hits the first request keeps a mount from starting, and is over then.
      if (faults === 0 || attempt === ATTEMPTS) throw error
      return start(attempt + 1)
    }
  }
  let mount = await start()
  const os = new HostOs(mountpoint)
  const fsx = new Fsx({
    seed,
    os: () => os,
    maxSize,
    maxLength,
    faulty: faults > 0,
    remount: async () => {
      const code = await mount.unmount()
      if (code !== 0) throw new Error(`${title}: unmounting ended with ${code}`)
      mount = await start()
    },
  })
  await fsx.run(operations)
  await mount.unmount()
  return { failures: fsx.failures }
}
