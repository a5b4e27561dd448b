/** The flag of commands that may take long. */
import type { Argv } from 'yargs'

export function addProgressOption<T>(yargs: Argv<T>): Argv<T> {
  return yargs.option('progress', {
    type: 'boolean',
    describe: 'tell how far the work is',
    defaultDescription: 'if standard error is a terminal',
  }) as Argv<T>
}

export function showProgress(flag: boolean | undefined): boolean {
  return flag ?? process.stderr.isTTY
}
