/** Fsx on the core without a kernel, over the memory driver: a long run in little time. */
import type { FileSystem } from '../../src/fs/core/filesystem.js'
import type { WriteResult } from '../../src/driver/driver.js'
import { DriverError } from '../../src/driver/errors.js'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import { KiB, MiB } from '../../src/util/units.js'
import { createCore } from '../helpers/core.js'
import type { Owner } from '../helpers/owner.js'
import { watched } from '../helpers/watched-driver.js'
import { CoreCalls } from '../suites/posix/core/core-calls.js'
import { Fsx } from './fsx.js'
import { seededRandom } from './random.js'
import type { Outcome, Round } from './scenario.js'

export const CORE_ROUNDS: readonly Round[] = [
  { title: 'core, small files', maxSize: 256 * KiB, maxLength: 64 * KiB },
  { title: 'core, files of several parts', maxSize: 6 * MiB, maxLength: MiB },
  { title: 'core, small files, 2 % faults', maxSize: 96 * KiB, maxLength: 32 * KiB, faults: 0.02 },
  {
    title: 'core, files of several parts, 2 % faults',
    maxSize: 3 * MiB,
    maxLength: 512 * KiB,
    faults: 0.02,
  },
]

/** Parts so small that most changes meet several. */
const PART_SIZE = 256 * KiB
const WRITE_MEMORY = 8 * MiB

/** @throws FsxError */
export async function playCoreRound(
  _: Owner,
  { title, maxSize, maxLength, faults = 0 }: Round,
  { operations, seed }: { readonly operations: number; readonly seed: number },
): Promise<Outcome> {
  const random = seededRandom(seed + 1)
  const watch = watched(createMemoryDriver({ partSize: PART_SIZE, minPartSize: PART_SIZE / 2 }))
  let sound = faults === 0
  const fault = (path: string, attempted?: string): void => {
    watch.requests.length = 0
    if (!sound && random.chance(faults / 2)) throw new DriverError('a fault', { path, attempted })
  }
  // Half of them when the request has had its effect.
  watch.before = ({ path }) => fault(path)
  watch.after = ({ path }, result) =>
    fault(path, (result as Partial<WriteResult> | undefined)?.etag)
  const make = (): FileSystem => createCore(watch.driver, { writeMemory: WRITE_MEMORY })
  let core = make()
  let os = new CoreCalls(core)
  const end = async (): Promise<void> => {
    core.checkInvariants()
    const { handles, dirty, lookups } = core.counts
    if (handles + dirty + lookups !== 0) {
      throw new Error(`${title}: ${JSON.stringify(core.counts)} is left`)
    }
    // What cannot be stored in the end is lost, and the log says so: nothing to be compared.
    sound = true
    await core.destroy()
    sound = faults === 0
  }
  const fsx = new Fsx({
    seed,
    os: () => os,
    maxSize,
    maxLength,
    faulty: faults > 0,
    remount: async () => {
      await end()
      core = make()
      os = new CoreCalls(core)
    },
  })
  await fsx.run(operations)
  await end()
  return { failures: fsx.failures }
}
