/**
 * How fast reading is, beside what it is measured against: same server, same objects, in turn in one
 * run, medians of several rounds, so that the ratios mean something even where the figures do not.
 *
 *     npm run bench:read [-- ROW…] [--size MiB] [--rounds N] [--seconds S] [--decay S] [--stream MiB]
 *
 * Rows are those of read/rows.ts; default all. `--size` is that of the big object (1024), `--seconds` the
 * time for each figure of random reads (3), `--decay` the length of the run that is to show no decay (30),
 * `--stream` what each of 32 readers reads while memory is watched (128). Needs /dev/fuse and dd;
 * figures of curl need curl.
 */
import { release } from 'node:os'
import { parseArgs } from 'node:util'
import { MiB } from '../src/util/units.js'
import { Cleanup } from '../test/helpers/owner.js'
import type { Row, Sample } from './read/row.js'
import { ROWS } from './read/rows.js'
import { median } from './measure.js'
import { makeScene } from './read/scene.js'

function medians(samples: readonly Sample[]): Map<string, number> {
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
    console.log(`  ${name.padEnd(40)}${figure.padStart(10)}`)
  }
  for (const { of, to, goal } of row.ratios) {
    const [one, other] = [figures.get(of), figures.get(to)]
    const ratio =
      one === undefined || other === undefined ? 'not measured here' : (one / other).toFixed(2)
    console.log(`  ${`${of} / ${to}`.padEnd(54)} ${ratio}  (goal ${goal})`)
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    decay: { type: 'string', default: '30' },
    stream: { type: 'string', default: '128' },
  },
})
const unknown = positionals.find(name => !ROWS.some(row => row.name === name))
if (unknown !== undefined) throw new Error(`rows are ${ROWS.map(row => row.name).join(', ')}`)
const owner = new Cleanup()
try {
  const { size, rounds, stream } = values
  console.log(
    `node ${process.version}, linux ${release()}, ${size} MiB, ${rounds} rounds, ${stream} MiB per stream`,
  )
  const scene = await makeScene(owner, {
    size: Number(size) * MiB,
    rounds: Number(rounds),
    seconds: Number(values.seconds),
    decay: Number(values.decay),
    stream: Number(stream) * MiB,
  })
  for (const row of ROWS) {
    if (positionals.length > 0 && !positionals.includes(row.name)) continue
    print(row, medians(await row.run(scene)))
  }
} finally {
  await owner.finish()
}
