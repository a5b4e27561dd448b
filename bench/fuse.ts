/**
 * What the FUSE transport alone can do: a file system that answers from memory, asked in turn
 * through our own binding, through fuse-native, and through a program in C over libfuse3's
 * low-level interface, with one thread and with several.
 *
 *     npm run bench:fuse [-- SECONDS] [--rounds N] [--decay SECONDS] [--idle SECONDS]
 *
 * SECONDS per figure, default 2; medians of N rounds, default 3, of which 0 leaves the figures out.
 * With --decay also the 32-way reads for so long, the last tenth held against the first; --idle is
 * how long the mounts are watched doing nothing, default as long as a figure. Needs /dev/fuse; the
 * program in C needs cc, pkg-config and libfuse3-dev, and is left out without them. Figures depend
 * on the machine and on what else it does; compare those of one run only.
 */
import { mkdir } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Cleanup } from '../test/helpers/owner.js'
import { until } from '../test/helpers/bosmount.js'
import { Background, runOk } from '../test/helpers/processes.js'
import { isMounted, scratchFolder } from '../test/helpers/scratch.js'
import { MiB } from '../src/util/units.js'
import { figures, PARALLEL, type Figure } from './fuse/figures.js'
import { median } from './measure.js'
import { processorSeconds, residentBytes } from './process-usage.js'

const SERVE = fileURLToPath(new URL('fuse/serve.js', import.meta.url))
const SOURCE = fileURLToPath(new URL('../../bench/fuse/low-level.c', import.meta.url))

interface Server {
  readonly name: string
  readonly mountpoint: string
  readonly process: Background
}

/** Compiles the program in C. @returns its path, or undefined where that cannot be done */
async function compile(folder: string): Promise<string | undefined> {
  const program = join(folder, 'low-level')
  try {
    const { text } = await runOk('pkg-config', ['--cflags', '--libs', 'fuse3'])
    await runOk('cc', ['-O2', SOURCE, '-o', program, ...text.trim().split(/\s+/)])
    return program
  } catch {
    return undefined
  }
}

async function start(
  owner: Cleanup,
  { name, folder }: { readonly name: string; readonly folder: string },
  [file, ...args]: readonly [string, ...string[]],
): Promise<Server | undefined> {
  const mountpoint = join(folder, name.replaceAll(/\W+/g, '-'))
  await mkdir(mountpoint)
  const process_ = new Background(owner, file, [...args, mountpoint])
  try {
    await until(() => isMounted(mountpoint), `${name} to be mounted`, process_)
  } catch (error) {
    console.log(`${name} does not work here: ${String(error).split('\n')[1] ?? ''}`)
    return undefined
  }
  return { name, mountpoint, process: process_ }
}

interface Sample {
  readonly rate: number
  readonly cpu: number
}

async function sample(server: Server, [, , run]: Figure, seconds: number): Promise<Sample> {
  const { pid } = server.process
  const before = processorSeconds(pid)
  const began = performance.now()
  const amount = await run(() => performance.now() - began > seconds * 1000)
  const took = (performance.now() - began) / 1000
  return { rate: amount / took, cpu: (processorSeconds(pid) - before) / took }
}

/** Every figure of every server in turn. */
async function measure(
  servers: readonly Server[],
  { seconds, rounds }: { readonly seconds: number; readonly rounds: number },
): Promise<void> {
  const all = servers.map(server => figures(server.mountpoint))
  for (const [index, [title, unit]] of (all[0] ?? []).entries()) {
    const samples = servers.map((): Sample[] => [])
    for (let round = 0; round < rounds; round += 1) {
      for (const [i, server] of servers.entries()) {
        const figure = all[i]?.[index]
        if (figure !== undefined) samples[i]?.push(await sample(server, figure, seconds))
      }
    }
    console.log(`\n${title} (${unit})`)
    const of = unit === '/s' ? 'one' : 'MB'
    const ours = median((samples[0] ?? []).map(({ rate }) => rate))
    for (const [i, { name }] of servers.entries()) {
      const rate = median((samples[i] ?? []).map(one => one.rate))
      const cpu = median((samples[i] ?? []).map(one => one.cpu)).toFixed(2)
      const each = median((samples[i] ?? []).map(one => (one.cpu / one.rate) * 1e6))
      const ratio = i === 0 ? '' : `  ours is ${(ours / rate).toFixed(2)} of it`
      const figure = Math.round(rate).toLocaleString('en').padStart(10)
      console.log(
        `  ${name.padEnd(16)}${figure}   server CPU ${cpu}, ${each.toFixed(1)} µs per ${of}${ratio}`,
      )
    }
  }
}

