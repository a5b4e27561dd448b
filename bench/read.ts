/**
 * How fast reading is, beside what it is measured against: same server, same objects, in turn in one
 * run, medians of several rounds, so that the ratios mean something even where the figures do not.
 *
 *     npm run bench:read [-- ROW…] [--size MiB] [--rounds N]
 *
 * Rows are those of read/rows.ts; default all. Needs /dev/fuse and dd; figures of curl need curl.
 */
import { release } from 'node:os'
import { parseArgs } from 'node:util'
import { MiB } from '../src/util/units.js'
import { Cleanup } from '../test/helpers/owner.js'
import { ROWS, type Row, type Sample } from './read/rows.js'
import { makeScene, type Scene } from './read/scene.js'

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

async function measure(row: Row, scene: Scene, rounds: number): Promise<Map<string, number>> {
  const samples: Sample[] = []
  for (let round = 0; round < rounds; round += 1) samples.push(...(await row.run(scene)))
  const names = new Set(samples.map(({ name }) => name))
  return new Map(
    [...names].map(name => [
      name,
      median(samples.filter(sample => sample.name === name).map(({ value }) => value)),
    ]),
  )
}

function print(row: Row, figures: ReadonlyMap<string, number>): void {
  console.log(`\n${row.name} (${row.unit})`)
  for (const [name, value] of figures) {
    const figure = value < 10 ? value.toFixed(2) : Math.round(value).toLocaleString('en')
    console.log(`  ${name.padEnd(36)}${figure.padStart(10)}`)
  }
  for (const { of, to, goal } of row.ratios) {
    const [one, other] = [figures.get(of), figures.get(to)]
    const ratio =
      one === undefined || other === undefined ? 'not measured here' : (one / other).toFixed(2)
    console.log(`  ${`${of} / ${to}`.padEnd(46)} ${ratio}  (goal ${goal})`)
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '5' },
  },
})
const unknown = positionals.find(name => !ROWS.some(row => row.name === name))
if (unknown !== undefined) throw new Error(`rows are ${ROWS.map(row => row.name).join(', ')}`)
const owner = new Cleanup()
try {
  console.log(
    `node ${process.version}, linux ${release()}, ${values.size} MiB, ${values.rounds} rounds`,
  )
  const scene = await makeScene(owner, Number(values.size) * MiB)
  for (const row of ROWS) {
    if (positionals.length > 0 && !positionals.includes(row.name)) continue
    print(row, await measure(row, scene, Number(values.rounds)))
  }
} finally {
  await owner.finish()
}
