/** The option table as yargs flags, in the table's groups. Secrets are flags too, to be refused. */
import type { Argv } from 'yargs'
import { OPTIONS, refuseSecret } from '../config.js'
import type { Option } from '../config.js'
import { CommandError, EXIT } from './errors.js'

/** @param groups  those whose options the command has; default all */
export function addConfigOptions<T>(
  yargs: Argv<T>,
  groups: readonly Option['group'][] = ['BOS', 'Mount', 'Cache', 'Logging'],
): Argv<T> {
  for (const option of OPTIONS) if (groups.includes(option.group)) addFlag(yargs, option)
  return yargs.check(argv => {
    const given = OPTIONS.find(({ name, secret }) => secret === true && argv[name] !== undefined)
    if (given !== undefined) throw new CommandError(refuseSecret(given), EXIT.usage)
    return true
  })
}

/** One option of the table, for a command that has no others of its group. */
export function addConfigOption<T>(yargs: Argv<T>, name: string): Argv<T> {
  const option = OPTIONS.find(each => each.name === name)
  if (option !== undefined) addFlag(yargs, option)
  return yargs
}

function addFlag<T>(yargs: Argv<T>, option: Option): void {
  const { name, type, group, fallback, help, choices, aliases = [], secret = false } = option
  yargs.option(name, {
    // Read as text: resolveConfig checks all sources alike and says what is wrong.
    type: type === 'boolean' ? 'boolean' : 'string',
    requiresArg: type !== 'boolean',
    describe: choices === undefined ? help : `${help}: ${choices.join(', ')}`,
    alias: [...aliases],
    defaultDescription: fallback,
    group: `${group}:`,
    hidden: secret,
  })
}
