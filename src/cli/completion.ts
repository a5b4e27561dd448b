/**
 * What may come next on a command line: commands, flags and the values that a flag can have. Nothing where a
 * file or directory belongs, which shells complete by themselves.
 */
import yargs from 'yargs'
import type { Argv, CommandModule } from 'yargs'
import { OPTIONS } from '../config.js'
import { findOption } from '../config/option.js'
import { mountOptionNames } from '../config/mount-options.js'
import { REGION_ENDPOINTS } from '../driver/endpoint.js'

/** The first word of a shell's question; the words of the command line follow, the last one unfinished. */
export const COMPLETE = '__complete'

export interface Candidate {
  readonly word: string
  readonly description?: string
}

/** Commands, and for each that has some of its own, those. */
export interface Commands {
  readonly modules: readonly CommandModule[]
  readonly within: Readonly<Record<string, readonly CommandModule[]>>
}

/** Of yargs' own; not in its published types. */
interface Flags {
  readonly key: Readonly<Record<string, unknown>>
  readonly choices: Readonly<Record<string, readonly string[] | undefined>>
  readonly boolean: readonly string[]
  readonly hiddenOptions: readonly string[]
}

/** @param words  without the program's name; bash makes words of `=` as well */
export function complete(words: readonly string[], { modules, within }: Commands): Candidate[] {
  const typed = words.filter((word, i) => word !== '=' || i === words.length - 1)
  const current = typed.at(-1) === '=' ? '' : (typed.at(-1) ?? '')
  const [name = '', second = ''] = typed
  if (typed.length < 2) return starting(current, modules.map(asCandidate))
  const inner = within[name]
  if (inner !== undefined && typed.length < 3) return starting(current, inner.map(asCandidate))
  const module = find(inner ?? modules, inner === undefined ? name : second)
  if (module === undefined) return []
  const flags = flagsOf(module)
  const [flag, value] = /^(--[^=]+)=(.*)$/s.exec(current)?.slice(1) ?? []
  if (flag !== undefined) {
    return valuesOf(flag, value ?? '', flags).map(({ word }) => ({ word: `${flag}=${word}` }))
  }
  const before = typed.at(-2) ?? ''
  if (takesValue(before, flags)) return valuesOf(before, current, flags)
  if (current.startsWith('-')) return starting(current, flagCandidates(flags))
  const operand = /[<[](\w+)/.exec(String(module.command))?.[1] ?? ''
  return starting(current, (flags.choices[operand] ?? []).map(asWord))
}

/** One line each: the word, and a tab before what there is to say about it. */
export function asLines(candidates: readonly Candidate[]): string {
  return candidates
    .map(({ word, description }) => (description === undefined ? word : `${word}\t${description}`))
    .map(line => `${line}\n`)
    .join('')
}

function asCandidate({ command, describe }: CommandModule): Candidate {
  const [word = ''] = String(command).split(' ')
  return typeof describe === 'string' ? { word, description: describe } : { word }
}

function asWord(word: string): Candidate {
  return { word }
}

function starting(current: string, candidates: readonly Candidate[]): Candidate[] {
  return candidates.filter(({ word }) => word.startsWith(current))
}

function find(modules: readonly CommandModule[], name: string): CommandModule | undefined {
  return modules.find(({ command, aliases = [] }) =>
    [String(command).split(' ')[0], ...[aliases].flat()].includes(name),
  )
}

function flagsOf({ builder }: CommandModule): Flags {
  const parser = yargs([]).help().alias('help', 'h')
  const built = typeof builder === 'function' ? builder(parser) : parser
  return (built as Argv as unknown as { getOptions(): Flags }).getOptions()
}

function flagCandidates({ key, hiddenOptions }: Flags): Candidate[] {
  return Object.keys(key)
    .filter(name => name.length > 1 && name !== 'version' && !hiddenOptions.includes(name))
    .map(name => {
      const description = findOption(OPTIONS, name)?.help
      return { word: `--${name}`, ...(description === undefined ? {} : { description }) }
    })
}

function takesValue(word: string, { key, boolean }: Flags): boolean {
  const name = word.replace(/^--?/, '')
  return word.startsWith('-') && name in key && !boolean.includes(name)
}

function valuesOf(flag: string, current: string, { choices }: Flags): Candidate[] {
  const name = flag.replace(/^--?/, '')
  if (name === 'o') return mountOptions(current)
  if (name === 'region') return starting(current, Object.keys(REGION_ENDPOINTS).map(asWord))
  const values = findOption(OPTIONS, name)?.choices ?? choices[name] ?? []
  return starting(current, values.map(asWord))
}

/** The last of `KEY[=VALUE],…`. */
function mountOptions(current: string): Candidate[] {
  const done = current.slice(0, current.lastIndexOf(',') + 1)
  const own = OPTIONS.filter(({ secret }) => secret !== true).map(({ name, type, help }) => ({
    word: name.replaceAll('-', '_') + (type === 'boolean' ? '' : '='),
    description: help,
  }))
  const all = [...own, ...mountOptionNames().map(asWord)]
  return starting(
    current,
    all.map(each => ({ ...each, word: done + each.word })),
  )
}
