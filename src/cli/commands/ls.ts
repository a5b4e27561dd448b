/** `bosmount ls`: what a directory of a bucket holds. */
import type { FileInfo } from '../../driver/driver.js'
import { baseName, comparePaths } from '../../driver/path.js'
import { formatBytes } from '../../util/units.js'
import { compareUtf8 } from '../../util/utf8.js'
import {
  addPathOptions,
  command,
  forEachOperand,
  matches,
  withOperands,
  written,
} from '../command.js'
import type { Operand, PathArguments } from '../command.js'
import { isPattern } from '../files/glob.js'
import { formatTime, Lines, printable } from '../output.js'
import type { Store } from '../store.js'

interface LsArguments extends PathArguments {
  readonly long: boolean
  readonly recursive: boolean
  readonly directory: boolean
  readonly human: boolean
  readonly json: boolean
}

export const lsCommand = command<LsArguments>({
  command: 'ls [paths..]',
  aliases: ['list'],
  describe: 'List what is in a bucket',
  builder: yargs =>
    addPathOptions(yargs)
      .option('long', {
        alias: 'l',
        type: 'boolean',
        default: false,
        describe: 'with size and time',
      })
      .option('recursive', {
        alias: ['r', 'R'],
        type: 'boolean',
        default: false,
        describe: 'everything below, as whole paths in the order in which BOS has them',
      })
      .option('directory', {
        alias: 'd',
        type: 'boolean',
        default: false,
        describe: 'directories themselves, not what they hold',
      })
      .option('human', {
        alias: 'H',
        type: 'boolean',
        default: false,
        describe: 'sizes with units',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'one JSON object per line: path, type, size, modTime, etag',
      }),
  handler: async argv => {
    const texts = argv.paths.length === 0 ? ['/'] : argv.paths
    await withOperands(argv, texts, async (store, operands) => {
      const lines = new Lines(store.signal)
      const isMany = texts.length > 1 || texts.some(text => !argv.literal && isPattern(text))
      const each = (operand: Operand) => listOperand({ argv, store, lines, isMany }, operand)
      try {
        await forEachOperand(operands, ({ text }) => text, each)
      } finally {
        if (!store.signal.aborted) await lines.flush()
      }
    })
  },
})

interface Listing {
  readonly argv: LsArguments
  readonly store: Store
  readonly lines: Lines
  /** Several directories may be listed: each is named first. */
  readonly isMany: boolean
}

async function listOperand(listing: Listing, operand: Operand): Promise<void> {
  const { argv, store, lines } = listing
  const { location } = operand
  const whole = (info: FileInfo): string => written(info.path, location)
  const name = (info: FileInfo): string => baseName(info.path)
  for await (const info of matches(store, operand, argv.literal)) {
    if (!info.isDir || argv.directory) await show(listing, info, whole)
    else if (argv.recursive) {
      for await (const each of below(store, info.path)) await show(listing, each, whole)
    } else {
      if (listing.isMany && !argv.json) await lines.add(`${printable(whole(info))}:`)
      for (const child of await children(store, info.path)) await show(listing, child, name)
    }
  }
}

/**
 * All that is below, in the order of the keys in BOS as far as the store lists by keys: one page is in
 * memory, and costs one request for a thousand things, however many directories they lie in.
 */
async function* below({ driver, signal }: Store, root: string): AsyncGenerator<FileInfo> {
  for await (const { directories } of driver.entriesBelow(root, { signal })) {
    yield* directories.flatMap(({ entries }) => entries).sort((a, b) => compareUtf8(key(a), key(b)))
  }
}

function key({ path, isDir }: FileInfo): string {
  return isDir ? `${path}/` : path
}

async function children({ driver, signal }: Store, path: string): Promise<FileInfo[]> {
  const found: FileInfo[] = []
  for await (const { entries } of driver.entries(path, { signal })) found.push(...entries)
  return found.sort((a, b) => comparePaths(a.path, b.path))
}

async function show(
  { argv, lines }: Listing,
  info: FileInfo,
  nameOf: (info: FileInfo) => string,
): Promise<void> {
  if (argv.json) {
    await lines.addJson(asJson(info))
    return
  }
  const name = printable(nameOf(info)) + (info.isDir ? '/' : '')
  if (!argv.long) {
    await lines.add(name)
    return
  }
  const amount = argv.human ? formatBytes(info.size) : String(info.size)
  const size = info.isDir ? '-' : amount
  await lines.add(`${size.padStart(14)}  ${formatTime(info.modTime)}  ${name}`)
}

/** The same fields in every command. */
export function asJson({ path, size, modTime, isDir, etag }: FileInfo): object {
  return {
    path,
    type: isDir ? 'directory' : 'file',
    ...(isDir ? {} : { size }),
    ...(modTime === undefined ? {} : { modTime: modTime.toISOString() }),
    ...(etag === undefined ? {} : { etag }),
  }
}
