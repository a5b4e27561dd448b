/** `bosmount cp` and `bosmount mv`: within one bucket, inside BOS; no bytes come here. */
import type { FileInfo } from '../../driver/driver.js'
import { PreconditionError } from '../../driver/errors.js'
import { isBelow } from '../../driver/path.js'
import { forEachParallel } from '../../util/semaphore.js'
import {
  addPathOptions,
  arrival,
  command,
  destinationOf,
  forEachOperand,
  matches,
  withOperands,
  written,
} from '../command.js'
import type { Operand, PathArguments } from '../command.js'
import type { Bytes } from '../../util/units.js'
import { CommandError, EXIT } from '../errors.js'
import { Progress } from '../progress.js'
import { addProgressOption, showProgress } from '../progress-option.js'
import type { Store } from '../store.js'

interface TransferArguments extends PathArguments {
  readonly recursive?: boolean
  readonly 'no-clobber': boolean
  readonly progress: boolean | undefined
}

const COPIES_AT_ONCE = 16
const NO_CLOBBER = {
  alias: 'n',
  type: 'boolean',
  default: false,
  describe: 'fail instead of replacing what is there',
} as const

export const cpCommand = command<TransferArguments>({
  command: 'cp <paths..>',
  aliases: ['copy'],
  describe: 'Copy files inside a bucket',
  builder: yargs =>
    addProgressOption(addPathOptions(yargs))
      .usage('$0 cp PATH… DESTINATION')
      .option('recursive', {
        alias: ['r', 'R'],
        type: 'boolean',
        default: false,
        describe: 'directories too, with all that is in them',
      })
      .option('no-clobber', NO_CLOBBER),
  handler: argv => transfer(argv, 'copied', copyOne),
})

export const mvCommand = command<TransferArguments>({
  command: 'mv <paths..>',
  aliases: ['move'],
  describe: 'Rename files and directories inside a bucket',
  builder: yargs =>
    addProgressOption(addPathOptions(yargs))
      .usage('$0 mv PATH… DESTINATION')
      .option('no-clobber', NO_CLOBBER),
  handler: argv => transfer(argv, 'moved', moveOne),
})

interface Work {
  readonly argv: TransferArguments
  readonly store: Store
  readonly progress: Progress
  /** A path as it was or would be written on the command line. */
  readonly name: (path: string) => string
}

type TransferOne = (work: Work, source: FileInfo, to: string) => Promise<void>

async function transfer(argv: TransferArguments, title: string, one: TransferOne): Promise<void> {
  const target = argv.paths.at(-1)
  const sources = argv.paths.slice(0, -1)
  if (target === undefined || sources.length === 0) {
    throw new CommandError('name what, and where to', EXIT.usage)
  }
  await withOperands(argv, [...sources, target], async (store, operands) => {
    const last = operands.at(-1)
    if (last === undefined) return
    const found = await collect(store, operands.slice(0, -1), argv)
    const destination = await destinationOf(store, last, found.length)
    const name = (path: string): string => written(path, last.location)
    const progress = new Progress({ title, show: showProgress(argv.progress) })
    try {
      const each = async (source: FileInfo): Promise<void> => {
        const to = arrival(destination, source.path)
        const shown = name(to)
        if (to === source.path)
          throw new CommandError(`${shown}: source and destination are the same`)
        if (isBelow(to, source.path)) {
          throw new CommandError(`${shown} lies within ${name(source.path)}`)
        }
        await one({ argv, store, progress, name }, source, to).catch((error: unknown) => {
          throw error instanceof PreconditionError
            ? new CommandError(`${shown}: exists already`)
            : error
        })
      }
      await forEachOperand(found, ({ path }) => name(path), each)
    } finally {
      progress.end()
    }
  })
}

async function collect(
  store: Store,
  operands: readonly Operand[],
  { literal }: TransferArguments,
): Promise<FileInfo[]> {
  const found: FileInfo[] = []
  const each = async (operand: Operand): Promise<void> => {
    for await (const info of matches(store, operand, literal)) found.push(info)
  }
  await forEachOperand(operands, ({ text }) => text, each)
  return found
}

async function moveOne(
  { argv, store, progress, name }: Work,
  source: FileInfo,
  to: string,
): Promise<void> {
  const { signal, driver } = store
  if (argv['no-clobber'] && source.isDir && (await exists(store, to))) {
    throw new CommandError(`${name(to)}: exists already`)
  }
  const condition = argv['no-clobber'] ? { ifNoneMatch: '*' as const } : {}
  const onMoved = (bytes: Bytes): void => {
    progress.add(bytes)
    progress.tick()
  }
  await driver.move(source.path, to, { signal, onMoved, ...condition })
}

async function exists({ driver, signal }: Store, path: string): Promise<boolean> {
  for await (const { entries } of driver.entries(path, { signal })) return entries.length > 0
  return false
}

async function copyOne(work: Work, source: FileInfo, to: string): Promise<void> {
  const { argv, store, progress } = work
  if (!source.isDir) {
    await copyFile(work, source, to)
    return
  }
  if (argv.recursive !== true) {
    throw new CommandError('is a directory (add -r)')
  }
  await store.driver.makeDirectory(to, { signal: store.signal })
  const items = below(store, source.path)
  const copy = async (info: FileInfo): Promise<void> => {
    const path = to + info.path.slice(source.path === '/' ? 0 : source.path.length)
    progress.expect({ things: 1, bytes: info.size })
    if (info.isDir) await store.driver.makeDirectory(path, { signal: store.signal })
    else await copyFile(work, info, path)
  }
  await forEachParallel(items, copy, { limit: COPIES_AT_ONCE, signal: store.signal })
}

async function copyFile(
  { argv, store, progress }: Work,
  info: FileInfo,
  to: string,
): Promise<void> {
  const condition = argv['no-clobber'] ? { ifNoneMatch: '*' as const } : {}
  await store.driver.copy(info.path, to, { signal: store.signal, ...condition })
  progress.add(info.size)
  progress.tick()
}

/** Files, and those directories that nothing below makes exist. */
async function* below({ driver, signal }: Store, root: string): AsyncGenerator<FileInfo> {
  const waiting = new Map<string, FileInfo>()
  const filled = new Set<string>()
  for await (const { directories } of driver.entriesBelow(root, { signal })) {
    // First all that the page tells: a directory may come before the one that it is in.
    for (const { path, entries } of directories) {
      if (entries.length > 0) filled.add(path)
      for (const entry of entries) {
        if (entry.isDir) waiting.set(entry.path, entry)
        else yield entry
      }
    }
    for (const { path, isComplete } of directories) {
      const directory = waiting.get(path)
      if (!isComplete || directory === undefined) continue
      if (!filled.has(path)) yield directory
      waiting.delete(path)
      filled.delete(path)
    }
  }
  for (const [path, directory] of waiting) if (!filled.has(path)) yield directory
}