async function measureIdle(server: Server, seconds: number): Promise<void> {
  const { pid } = server.process
  const before = processorSeconds(pid)
  await delay(seconds * 1000)
  const idle = (((processorSeconds(pid) - before) / seconds) * 100).toFixed(2)
  const resident = Math.round(residentBytes(pid) / MiB)
  console.log(
    `\n${server.name}, idle: ${idle} % of a processor  (goal < 1 %); resident ${resident} MiB`,
  )
}

/** The 32-way reads for a long time, in tenths. */
async function measureDecay(server: Server, seconds: number): Promise<void> {
  const figure = figures(server.mountpoint).find(([title]) => title.startsWith('random'))
  if (figure === undefined) return
  const tenths: Sample[] = []
  for (let i = 0; i < 10; i += 1) tenths.push(await sample(server, figure, seconds / 10))
  const shown = tenths.map(({ rate }) => Math.round(rate).toLocaleString('en')).join(' ')
  // Where others use the machine too, the time that a read takes of a processor says more.
  const costs = tenths.map(({ cpu, rate }) => ((cpu / rate) * 1e6).toFixed(1)).join(' ')
  const [first, last] = [tenths[0], tenths.at(-1)]
  const goes = ((last?.rate ?? 0) / (first?.rate ?? 0)).toFixed(2)
  console.log(`\n${server.name}, ${seconds} s of 32-way reads: ${shown}`)
  console.log(`  server CPU, µs per read: ${costs}`)
  console.log(`  the last tenth is ${goes} of the first  (goal >= 0.95)`)
}

async function main(owner: Cleanup): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '3' },
      decay: { type: 'string', default: '0' },
      idle: { type: 'string' },
    },
  })
  const seconds = Number(positionals[0] ?? 2)
  console.log(`node ${process.version}, linux ${release()}, ${seconds} s per figure`)
  const folder = scratchFolder(owner)
  const program = await compile(folder)
  if (program === undefined) console.log('no cc, pkg-config or libfuse3-dev: nothing in C')
  const { execPath } = process
  const servers = [
    await start(owner, { name: 'fuse', folder }, [execPath, SERVE, 'fuse']),
    await start(owner, { name: 'fuse-native', folder }, [execPath, SERVE, 'fuse-native']),
    ...(program === undefined
      ? []
      : [
          await start(owner, { name: 'C, one thread', folder }, [program, '-s', '-f']),
          await start(owner, { name: 'C, threads', folder }, [program, '-f']),
        ]),
  ].filter(server => server !== undefined)
  try {
    const rounds = Number(values.rounds)
    if (rounds > 0) await measure(servers, { seconds, rounds })
    const decay = Number(values.decay)
    for (const server of servers.slice(0, 2)) {
      await measureIdle(server, Number(values.idle ?? seconds))
      if (decay > 0) await measureDecay(server, decay)
    }
  } finally {
    for (const server of servers) await server.process.stop('SIGTERM', 20_000)
  }
}

// The client's own reads run on the pool: as many threads as reads, before its first use.
process.env['UV_THREADPOOL_SIZE'] ??= String(PARALLEL)
const owner = new Cleanup()
try {
  await main(owner)
} finally {
  await owner.finish()
}
