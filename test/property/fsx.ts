/** Random operations on a file of the core against a buffer; `npm run test:fsx` plays longer. */
import t from 'tap'
import { CORE_ROUNDS, playCoreRound } from '../fsx/core-scenario.js'

const SEED = 20_261_122
const OPERATIONS = 1500
/** Of files that are many times as big. */
const FEW_OPERATIONS = 300

for (const round of CORE_ROUNDS) {
  const operations = round.maxSize > 1024 * 1024 ? FEW_OPERATIONS : OPERATIONS
  await t.test(`${round.title}: what is read is what was written`, async t => {
    const { failures } = await playCoreRound(t, round, { operations, seed: SEED })
    if (round.faults === undefined) t.equal(failures, 0, 'and nothing fails')
    else t.ok(failures > 0 && failures < operations / 4, `${failures} failures`)
  })
}
