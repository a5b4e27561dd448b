/**
 * What people type who know other tools, as the parser knows it: `version`, `-V`, `help COMMAND`,
 * and the `-h` of ls(1) and du(1). Pure.
 */
import { STANDARD_INPUT } from './files/standard-input.js'

export function respell(args: readonly string[]): string[] {
  const [first = '', ...rest] = args
  if (rest.length === 0 && ['version', '-V', '-v'].includes(first)) return ['--version']
  if (first === 'help') return [...rest.filter(word => !word.startsWith('-')), '--help']
  if (HAVE_SIZES.has(first) && rest.length > 0) return humanSizes(args)
  // yargs loses an operand `-`; it is known by the kernel's name for it.
  return first === 'put' ? args.map(word => (word === '-' ? STANDARD_INPUT : word)) : [...args]
}

const HAVE_SIZES = new Set(['ls', 'list', 'du'])

/** `-h` alone asks for help, as everywhere; with anything else it means sizes with units. */
function humanSizes(args: readonly string[]): string[] {
  const [command = '', ...rest] = args
  if (rest.length === 1 && rest[0] === '-h') return [...args]
  return [command, ...rest.map(word => (/^-[A-Za-z]*h[A-Za-z]*$/.test(word) ? upper(word) : word))]
}

function upper(flags: string): string {
  return flags.replaceAll('h', 'H')
}
