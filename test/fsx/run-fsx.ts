/**
 * `npm run test:fsx [-- OPERATIONS SEED [core]]`: fsx as a program, on mounts, or on the core without a
 * kernel, which is many times as fast. Prints its seeds; a round is 20,000 long.
 */
import { Cleanup } from '../helpers/owner.js'
import { CORE_ROUNDS, playCoreRound } from './core-scenario.js'
import { playRound, ROUNDS } from './scenario.js'

const ROUND_LENGTH = 20_000

const [, , operationsText = '60000', seedText = String(Date.now() % 1_000_000), where] =
  process.argv
const onCore = where === 'core'
const rounds = onCore ? CORE_ROUNDS : ROUNDS
const play = onCore ? playCoreRound : playRound
let seed = Number(seedText)
let left = Number(operationsText)
process.stdout.write(`${left} operations, first seed ${seed}\n`)
for (let index = 0; left > 0; index += 1, seed += 1) {
  const round = rounds[index % rounds.length]
  if (round === undefined) break
  // Big files move a hundred times as many bytes per operation.
  const share = round.maxSize > 1024 * 1024 ? ROUND_LENGTH / 10 : ROUND_LENGTH
  const operations = Math.min(left, share)
  const owner = new Cleanup()
  const began = performance.now()
  try {
    const { failures } = await play(owner, round, { operations, seed })
    const seconds = ((performance.now() - began) / 1000).toFixed(0)
    process.stdout.write(
      `${round.title}: seed ${seed}, ${operations} operations, ${failures} failed, ${seconds} s\n`,
    )
  } catch (error) {
    process.stdout.write(`${round.title}: ${String(error)}\n`)
    process.exitCode = 1
  } finally {
    await owner.finish()
  }
  left -= operations
}
