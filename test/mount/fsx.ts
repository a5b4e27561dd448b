/** Random operations on a mount against a buffer, a few thousand; `npm run test:fsx` plays longer. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { KiB } from '../../src/util/units.js'
import { Fsx } from '../fsx/fsx.js'
import { FsxError } from '../fsx/model.js'
import { playRound, ROUNDS } from '../fsx/scenario.js'
import { scratchFolder } from '../helpers/scratch.js'
import { HostOs } from '../suites/posix/host-os.js'

const SEED = 20_261_122
const OPERATIONS = 2000
/** Of files that are a hundred times as big. */
const FEW_OPERATIONS = 150

t.setTimeout(580_000)

for (const round of ROUNDS) {
  const operations = round.maxSize > 1024 * KiB ? FEW_OPERATIONS : OPERATIONS
  await t.test(`${round.title}: what is read is what was written`, async t => {
    const { failures } = await playRound(t, round, { operations, seed: SEED })
    if (round.faults === undefined) t.equal(failures, 0, 'and nothing fails')
    else t.ok(failures < operations / 4, `${failures} failures are not the rule`)
  })
}

for (const [what, spoil] of [
  ['a changed byte', (file: string) => spoilByte(file)],
  ['a byte too many', (file: string) => appendFileSync(file, 'x')],
] as const) {
  await t.test(`${what} is found`, async t => {
    const folder = scratchFolder(t)
    const remount = async (): Promise<void> => {
      for (const name of ['fsx-a', 'fsx-b']) {
        try {
          spoil(join(folder, name))
        } catch {
          // The file has the other name, or is empty.
        }
      }
      return Promise.resolve()
    }
    const fsx = new Fsx({
      seed: 1,
      os: () => new HostOs(folder),
      maxSize: 64 * KiB,
      maxLength: 8 * KiB,
      remount,
    })
    await t.rejects(fsx.run(20_000), FsxError)
  })
}

function spoilByte(file: string): void {
  const bytes = readFileSync(file)
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
  writeFileSync(file, bytes)
}
