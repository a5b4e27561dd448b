/** `npm run soak:driver [-- OPERATIONS SEED]`: the soak as a program. Prints its seed first. */
import { soak } from './driver.js'

const [, , operationsText = '10000', seedText = String(Date.now() % 1_000_000)] = process.argv
const [operations, seed] = [Number(operationsText), Number(seedText)]
process.stdout.write(`${operations} operations, seed ${seed}\n`)
const began = performance.now()
const { faults, failures, differences } = await soak(operations, seed)
const seconds = ((performance.now() - began) / 1000).toFixed(0)
process.stdout.write(
  `${seconds} s: ${faults} faults, ${failures} operations failed by them, ` +
    `${differences.length} differences\n`,
)
for (const difference of differences) process.stdout.write(`  ${difference}\n`)
process.exitCode = differences.length === 0 ? 0 : 1
