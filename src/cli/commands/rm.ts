/** `bosmount rm`: removes files, and directories with all that is below if that is asked for. */
import { PathNotFoundError } from '../../driver/errors.js'
import type { FileInfo } from '../../driver/driver.js'
import { scan } from '../../driver/scan.js'
import { addPathOptions, command, forEachPath, matches, written } from '../command.js'
import type { Operand, PathArguments } from '../command.js'
import { CommandError } from '../errors.js'
import { Lines, printable } from '../output.js'
import { Progress } from '../progress.js'
import { addProgressOption, showProgress } from '../progress-option.js'
import type { Store } from '../store.js'

interface RmArguments extends PathArguments {
  readonly recursive: boolean
  readonly force: boolean
  readonly 'dry-run': boolean
  readonly progress: boolean | undefined
}

export const rmCommand = command<RmArguments>({
  command: 'rm <paths..>',
  aliases: ['delete'],
  describe: 'Delete files',
  builder: yargs =>
    addProgressOption(addPathOptions(yargs))
      .option('recursive', {
        alias: ['r', 'R'],
        type: 'boolean',
        default: false,
        describe: 'directories too, with all that is in them',
      })
      .option('force', {
        alias: 'f',
        type: 'boolean',
        default: false,
        describe: 'what is not there is no error',
      })
      .option('dry-run', {
        type: 'boolean',
        default: false,
        describe: 'only tell what would be deleted',
      }),
  handler: async argv => {
    const progress = new Progress({ title: 'deleted', show: showProgress(argv.progress) })
    try {
      await forEachPath(argv, 'rm: name what to delete', (store, operand) =>
        removeOperand({ argv, store, progress }, operand),
      )
    } finally {
      progress.end()
    }
  },
})

interface Work {
  readonly argv: RmArguments
  readonly store: Store
  readonly progress: Progress
}

async function removeOperand(work: Work, operand: Operand): Promise<void> {
  const { argv, store } = work
  const found: FileInfo[] = []
  try {
    for await (const info of matches(store, operand, argv.literal)) found.push(info)
  } catch (error) {
    const isAbsent = error instanceof PathNotFoundError || error instanceof CommandError
    if (!argv.force || !isAbsent) throw error
  }
  const { text } = operand
  for (const info of found) {
    if (info.path === '/')
      throw new CommandError(`${text}: the root cannot be deleted; try ${text}/*`)
    const shown = written(info.path, operand.location)
    if (info.isDir && !argv.recursive) {
      throw new CommandError(`${shown}: is a directory (add -r)`)
    }
    if (argv['dry-run']) await tellWhat(store, info, operand)
    else await remove(work, info)
  }
}

async function remove({ argv, store, progress }: Work, info: FileInfo): Promise<void> {
  const { driver, signal } = store
  try {
    await driver.delete(info.path, { signal, onDeleted: objects => progress.tick(objects) })
  } catch (error) {
    // A pattern such as ** has named it and the directory it was in.
    if (!argv.force && !(error instanceof PathNotFoundError)) throw error
  }
}

async function tellWhat(store: Store, info: FileInfo, { location }: Operand): Promise<void> {
  const lines = new Lines(store.signal)
  if (!info.isDir) await lines.add(printable(written(info.path, location)))
  else {
    for await (const page of scan(store.driver, info.path, { signal: store.signal })) {
      for (const { path, isDir } of page) {
        if (!isDir) await lines.add(printable(written(path, location)))
      }
    }
    await lines.add(`${printable(written(info.path, location))}/`)
  }
  await lines.flush()
}
