/** What is said of command lines that no command takes, before or instead of what yargs says. Pure. */
import type { Argv, CommandModule } from 'yargs'
import { nearest } from '../util/nearest.js'
import { CommandError, EXIT } from './errors.js'
import { flagNames, sayUnknown } from './unknown-flags.js'

/** How a command is written, e.g. `registry du <source>`, and other names of its first word. */
export interface Usage {
  readonly usage: string
  readonly aliases: readonly string[]
}

/** @param group  the word before those commands, if there is one */
export function usagesOf(modules: readonly CommandModule[], group = ''): Usage[] {
  return modules.map(({ command, aliases = [] }) => ({
    usage: `${group}${String(command)}`,
    aliases: [aliases].flat(),
  }))
}

/** @throws CommandError for a command that there is not */
export function checkCommand(args: readonly string[], usages: readonly Usage[]): void {
  const words = args.slice(0, 2)
  for (const depth of [1, 2]) {
    const wanted = words.slice(0, depth)
    if (wanted.length < depth || wanted.some(word => word.startsWith('-'))) return
    const known = namesOf(usages, depth)
    const name = wanted.join(' ')
    if (known.includes(name)) continue
    // Commands without commands of their own have operands there.
    if (depth === 2 && !known.some(each => each.startsWith(`${words[0] ?? ''} `))) return
    const near = nearest(name, known)
    const hint = near === undefined ? '' : `; did you mean ${near}?`
    throw new CommandError(`unknown command '${name}'${hint} (see bosmount --help)`, EXIT.usage)
  }
}

/** Names of so many words. */
function namesOf(usages: readonly Usage[], depth: number): string[] {
  return usages.flatMap(({ usage, aliases }) => {
    const words = usage.split(' ').filter(word => /^\w/.test(word))
    const name = words.slice(0, depth).join(' ')
    return words.length < depth ? [] : [name, ...(words.length === depth ? aliases : [])]
  })
}

/** What yargs says, in words that say what to do about it. */
export function sayBetter(
  message: string,
  { args, usages, root }: { args: readonly string[]; usages: readonly Usage[]; root: Argv },
): string {
  const [, names] = /^Unknown arguments?: (.*)$/.exec(message) ?? []
  if (names !== undefined) {
    const known = flagNames(root)
    const said = names.split(', ').map(name => sayUnknown(name, known))
    return said.join('\n')
  }
  if (!message.startsWith('Not enough non-option arguments')) return message
  const found = usages.find(({ usage }) => {
    const words = usage.split(' ').filter(word => /^\w/.test(word))
    return words.every((word, i) => word === args[i])
  })
  const operand = /<(\w+)[.>]/.exec(found?.usage ?? '')?.[1]
  if (found === undefined || operand === undefined) return message
  return `${operand.toUpperCase()} is missing: bosmount ${found.usage}`
}
