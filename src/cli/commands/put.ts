/** `bosmount put`: local files, folders or standard input into a bucket. */
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { addAbortSignal } from 'node:stream'
import type { Readable } from 'node:stream'
import { PreconditionError } from '../../driver/errors.js'
import { childPath } from '../../driver/path.js'
import { forEachParallel } from '../../util/semaphore.js'
import { MiB } from '../../util/units.js'
import type { Bytes } from '../../util/units.js'
import {
  addPathOptions,
  arrival,
  command,
  destinationOf,
  withOperands,
  written,
} from '../command.js'
import type { Destination, PathArguments } from '../command.js'
import { CommandError, EXIT, explain } from '../errors.js'
import type { Location } from '../files/location.js'
import { STANDARD_INPUT } from '../files/standard-input.js'
import { upload } from '../files/upload.js'
import { Progress } from '../progress.js'
import { addProgressOption, showProgress } from '../progress-option.js'
import type { Store } from '../store.js'

interface PutArguments extends PathArguments {
  readonly recursive: boolean
  readonly 'no-clobber': boolean
  readonly progress: boolean | undefined
}

/** Files at once; each of them has parts at once of its own. */
const FILES_AT_ONCE = 4

export const putCommand = command<PutArguments>({
  command: 'put <paths..>',
  describe: 'Store local files, or - for standard input',
  builder: yargs =>
    addProgressOption(addPathOptions(yargs))
      .usage('$0 put FILE… PATH')
      .usage('$0 put - PATH')
      .option('recursive', {
        alias: ['r', 'R'],
        type: 'boolean',
        default: false,
        describe: 'folders too, with all that is in them',
      })
      .option('no-clobber', {
        alias: 'n',
        type: 'boolean',
        default: false,
        describe: 'fail instead of replacing what is there',
      }),
  handler: async argv => {
    const target = argv.paths.at(-1)
    const sources = argv.paths.slice(0, -1)
    if (target === undefined || sources.length === 0) {
      throw new CommandError('put: name what to store, and where', EXIT.usage)
    }
    await withOperands(argv, [target], async (store, [operand]) => {
      if (operand === undefined) return
      const destination = await destinationOf(store, operand, sources.length)
      if (destination.isDirectory && sources.includes(STANDARD_INPUT)) {
        throw new CommandError(`put: '-' has no name: ${target} must name a file`, EXIT.usage)
      }
      const files: Source[] = []
      for (const source of sources) files.push(...(await collect(source, destination, argv)))
      await putAll(files, { store, argv, location: operand.location })
    })
  },
})

interface Source {
  /** STANDARD_INPUT, or a local file. */
  readonly file: string
  readonly path: string
  readonly size?: Bytes
}

async function collect(
  file: string,
  destination: Destination,
  { recursive }: PutArguments,
): Promise<Source[]> {
  if (file === STANDARD_INPUT) return [{ file, path: destination.path }]
  const stats = await stat(file)
  const path = arrival(destination, basename(file))
  if (!stats.isDirectory()) return [{ file, path, size: stats.size }]
  if (!recursive) throw new CommandError(`${file}: is a directory (add -r)`, EXIT.usage)
  return await collectFolder(file, path)
}

async function collectFolder(folder: string, path: string): Promise<Source[]> {
  const found: Source[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const file = join(folder, entry.name)
    const child = childPath(path, entry.name)
    if (entry.isDirectory()) found.push(...(await collectFolder(file, child)))
    else if (entry.isFile()) found.push({ file, path: child, size: (await stat(file)).size })
    else process.stderr.write(`bosmount: ${file}: neither a file nor a directory, left out\n`)
  }
  return found
}

interface Work {
  readonly store: Store
  readonly argv: PutArguments
  /** Where to. */
  readonly location: Location
}

async function putAll(files: readonly Source[], { store, argv, location }: Work): Promise<void> {
  const sizes = files.map(({ size }) => size)
  const isKnown = sizes.every(size => size !== undefined)
  const progress = new Progress({
    title: 'put',
    show: showProgress(argv.progress),
    ...(isKnown ? { total: sizes.reduce<Bytes>((sum, size) => sum + (size ?? 0), 0) } : {}),
    ...(files.length > 1 ? { things: files.length } : {}),
  })
  const condition = argv['no-clobber'] ? { ifNoneMatch: '*' as const } : {}
  const putOne = async ({ file, path }: Source, signal: AbortSignal): Promise<void> => {
    try {
      const onBytes = (bytes: Bytes): void => progress.add(bytes)
      await upload(store.driver, path, open(file, signal), { signal, onBytes, ...condition })
      progress.tick()
    } catch (error) {
      if (signal.aborted) throw error
      const reason = error instanceof PreconditionError ? 'exists already' : explain(error)
      throw new CommandError(`${written(path, location)}: ${reason}`)
    }
  }
  try {
    await forEachParallel(files, putOne, { limit: FILES_AT_ONCE, signal: store.signal })
  } finally {
    progress.end()
  }
}

function open(file: string, signal: AbortSignal): Readable {
  const stream =
    file === STANDARD_INPUT ? process.stdin : createReadStream(file, { highWaterMark: MiB })
  return addAbortSignal(signal, stream)
}
