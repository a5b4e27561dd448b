/** What the commands on a registry's tree have in common. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Argv } from 'yargs'
import { RegistryStore, WHOLE } from '../../../registry/layout.js'
import type { Shard } from '../../../registry/layout.js'
import type { BrokenManifest } from '../../../registry/references.js'
import { CommandError, EXIT } from '../../errors.js'
import { parseLocation } from '../../files/location.js'
import { addProgressOption } from '../../progress-option.js'
import { addStoreOptions, withStore } from '../../store.js'
import { makeDirectories } from '../../../util/directories.js'
import type { Store, StoreArguments } from '../../store.js'

export interface RegistryArguments extends StoreArguments {
  readonly source: string | undefined
  readonly json: boolean
  readonly progress: boolean | undefined
}

export interface LongArguments extends RegistryArguments {
  readonly shard: string | undefined
  readonly state: string | undefined
  readonly concurrency: string
}

export function addRegistryOptions<T>(yargs: Argv<T>): Argv<T> {
  return addProgressOption(
    addStoreOptions(
      yargs.positional('source', {
        type: 'string',
        describe: 'BUCKET[/ROOTDIRECTORY] of the registry, or /ROOTDIRECTORY',
      }),
    ).option('json', { type: 'boolean', default: false, describe: 'as JSON, one object per line' }),
  ) as Argv<T>
}

/** The flags of what may take hours. */
export function addLongOptions<T>(yargs: Argv<T>): Argv<T> {
  return addRegistryOptions(yargs)
    .option('shard', {
      type: 'string',
      requiresArg: true,
      describe: 'I/N: only the I-th of N parts of all blobs, so that N hosts share the work',
      defaultDescription: '1/1',
    })
    .option('state', {
      type: 'string',
      requiresArg: true,
      describe: 'folder that remembers what is done; run again with it to go on',
      defaultDescription: 'none',
    })
    .option('concurrency', {
      type: 'string',
      requiresArg: true,
      default: '8',
      describe: 'how much is done at once',
    }) as Argv<T>
}

/** Opens the bucket and finds the registry in it. */
export async function withRegistry(
  argv: RegistryArguments,
  work: (registry: RegistryStore, store: Store) => Promise<void>,
): Promise<void> {
  const location = parseLocation(argv.source ?? '/')
  const { bucket, path } = location
  const options = bucket === undefined ? {} : { bucket, rootdirectory: '' }
  await withStore(argv, options, async store => {
    const registry = new RegistryStore(store.driver, { root: path, signal: store.signal })
    if (!(await registry.exists())) {
      throw new CommandError(
        `${argv.source ?? store.bucket}: no registry is here: there is no docker/registry/v2 below it`,
      )
    }
    await work(registry, store)
  })
}

/** Reads `I/N`. */
export function parseShard(text: string | undefined): Shard {
  if (text === undefined) return WHOLE
  const [, index, count] = /^(\d{1,3})\/(\d{1,3})$/.exec(text) ?? []
  const shard = { index: Number(index), count: Number(count) }
  if (shard.index >= 1 && shard.index <= shard.count && shard.count <= 256) return shard
  throw new CommandError(`--shard: '${text}' is not I/N such as 1/4, N at most 256`, EXIT.usage)
}

export function parseConcurrency(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 1 && value <= 256) return value
  throw new CommandError(`--concurrency: '${text}' is not a number from 1 to 256`, EXIT.usage)
}

/** The folder of --state, or one that goes away afterwards. */
export async function withStateFolder(
  state: string | undefined,
  work: (folder: string) => Promise<void>,
): Promise<void> {
  if (state !== undefined) {
    const folder = resolve(state)
    makeDirectories(folder, 0o700)
    await work(folder)
    return
  }
  const folder = await mkdtemp(join(tmpdir(), 'bosmount-registry-'))
  try {
    await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Tells of manifests that cannot be used, on standard error. */
export function warnOf(broken: readonly BrokenManifest[]): void {
  for (const { repository, digest, problem } of broken) {
    process.stderr.write(`bosmount: ${repository}: manifest ${digest}: ${problem}\n`)
  }
}
