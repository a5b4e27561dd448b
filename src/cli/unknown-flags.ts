/**
 * Flags that no option has: told with what was probably meant, and together with all other mistakes,
 * where yargs would end at the first kind.
 */
import type { Argv } from 'yargs'
import { mountOption } from '../config/mount-options.js'
import { nearest } from '../util/nearest.js'

/** Where a command's arguments keep what was said of unknown flags. */
export const UNKNOWN_FLAGS = 'unknown flags'

/** Of yargs' own; not in its published types. */
interface WithOptions {
  getOptions(): { readonly key: Readonly<Record<string, unknown>> }
}

/** The command tells its unknown flags by itself, from `UNKNOWN_FLAGS`. */
export function collectUnknownFlags<T>(yargs: Argv<T>, positionals: readonly string[]): Argv<T> {
  return yargs
    .strictOptions(false)
    .strict(false)
    .check(argv => {
      const known = [...flagNames(yargs), ...positionals]
      const unknown = Object.keys(argv).filter(
        name => !['_', '$0', UNKNOWN_FLAGS, ...known].includes(name),
      )
      Object.assign(argv, { [UNKNOWN_FLAGS]: unknown.map(name => sayUnknown(name, known)) })
      return true
    })
}

/** Names and further names of the flags of the command that is being parsed. */
export function flagNames<T>(yargs: Argv<T>): string[] {
  return Object.keys((yargs as unknown as WithOptions).getOptions().key)
}

/** One flag, with why it is not taken if other tools have it. */
export function sayUnknown(name: string, known: readonly string[]): string {
  const meaning = mountOption(name.replaceAll('-', '_'), name.endsWith('mask') ? '022' : true)
  const flag = `${name.length === 1 ? '-' : '--'}${name}`
  if (meaning.kind === 'mistake') return `${flag}: ${meaning.mistake.replace(/^\w+: /, '')}`
  if (meaning.kind !== 'unknown') return `unknown option ${flag}; as a mount option: -o ${name}`
  const near = nearest(
    name,
    known.filter(each => each.length > 1),
  )
  return `unknown option ${flag}` + (near === undefined ? '' : `; did you mean --${near}?`)
}
