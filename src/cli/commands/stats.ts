/** `bosmount stats`: what a mount does, live in the terminal, one block per interval as iostat(1) has it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { KindSums, OperationSums } from '../../metrics/tally.js'
import { counted } from '../../util/plural.js'
import { formatBytes, parseDuration } from '../../util/units.js'
import { command } from '../command.js'
import { ask } from '../control.js'
import type { Stats } from '../control.js'
import { CommandError, EXIT } from '../errors.js'
import { describeJournal } from '../journal-text.js'
import { interruptible } from '../interrupt.js'
import { mountpointPath } from '../mounts.js'
import { write } from '../output.js'

interface StatsArguments {
  readonly mountpoint: string
  readonly interval: string
  readonly count: string | undefined
  readonly json: boolean
}

export const statsCommand = command<StatsArguments>({
  command: 'stats <mountpoint>',
  describe: 'Show live what a mount does',
  builder: yargs =>
    yargs
      .positional('mountpoint', { type: 'string', demandOption: true })
      .option('interval', {
        alias: 'i',
        type: 'string',
        requiresArg: true,
        default: '1s',
        describe: 'time between two blocks',
      })
      .option('count', {
        alias: 'n',
        type: 'string',
        requiresArg: true,
        describe: 'end after so many blocks; the first is since the mount',
        defaultDescription: 'until Ctrl-C',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'the sums since the mount, one JSON object per line',
      }),
  handler: argv => interruptible(signal => watch(argv, signal)),
})

async function watch(argv: StatsArguments, signal: AbortSignal): Promise<void> {
  const interval = parseDuration(argv.interval)
  const count = argv.count === undefined ? Infinity : Number(argv.count)
  if (interval === undefined || interval < 10 || !(count >= 1)) {
    throw new CommandError('--interval must be a time and --count a number', EXIT.usage)
  }
  const mountpoint = await mountpointPath(argv.mountpoint)
  let before: Stats | undefined
  for (let block = 0; block < count; block += 1) {
    if (block > 0) await sleep(interval, undefined, { signal })
    const stats = (await ask(mountpoint, { do: 'stats' }, signal)) as Stats
    await write(argv.json ? `${JSON.stringify(stats)}\n` : describe(stats, before), signal)
    before = stats
  }
}

function describe(now: Stats, before: Stats | undefined): string {
  const seconds = (now.uptime - (before?.uptime ?? 0)) / 1000
  const { inodes = 0, handles = 0, dirty = 0 } = now.counts
  const journal = describeJournal(now.counts)
  const head =
    `${now.source} at ${now.mountpoint}: ${counted(inodes, 'inode')}, ${counted(handles, 'handle')}, ` +
    `${counted(dirty, 'file')} to store, ${formatBytes(now.memory)} resident` +
    (journal === undefined ? '' : `; ${journal}`)
  const rate = (kind: 'fuse' | 'store', direction: 'read' | 'written'): string => {
    const amount = now.tally[kind][direction] - (before?.tally[kind][direction] ?? 0)
    return `${formatBytes(Math.round(amount / seconds))}/s`
  }
  const bytes =
    `programs read ${rate('fuse', 'read')}, write ${rate('fuse', 'written')}; ` +
    `BOS gives ${rate('store', 'read')}, takes ${rate('store', 'written')}`
  const columns = `${'operation'.padEnd(24)}${['per s', 'mean ms', 'longest ms', 'errors'].map(each => each.padStart(12)).join('')}`
  const rows = (['fuse', 'store'] as const).flatMap(kind =>
    kindRows({ kind, now: now.tally[kind], before: before?.tally[kind], seconds }),
  )
  return `${[head, bytes, columns, ...rows].join('\n')}\n\n`
}

interface KindOptions {
  readonly kind: string
  readonly now: KindSums
  readonly before: KindSums | undefined
  readonly seconds: number
}

function kindRows({ kind, now, before, seconds }: KindOptions): string[] {
  return Object.entries(now.operations).flatMap(([name, sums]) => {
    const past: OperationSums = before?.operations[name] ?? NONE
    const count = sums.count - past.count
    if (count === 0) return []
    const cells = [
      (count / seconds).toFixed(1),
      ((sums.time - past.time) / count).toFixed(2),
      sums.longest.toFixed(1),
      String(sums.errors - past.errors),
    ]
    return [`${kind} ${name}`.padEnd(24) + cells.map(cell => cell.padStart(12)).join('')]
  })
}

const NONE: OperationSums = { count: 0, errors: 0, time: 0, longest: 0 }
