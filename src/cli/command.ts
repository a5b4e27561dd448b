/** What the commands on a bucket have in common. */
import type { Argv, CommandModule } from 'yargs'
import type { FileInfo, StorageDriver } from '../driver/driver.js'
import { PathNotFoundError } from '../driver/errors.js'
import { baseName, childPath } from '../driver/path.js'
import { CommandError, EXIT, explain } from './errors.js'
import { expand, isPattern } from './files/glob.js'
import { commonBucket, parseLocation } from './files/location.js'
import type { Location } from './files/location.js'
import { InterruptError } from './interrupt.js'
import { addStoreOptions, withStore } from './store.js'
import type { Store, StoreArguments } from './store.js'

export interface CommandSpec<A> {
  readonly command: string
  readonly aliases?: readonly string[]
  readonly describe: string
  readonly builder: (yargs: Argv) => Argv<object>
  readonly handler: (argv: A) => Promise<void>
}

/** yargs infers the arguments from the builder; here they are what the command says they are. */
export function command<A>(spec: CommandSpec<A>): CommandModule {
  return spec as unknown as CommandModule
}

export interface PathArguments extends StoreArguments {
  readonly paths: readonly string[]
  readonly literal: boolean
}

const PATH_HELP =
  'A path is BUCKET/PATH from the top of a bucket, or /PATH below the configured bucket and\n' +
  'rootdirectory. Patterns (quote them): * ? [a-z] within a name, ** for directories of any depth.'

/** The flags of commands that work on paths. */
export function addPathOptions<T>(yargs: Argv<T>): Argv<T> {
  return addStoreOptions(
    yargs.positional('paths', { type: 'string', array: true, default: [] as string[] }),
  )
    .option('literal', {
      type: 'boolean',
      default: false,
      describe: 'take * ? [ and \\ in paths as they are',
    })
    .epilogue(PATH_HELP) as Argv<T>
}

/** A path of the command line and where it lies. */
export interface Operand {
  readonly text: string
  readonly location: Location
}

/** Opens the bucket that all operands are in. */
export async function withOperands(
  argv: StoreArguments,
  texts: readonly string[],
  work: (store: Store, operands: readonly Operand[]) => Promise<void>,
): Promise<void> {
  const operands = texts.map(text => ({ text, location: parseLocation(text) }))
  const bucket = commonBucket(operands.map(({ location }) => location))
  const options = bucket === undefined ? {} : { bucket, rootdirectory: '' }
  await withStore(argv, options, store => work(store, operands))
}

/** A path of the store as the user would have to write it, given how an operand was written. */
export function written(path: string, { bucket }: Location): string {
  return bucket === undefined ? path : `${bucket}${path === '/' ? '' : path}`
}

/** What an operand names. @throws CommandError if that is nothing, or no directory though it should be */
export async function* matches(
  { driver, signal }: Store,
  { text, location }: Operand,
  literal: boolean,
): AsyncGenerator<FileInfo> {
  const { path, isDirectory } = location
  let found = false
  const infos = literal ? [await statOf(driver, path, signal)] : expand(driver, path, signal)
  for await (const info of infos) {
    if (isDirectory && !info.isDir) {
      if (isPattern(path) && !literal) continue
      throw new CommandError(`${text}: not a directory`)
    }
    found = true
    yield info
  }
  if (!found) throw new CommandError(`${text}: nothing matches`)
}

async function statOf(driver: StorageDriver, path: string, signal: AbortSignal): Promise<FileInfo> {
  return await driver.stat(path, { signal })
}

/**
 * Does something for each operand; one that fails is told, and the others are still done.
 *
 * @throws CommandError if any has failed
 */
export async function forEachOperand<T>(
  operands: readonly T[],
  title: (operand: T) => string,
  work: (operand: T) => Promise<void>,
): Promise<void> {
  const failures: string[] = []
  for (const operand of operands) {
    try {
      await work(operand)
    } catch (error) {
      if (error instanceof InterruptError) throw error
      failures.push(tell(title(operand), error))
    }
  }
  if (failures.length > 0) throw new CommandError(failures.join('\n'))
}

/**
 * Works on each path of a command line, in the bucket that all are in.
 *
 * @param missing  what is said if there is none
 * @throws CommandError if there is none, or if the work on any has failed
 */
export async function forEachPath(
  argv: PathArguments,
  missing: string,
  work: (store: Store, operand: Operand) => Promise<void>,
): Promise<void> {
  if (argv.paths.length === 0) throw new CommandError(missing, EXIT.usage)
  await withOperands(argv, argv.paths, async (store, operands) => {
    await forEachOperand(
      operands,
      ({ text }) => text,
      operand => work(store, operand),
    )
  })
}

/** The message of an error about a path, which names the path once. */
function tell(text: string, error: unknown): string {
  if (error instanceof PathNotFoundError) return `${text}: no such file or directory`
  const message = explain(error)
  return message.startsWith(text) ? message : `${text}: ${message}`
}

/**
 * Where a source goes: into the destination if that is a directory, else there itself, as cp(1) and
 * mv(1) have it.
 */
export interface Destination {
  readonly path: string
  readonly isDirectory: boolean
}

/** @throws CommandError if several sources shall go to what is no directory */
export async function destinationOf(
  { driver, signal }: Store,
  { text, location }: Operand,
  sources: number,
): Promise<Destination> {
  const { path } = location
  const isDirectory = path === '/' || (await isExistingDirectory(driver, path, signal))
  if (!isDirectory && !location.isDirectory && sources > 1) {
    throw new CommandError(`${text}: not a directory`, EXIT.usage)
  }
  return { path, isDirectory: isDirectory || location.isDirectory }
}

/** The path at which something of this name arrives. */
export function arrival({ path, isDirectory }: Destination, name: string): string {
  return isDirectory ? childPath(path, baseName(name)) : path
}

async function isExistingDirectory(
  driver: StorageDriver,
  path: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return (await driver.stat(path, { signal })).isDir
  } catch (error) {
    if (error instanceof PathNotFoundError) return false
    throw error
  }
}
