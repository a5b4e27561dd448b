/**
 * What each source says: flags, `-o`, environment, YAML. Each becomes a layer of values with the place
 * that they come from; config.ts decides which layer is stronger.
 */
import type { Bytes } from '../util/units.js'
import { mountOption } from './mount-options.js'
import { findOption, refuseSecret, unknownOption } from './option.js'
import type { Option } from './option.js'

export interface Sources {
  /** Flag values by option name. */
  readonly flags: Readonly<Record<string, unknown>>
  /** The text of each `-o`. */
  readonly mountOptions: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What the configuration file holds, and its name. */
  readonly file?: { readonly name: string; readonly content: unknown }
  /** Memory that this process may use; default 2 GiB. */
  readonly memory?: Bytes
  /** A file of credentials to use if no source has any. */
  readonly credentialsFile?: string
}

export interface Given {
  readonly value: unknown
  /** Where it was given, for messages. */
  readonly source: string
}

export type Layer = ReadonlyMap<string, Given>

export interface Gathered {
  /** The strongest first. */
  readonly layers: readonly Layer[]
  /** What only the driver can tell whether it is a parameter, such as those of the S3 driver. */
  readonly foreign: Readonly<Record<string, unknown>>
  /** Mount options for the kernel, as they were given. */
  readonly kernelOptions: readonly string[]
}

/** @param mistakes  what is wrong is added to it */
export function gather(options: readonly Option[], sources: Sources, mistakes: string[]): Gathered {
  const { given, kernelOptions } = fromMountOptions(options, sources.mountOptions, mistakes)
  const file = fromFile(options, sources.file, mistakes)
  return {
    layers: [
      fromFlags(options, sources.flags),
      given,
      fromEnvironment(options, sources.environment),
      file.given,
    ],
    foreign: file.foreign,
    kernelOptions,
  }
}

function fromFlags(options: readonly Option[], flags: Readonly<Record<string, unknown>>): Layer {
  const layer = new Map<string, Given>()
  for (const { name } of options) {
    const value = flags[name]
    if (value !== undefined) layer.set(name, { value, source: `--${name}` })
  }
  return layer
}

function fromEnvironment(options: readonly Option[], environment: Sources['environment']): Layer {
  const layer = new Map<string, Given>()
  for (const option of options) {
    for (const variable of option.environment) {
      const value = environment[variable]
      if (value === undefined || value === '' || layer.has(option.name)) continue
      layer.set(option.name, { value, source: `environment ${variable}` })
    }
  }
  return layer
}

function fromMountOptions(
  options: readonly Option[],
  texts: readonly string[],
  mistakes: string[],
): { readonly given: Layer; readonly kernelOptions: readonly string[] } {
  const given = new Map<string, Given>()
  const kernelOptions: string[] = []
  for (const text of texts.flatMap(each => each.split(',')).filter(each => each !== '')) {
    const [key = '', ...rest] = text.split('=')
    const value = rest.length === 0 ? true : rest.join('=')
    const meaning = mountOption(key, value)
    const option = findOption(options, key)
    if (meaning.kind === 'values') {
      for (const [name, each] of Object.entries(meaning.values)) {
        given.set(name, { value: each, source: `-o ${key}` })
      }
    } else if (meaning.kind === 'kernel') kernelOptions.push(text)
    else if (meaning.kind === 'mistake') mistakes.push(`-o: ${meaning.mistake}`)
    else if (meaning.kind === 'ignored') continue
    else if (option === undefined) mistakes.push(`-o: ${unknownOption(options, key)}`)
    else if (option.secret === true) mistakes.push(refuseSecret(option))
    else given.set(option.name, { value, source: `-o ${key}` })
  }
  return { given, kernelOptions }
}

/** What one file says. */
interface Said {
  readonly given: Layer
  readonly foreign: Readonly<Record<string, unknown>>
}

function fromFile(options: readonly Option[], file: Sources['file'], mistakes: string[]): Said {
  const layer = new Map<string, Given>()
  const foreign: Record<string, unknown> = {}
  const said: Said = { given: layer, foreign }
  if (file === undefined) return said
  const content = asRecord(file.content)
  if (content === undefined) {
    mistakes.push(`${file.name} does not hold a map of options`)
    return said
  }
  // A registry's own config.yml, as it is, or a file of our own with an optional section `bos`.
  const storage = asRecord(content['storage'])
  const isRegistry = storage !== undefined
  const bosSection: unknown = isRegistry ? storage['bos'] : content['bos']
  const section = asRecord(bosSection) ?? {}
  if (bosSection !== undefined && bosSection !== null && asRecord(bosSection) === undefined) {
    mistakes.push(`${file.name}: the section 'bos' is not a map of options`)
  }
  if (isRegistry && storage['bos'] === undefined) {
    mistakes.push(`${file.name} has a section 'storage' without 'bos'`)
  }
  const { bos: _section, ...rest } = content
  const own = Object.entries(isRegistry ? {} : rest)
  for (const [key, value] of [...own, ...Object.entries(section)]) {
    const option = findOption(options, key)
    if (option !== undefined) {
      if (value !== null) layer.set(option.name, { value, source: file.name })
    } else if (Object.hasOwn(section, key)) foreign[key] = value
    else mistakes.push(`${file.name}: ${unknownOption(options, key)}`)
  }
  return said
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return value as Record<string, unknown>
}
