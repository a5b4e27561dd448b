/** How often a property is tried that plays a sequence of steps against a model. */
import type { Milliseconds } from '../../src/util/units.js'

/** Less than a test file has: what failed is told, with its seed, though no smaller sequence was found. */
const LIMIT: Milliseconds = 240_000

export interface Sequences {
  readonly numRuns: number
  readonly interruptAfterTimeLimit?: Milliseconds
  readonly markInterruptAsFailure: true
}

/** @param byDefault  runs if BOSMOUNT_RUNS in the environment does not ask for others, however long they take */
export function sequences(byDefault: number): Sequences {
  const asked = process.env['BOSMOUNT_RUNS']
  return {
    numRuns: Number(asked ?? byDefault),
    ...(asked === undefined && { interruptAfterTimeLimit: LIMIT }),
    markInterruptAsFailure: true,
  }
}
