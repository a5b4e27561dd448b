/** `bosmount config`: what a mount with these arguments would use, and where each value comes from. */
import { ConfigError, OPTIONS } from '../../config.js'
import type { Inspection, Option } from '../../config.js'
import { convert } from '../../config/option.js'
import { parseBosParameters } from '../../driver/parameters.js'
import { Secret } from '../../util/secret.js'
import { formatBytes } from '../../util/units.js'
import { command } from '../command.js'
import { addMountOptions, namedSource } from '../mount-flags.js'
import { collectUnknownFlags } from '../unknown-flags.js'
import { write } from '../output.js'
import { inspectArguments, parameterMistakes } from '../store.js'
import type { StoreArguments } from '../store.js'

interface ConfigArguments extends StoreArguments {
  readonly source: string | undefined
  readonly o: readonly string[]
  readonly json: boolean
}

export const configCommand = command<ConfigArguments>({
  command: 'config [source]',
  describe: 'Show all settings, where each comes from, and what is wrong with them',
  builder: yargs =>
    collectUnknownFlags(
      addMountOptions(
        yargs
          .usage('$0 config [BUCKET[/ROOTDIRECTORY]] [options as of mount]')
          .positional('source', { type: 'string', describe: 'as of mount' }),
      ).option('json', { type: 'boolean', default: false, describe: 'as one JSON object' }),
      ['source'],
    ),
  handler: async argv => {
    const inspection = await inspectArguments(argv, namedSource(argv.source), argv.o)
    const settings = effective(inspection)
    await write(argv.json ? `${JSON.stringify(settings, null, 2)}\n` : table(settings))
    const isEmbedded = argv.embedded !== undefined
    const mistakes = [...inspection.mistakes, ...parameterMistakes(inspection, isEmbedded)]
    if (mistakes.length > 0) throw new ConfigError(mistakes)
  },
})

interface Setting {
  /** As it would be written, or a placeholder for a secret. */
  readonly value: string | null
  /** `default`, or where it was given. */
  readonly source: string
}

const MASK = '[secret]'

function effective(inspection: Inspection): Readonly<Record<string, Setting>> {
  const { uid, gid, cacheMemory, fileMode, directoryMode } = inspection.config
  // What has no fixed default.
  const parameters: Record<string, unknown> = {
    ...parametersOf(inspection),
    uid,
    gid,
    'cache-memory': cacheMemory,
    'file-mode': `0${fileMode.toString(8)}`,
    'dir-mode': `0${directoryMode.toString(8)}`,
  }
  const settings: Record<string, Setting> = {}
  for (const option of OPTIONS) {
    const given = inspection.given.get(option.name)
    const used = parameters[option.name]
    if (given !== undefined) {
      const value = shown(option, used ?? given.value)
      settings[option.name] = { value, source: given.source }
    } else {
      const value = used === undefined ? option.fallback : shown(option, used)
      settings[option.name] = { value, source: 'default' }
    }
  }
  return settings
}

/** As the driver understands them, e.g. the endpoint that a region stands for; nothing if they are wrong. */
function parametersOf({ config }: Inspection): Readonly<Record<string, unknown>> {
  try {
    return { ...parseBosParameters(config.bos) }
  } catch {
    return {}
  }
}

function shown(option: Option, value: unknown): string {
  if (option.secret === true || value instanceof Secret) return MASK
  const converted = convert(option, value) ?? value
  if (option.type === 'bytes' && typeof converted === 'number') return formatBytes(converted)
  if (option.type === 'duration' && typeof converted === 'number') {
    return `${(typeof value === 'number' ? value : converted) / 1000}s`
  }
  if (option.type === 'octal' && typeof converted === 'number') {
    return `0${converted.toString(8)}`
  }
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function table(settings: Readonly<Record<string, Setting>>): string {
  const entries = Object.entries(settings)
  const nameWidth = Math.max(...entries.map(([name]) => name.length))
  const valueWidth = Math.min(40, Math.max(...entries.map(([, { value }]) => (value ?? '').length)))
  return entries
    .map(
      ([name, { value, source }]) =>
        `${name.padEnd(nameWidth)}  ${(value ?? '').padEnd(valueWidth)}  ${source}\n`,
    )
    .join('')
}
