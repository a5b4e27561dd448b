/**
 * Writing: how fast, beside the same bytes sent by undici alone (same server, a process of its own; same
 * part size and number of requests at once; in turn in one run, so that the ratios mean something even
 * where the seconds do not), and what the usual jobs cost in requests, bytes and memory.
 *
 *     npm run bench:write [-- ROW…] [--size MiB] [--rounds N] [--files N] [--many MiB]
 *
 * Default all rows. `--size` is that of the big file (1024), `--rounds` how many medians are of (5),
 * `--files` the number of small files (1000), `--many` the size of each of 32 files that are written at
 * once (1024). Needs /dev/fuse, dd, and for the rows of registries docker-registry and skopeo.
 */
import { release } from 'node:os'
import { parseArgs } from 'node:util'
import { OPTIONS } from '../src/config.js'
import { MiB } from '../src/util/units.js'
import { Cleanup } from '../test/helpers/owner.js'
import { COUNTS } from './write/counts.js'
import { REGISTRY } from './write/registry.js'
import type { Line, Row } from './write/row.js'
import { Scene } from './write/scene.js'
import { SPEED } from './write/speed.js'

const ROWS: readonly Row[] = [...SPEED, ...COUNTS, ...REGISTRY]

function print({ name }: Row, { what, value, unit, against, goal }: Line): void {
  const figure = (number: number): string =>
    `${unit === 'requests' ? String(number) : number.toFixed(2)} ${unit}`
  const beside = against === undefined ? '' : figure(against)
  const ratio = against === undefined ? '' : (against / value).toFixed(2)
  const cells = [name.padEnd(16), what.padEnd(62), figure(value).padStart(14)]
  console.log(`${cells.join('  ')}  ${beside.padStart(10)}  ${ratio.padStart(5)}  (goal ${goal})`)
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '5' },
    files: { type: 'string', default: '1000' },
    many: { type: 'string', default: '1024' },
  },
})
const unknown = positionals.find(name => !ROWS.some(row => row.name === name))
if (unknown !== undefined) throw new Error(`rows are ${ROWS.map(row => row.name).join(', ')}`)
const { size, rounds, files, many } = values
console.log(
  `node ${process.version}, linux ${release()}, medians of ${rounds}: ` +
    'the mount, what it is held against, ratio',
)
for (const row of ROWS) {
  if (positionals.length > 0 && !positionals.includes(row.name)) continue
  if (row.needs !== undefined && !OPTIONS.some(option => option.name === row.needs)) {
    console.log(`${row.name.padEnd(16)}  not here: there is no option ${row.needs}`)
    continue
  }
  const owner = new Cleanup()
  try {
    const sizes = { size: Number(size) * MiB, many: Number(many) * MiB }
    const counts = { files: Number(files), rounds: Number(rounds) }
    const scene = await Scene.make(owner, { ...sizes, ...counts })
    for (const line of await row.run(scene)) print(row, line)
  } finally {
    await owner.finish()
  }
}
