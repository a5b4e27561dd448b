/** `bosmount cat`: the content of files on standard output. */
import { addPathOptions, command, forEachPath, matches } from '../command.js'
import type { PathArguments } from '../command.js'
import { CommandError, EXIT } from '../errors.js'
import { write } from '../output.js'
import { Progress } from '../progress.js'
import { showProgress, addProgressOption } from '../progress-option.js'
import type { Store } from '../store.js'
import { parseBytes } from '../../util/units.js'
import type { Bytes } from '../../util/units.js'

interface CatArguments extends PathArguments {
  readonly offset: string | undefined
  readonly length: string | undefined
  readonly progress: boolean | undefined
}

export const catCommand = command<CatArguments>({
  command: 'cat <paths..>',
  describe: 'Print files to standard output',
  builder: yargs =>
    addProgressOption(addPathOptions(yargs))
      .option('offset', {
        type: 'string',
        requiresArg: true,
        describe: 'begin at this byte of each file; a size such as 1m',
        defaultDescription: '0',
      })
      .option('length', {
        type: 'string',
        requiresArg: true,
        describe: 'so many bytes of each file at most',
        defaultDescription: 'to the end',
      }),
  handler: async argv => {
    const range = {
      ...bytesOption('offset', argv.offset),
      ...bytesOption('length', argv.length),
    }
    // A bar across what is being read would spoil both.
    const show = showProgress(argv.progress) && !process.stdout.isTTY
    const progress = new Progress({ title: 'cat', show })
    try {
      await forEachPath(argv, 'cat: name a file', async (store, operand) => {
        for await (const { path, isDir } of matches(store, operand, argv.literal)) {
          if (isDir) throw new CommandError(`${operand.text}: is a directory`)
          await print(store, path, { ...range, progress })
        }
      })
    } finally {
      progress.end()
    }
  },
})

interface PrintOptions {
  readonly offset?: Bytes
  readonly length?: Bytes
  readonly progress: Progress
}

async function print(store: Store, path: string, options: PrintOptions): Promise<void> {
  const { signal, driver } = store
  const { progress, offset, length } = options
  const range = {
    ...(offset === undefined ? {} : { offset }),
    ...(length === undefined ? {} : { length }),
  }
  const { stream, size } = await driver.reader(path, { signal, ...range })
  progress.expect({ bytes: Math.min(size - (offset ?? 0), length ?? Infinity) })
  for await (const chunk of stream) {
    const bytes = chunk as Uint8Array
    await write(bytes, signal)
    progress.add(bytes.length)
  }
}

function bytesOption<K extends string>(name: K, text: string | undefined): { [key in K]?: Bytes } {
  if (text === undefined) return {}
  const value = parseBytes(text)
  if (value === undefined) {
    throw new CommandError(`--${name}: '${text}' is not a size such as 4096 or 1m`, EXIT.usage)
  }
  return { [name]: value } as { [key in K]?: Bytes }
}
