/** A bucket for the length of one command, without a mount: the real one, or `--embedded DIR`. */
import { access } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Argv } from 'yargs'
import { ConfigError, inspectConfig } from '../config.js'
import type { Inspection, MountConfig } from '../config.js'
import type { StorageDriver } from '../driver/driver.js'
import { ParameterError, parseBosParameters } from '../driver/parameters.js'
import type { BosParameters } from '../driver/parameters.js'
import { EMBEDDED_BUCKET, openEmbedded } from '../embedded.js'
import type { Embedded } from '../embedded.js'
import { readConfigFile } from './config-file.js'
import { CommandError, EXIT } from './errors.js'
import { interruptible } from './interrupt.js'
import { createLogger } from './logger.js'
import { addConfigOptions } from './option-flags.js'
import type { Logger } from '../util/log.js'
import { usableMemory } from '../util/memory.js'
import { UNKNOWN_FLAGS } from './unknown-flags.js'

/** The flags of `addStoreOptions`. */
export interface StoreArguments {
  readonly config: string | undefined
  readonly embedded: string | undefined
  readonly [flag: string]: unknown
}

export interface Store {
  readonly driver: StorageDriver
  readonly bucket: string
  readonly parameters: BosParameters
  readonly config: MountConfig
  readonly log: Logger
  /** Aborted by Ctrl-C, or when nobody reads the output any more. */
  readonly signal: AbortSignal
}

/** How to reach a bucket: the options of the table's group BOS, and where else they come from. */
export function addStoreOptions<T>(yargs: Argv<T>): Argv<T> {
  return addConfigOptions(yargs, ['BOS'])
    .option('config', {
      type: 'string',
      requiresArg: true,
      describe: "YAML file of options, or a registry's own config.yml",
      group: 'BOS:',
    })
    .option('embedded', {
      type: 'string',
      requiresArg: true,
      describe: 'work on the data of an embedded server, in this directory, while none runs there',
      group: 'BOS:',
    }) as Argv<T>
}

export interface OpenOptions {
  /** A bucket, and root within it, that were named on the command line. */
  readonly bucket?: string | undefined
  readonly rootdirectory?: string | undefined
}

/** Opens the bucket, does the work, and closes everything. */
export async function withStore<T>(
  argv: StoreArguments,
  options: OpenOptions,
  work: (store: Store) => Promise<T>,
): Promise<T> {
  return await interruptible(async signal => {
    const { bucket, rootdirectory } = options
    const named = {
      ...(bucket === undefined ? {} : { bucket }),
      ...(rootdirectory === undefined ? {} : { rootdirectory }),
    }
    const inspection = await inspectArguments(argv, named)
    const { embedded: directory } = argv
    checkConfig(inspection, directory !== undefined)
    const log = createLogger({ level: quiet(inspection), format: inspection.config.logFormat })
    const embedded =
      directory === undefined ? undefined : await openExisting(directory, inspection, log)
    let driver: StorageDriver | undefined
    try {
      const parameters = parseBosParameters({ ...inspection.config.bos, ...embedded?.parameters })
      // Loaded by those commands alone that speak with BOS.
      const { openBosDriver } = await import('../driver/bos/driver.js')
      driver = await openBosDriver(parameters, { log, signal })
      const { config } = inspection
      return await work({ driver, signal, parameters, config, log, bucket: parameters.bucket })
    } finally {
      await driver?.close()
      await embedded?.close()
    }
  })
}

/** What all sources say, mistakes included. */
export async function inspectArguments(
  argv: StoreArguments,
  named: Readonly<Record<string, unknown>> = {},
  mountOptions: readonly string[] = [],
): Promise<Inspection> {
  const inspection = inspectConfig({
    flags: { ...argv, ...named },
    mountOptions,
    environment: process.env,
    memory: usableMemory(),
    ...(argv.config === undefined ? {} : { file: await readConfigFile(argv.config) }),
    ...(argv.embedded === undefined ? await commonCredentials() : {}),
  })
  const unknown = (argv[UNKNOWN_FLAGS] ?? []) as readonly string[]
  return { ...inspection, mistakes: [...unknown, ...inspection.mistakes] }
}

/**
 * The mistakes that the table knows, and those that only the driver knows, each with its source.
 *
 * @throws ConfigError with all of them
 */
export function checkConfig(inspection: Inspection, isEmbedded: boolean): MountConfig {
  const mistakes = [...inspection.mistakes, ...parameterMistakes(inspection, isEmbedded)]
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return inspection.config
}

/** What an embedded server will set, so that the rest can be checked before it runs. */
const SET_BY_EMBEDDED = {
  accesskeyid: 'set-later',
  accesskeysecret: 'set-later',
  region: 'bj',
  endpoint: 'http://127.0.0.1',
  secure: false,
}

/** What the driver says against the parameters. */
export function parameterMistakes(
  { config, given }: Inspection,
  isEmbedded: boolean,
): readonly string[] {
  const embedded = { bucket: EMBEDDED_BUCKET, ...config.bos, ...SET_BY_EMBEDDED }
  try {
    parseBosParameters(isEmbedded ? embedded : config.bos)
    return []
  } catch (error) {
    if (!(error instanceof ParameterError)) throw error
    return error.mistakes.map(mistake => {
      const source = given.get(/^(?:parameter "?)?(\w+)/.exec(mistake)?.[1] ?? '')?.source
      return source === undefined ? mistake : `${mistake} (${source})`
    })
  }
}

/** Warnings that a server writes about itself are not for whoever lists a directory. */
function quiet({ config, given }: Inspection): MountConfig['logLevel'] {
  return given.has('log-level') ? config.logLevel : 'warn'
}

async function openExisting(
  directory: string,
  { config }: Inspection,
  log: ReturnType<typeof createLogger>,
): Promise<Embedded> {
  const path = resolve(directory)
  try {
    await access(join(path, 'format.json'))
  } catch (cause) {
    throw new CommandError(
      `--embedded: ${path} has no data of an embedded server; mount --embedded or serve makes it`,
      EXIT.usage,
      { cause },
    )
  }
  return await openEmbedded({ directory: path, bos: config.bos, log })
}

/** The file of Baidu's CLI, if this user has one. */
async function commonCredentials(): Promise<{ credentialsFile?: string }> {
  const file = join(homedir(), '.go-bcecli', 'credentials')
  try {
    await access(file)
    return { credentialsFile: file }
  } catch {
    return {}
  }
}
