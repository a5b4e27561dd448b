/** `bosmount du`: how much is stored below directories. */
import { comparePaths, isBelow } from '../../driver/path.js'
import { scan } from '../../driver/scan.js'
import { formatBytes } from '../../util/units.js'
import type { Bytes } from '../../util/units.js'
import {
  addPathOptions,
  command,
  forEachOperand,
  matches,
  withOperands,
  written,
} from '../command.js'
import type { Operand, PathArguments } from '../command.js'
import { CommandError, EXIT } from '../errors.js'
import { Lines, printable } from '../output.js'
import { Progress } from '../progress.js'
import { addProgressOption, showProgress } from '../progress-option.js'
import type { Store } from '../store.js'

interface DuArguments extends PathArguments {
  readonly 'max-depth': string
  readonly summarize: boolean
  readonly human: boolean
  readonly json: boolean
  readonly progress: boolean | undefined
}

export const duCommand = command<DuArguments>({
  command: 'du [paths..]',
  describe: 'Add up the sizes of what is below directories',
  builder: yargs =>
    addProgressOption(addPathOptions(yargs))
      .option('max-depth', {
        alias: 'd',
        type: 'string',
        requiresArg: true,
        default: '1',
        describe: 'show directories so many levels below',
      })
      .option('summarize', {
        alias: 's',
        type: 'boolean',
        default: false,
        describe: 'only the sum, as --max-depth 0',
      })
      .option('human', { alias: 'H', type: 'boolean', default: false, describe: 'with units' })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'one JSON object per line: path, bytes, files',
      }),
  handler: async argv => {
    const depth = argv.summarize ? 0 : Number(argv['max-depth'])
    if (!Number.isSafeInteger(depth) || depth < 0) {
      throw new CommandError(`--max-depth: '${argv['max-depth']}' is not a number`, EXIT.usage)
    }
    const texts = argv.paths.length === 0 ? ['/'] : argv.paths
    const show = showProgress(argv.progress)
    await withOperands(argv, texts, async (store, operands) => {
      const progress = new Progress({ title: 'files', show })
      try {
        await forEachOperand(
          operands,
          ({ text }) => text,
          operand => sumOperand({ argv, depth, store, progress }, operand),
        )
      } finally {
        progress.end()
      }
    })
  },
})

interface Sum {
  bytes: Bytes
  files: number
}

interface Work {
  readonly argv: DuArguments
  readonly depth: number
  readonly store: Store
  readonly progress: Progress
}

async function sumOperand(work: Work, operand: Operand): Promise<void> {
  const { argv, store, progress } = work
  const lines = new Lines(store.signal)
  for await (const info of matches(store, operand, argv.literal)) {
    const sums = info.isDir
      ? await sumsBelow(work, info.path)
      : new Map([[info.path, { bytes: info.size, files: 1 }]])
    progress.end()
    for (const [path, { bytes, files }] of [...sums].sort(childrenFirst)) {
      if (argv.json) await lines.addJson({ path, bytes, files })
      else {
        const amount = argv.human ? formatBytes(bytes) : String(bytes)
        await lines.add(`${amount}\t${printable(written(path, operand.location))}`)
      }
    }
  }
  await lines.flush()
}

/** As du(1) has it: what is within comes before what it is within. */
function childrenFirst([a]: [string, unknown], [b]: [string, unknown]): number {
  if (isBelow(a, b)) return -1
  return isBelow(b, a) ? 1 : comparePaths(a, b)
}

/** Memory: one sum for each directory that is shown. */
async function sumsBelow(
  { depth, store, progress }: Work,
  root: string,
): Promise<Map<string, Sum>> {
  const sums = new Map<string, Sum>([[root, { bytes: 0, files: 0 }]])
  const rootDepth = root === '/' ? 0 : root.split('/').length - 1
  for await (const page of scan(store.driver, root, { signal: store.signal })) {
    for (const { path, size, isDir } of page) {
      const components = path.split('/')
      const last = isDir ? components.length : components.length - 1
      for (let level = rootDepth + 1; level <= Math.min(last, rootDepth + depth + 1); level += 1) {
        const at = level === rootDepth + 1 ? root : components.slice(0, level).join('/')
        const sum = sums.get(at) ?? { bytes: 0, files: 0 }
        sums.set(at, sum)
        if (isDir) continue
        sum.bytes += size
        sum.files += 1
      }
      if (!isDir) progress.tick()
    }
  }
  return sums
}
