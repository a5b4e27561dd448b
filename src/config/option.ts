/** What an option is, how its values are read from text, and what is said of values that are wrong. */
import { nearest } from '../util/nearest.js'
import { parseBytes, parseDuration } from '../util/units.js'

export type OptionType = 'text' | 'bytes' | 'duration' | 'boolean' | 'octal' | 'integer'

export interface Option {
  /** As a flag; with underscores for hyphens it is the `-o` and YAML name. */
  readonly name: string
  readonly type: OptionType
  readonly group: 'BOS' | 'Mount' | 'Cache' | 'Logging'
  /** What is shown as the default. */
  readonly fallback: string
  readonly help: string
  /** Environment variables, strongest first. */
  readonly environment: readonly string[]
  readonly secret?: boolean
  readonly choices?: readonly string[]
  /** Further names as a flag. */
  readonly aliases?: readonly string[]
}

/** A parameter of the storage driver, under the name that a registry's configuration has for it. */
export function bos(
  name: string,
  rest: Omit<Option, 'name' | 'group' | 'environment'>,
  more: string[] = [],
): Option {
  const environment = [`REGISTRY_STORAGE_BOS_${name.toUpperCase()}`, ...more]
  return { name, group: 'BOS', environment, ...rest }
}

/** An option of the mount. */
export function own(name: string, rest: Omit<Option, 'name' | 'environment'>): Option {
  return { name, environment: [`BOSMOUNT_${name.toUpperCase().replaceAll('-', '_')}`], ...rest }
}

/** The configuration is wrong; the message has one line per mistake. */
export class ConfigError extends Error {
  readonly code = 'CONFIG'
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    super(`invalid configuration:\n${mistakes.map(mistake => `  ${mistake}`).join('\n')}`)
    this.name = 'ConfigError'
    this.mistakes = mistakes
  }
}

/** The largest uid or gid: the next number, (uid_t)-1, means none (chown(2)). */
const MAX_ID = 2 ** 32 - 2

/** The option of this name, written with hyphens or underscores. */
export function findOption(options: readonly Option[], key: string): Option | undefined {
  const name = key.replaceAll('_', '-')
  return options.find(option => option.name === name || option.aliases?.includes(name) === true)
}

/** What is said of a name that no option has. */
export function unknownOption(options: readonly Option[], key: string): string {
  const names = options.flatMap(({ name, aliases = [] }) => [name, ...aliases])
  const near = nearest(key.replaceAll('_', '-'), names)
  return `unknown option '${key}'` + (near === undefined ? '' : `; did you mean '${near}'?`)
}

/** Why a secret was not taken from the command line, and where to put it. */
export function refuseSecret(option: Option): string {
  const variable = option.environment.at(-1) ?? ''
  return (
    `${option.name}: not taken from the command line, where everybody can read it; ` +
    `set the environment variable ${variable} or use --config FILE`
  )
}

/** @returns undefined for what is no value of this option */
export function convert(option: Option, value: unknown): unknown {
  const text = String(value).trim()
  switch (option.type) {
    case 'text':
      return option.choices === undefined || option.choices.includes(text) ? text : undefined
    case 'bytes':
      return parseBytes(text)
    case 'duration':
      return parseDuration(text)
    case 'boolean':
      if (/^(true|yes|on|1)$/i.test(text)) return true
      return /^(false|no|off|0)$/i.test(text) ? false : undefined
    case 'octal':
      return /^0?o?[0-7]{1,4}$/.test(text)
        ? Number.parseInt(text.replace(/^0?o/, ''), 8)
        : undefined
    case 'integer':
      return /^\d{1,10}$/.test(text) && Number(text) <= MAX_ID ? Number(text) : undefined
    default:
      return undefined
  }
}

/** What values the option takes, as a noun. */
export function describe({ type, choices }: Option): string {
  if (choices !== undefined) return `one of ${choices.join(', ')}`
  const descriptions: Readonly<Record<OptionType, string>> = {
    text: 'a text',
    bytes: 'a size such as 64m or 1GiB',
    duration: 'a time such as 500ms, 1s or 5m',
    boolean: 'true or false',
    octal: 'an octal mode such as 0644',
    integer: 'a whole number',
  }
  return descriptions[type]
}
