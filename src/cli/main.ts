/** The command line: parses, runs one command, and is alone in printing errors and choosing exit codes. */
import { readFileSync } from 'node:fs'
import yargs from 'yargs'
import type { CommandModule } from 'yargs'
import { catCommand } from './commands/cat.js'
import { completionCommand } from './commands/completion.js'
import { configCommand } from './commands/config.js'
import { invalidateCommand, syncCommand } from './commands/control.js'
import { doctorCommand } from './commands/doctor.js'
import { duCommand } from './commands/du.js'
import { lsCommand } from './commands/ls.js'
import { mountCommand } from './commands/mount.js'
import { putCommand } from './commands/put.js'
import { REGISTRY_COMMANDS, registryCommand } from './commands/registry.js'
import { recoverCommand } from './commands/recover.js'
import { rmCommand } from './commands/rm.js'
import { serveCommand } from './commands/serve.js'
import { statCommand } from './commands/stat.js'
import { cpCommand, mvCommand } from './commands/transfer.js'
import { umountCommand } from './commands/umount.js'
import { statsCommand } from './commands/stats.js'
import { statusCommand } from './commands/status.js'
import { uploadsCommand } from './commands/uploads.js'
import { urlCommand } from './commands/url.js'
import { asLines, COMPLETE, complete } from './completion.js'
import { isDaemonChild, reportFailure } from './daemon.js'
import { CommandError, EXIT, exitCodeOf, explain } from './errors.js'
import { InterruptError } from './interrupt.js'
import { isMountHelperCall, mountHelperArguments } from './mount-helper.js'
import { write } from './output.js'
import { respell } from './spellings.js'
import { checkCommand, sayBetter, usagesOf } from './usage-errors.js'

/** Runs one command line without the program's name, and returns the exit code. Prints, never exits. */
export async function main(args: readonly string[]): Promise<number> {
  // A reader that has gone is no failure; commands with much to print end then (interrupt.ts).
  if (process.stdout.listenerCount('error') === 0) process.stdout.on('error', () => undefined)
  try {
    if (args[0] === COMPLETE) {
      await write(asLines(complete(args.slice(1), { modules: COMMANDS, within: WITHIN })))
      return EXIT.ok
    }
    const words = isMountHelperCall(args, NO_BUCKETS) ? mountHelperArguments(args) : respell(args)
    checkCommand(words, USAGES)
    await parser(words).parseAsync()
    return EXIT.ok
  } catch (error) {
    if (error instanceof InterruptError) return error.exitCode
    if (isDaemonChild()) reportFailure(error)
    else process.stderr.write(`bosmount: ${explain(error)}\n`)
    return exitCodeOf(error)
  }
}

/** In the order in which `--help` shows them. */
const COMMANDS: readonly CommandModule[] = [
  mountCommand,
  umountCommand,
  statusCommand,
  statsCommand,
  syncCommand,
  invalidateCommand,
  serveCommand,
  lsCommand,
  statCommand,
  catCommand,
  putCommand,
  cpCommand,
  mvCommand,
  rmCommand,
  duCommand,
  urlCommand,
  uploadsCommand,
  recoverCommand,
  registryCommand,
  configCommand,
  doctorCommand,
  completionCommand,
]

const WITHIN = { registry: REGISTRY_COMMANDS }

const USAGES = [...usagesOf(COMMANDS), ...usagesOf(REGISTRY_COMMANDS, 'registry ')]

/** Commands that could be followed by a directory and options of a mount. */
const NO_BUCKETS = ['mount', 'config', 'doctor']

function parser(args: string[]) {
  const root = yargs(args)
  return (
    root
      .scriptName('bosmount')
      .command([...COMMANDS])
      .demandCommand(1, 'say what to do: mount, umount or serve; ls, cat, put … without a mount')
      .strict()
      // Options are read as they are written: `--chunksize 010` is not the number 10.
      .parserConfiguration({ 'parse-numbers': false, 'camel-case-expansion': false })
      .version(version())
      .help()
      .alias('help', 'h')
      .epilogue(
        'Exit codes: 0 done, 1 failed, 2 the command line or configuration is wrong,\n' +
          '3 a check has found something; 128 and its number when a signal ended it.',
      )
      // A pipe has no width: lines stay whole there.
      .wrap(process.stdout.isTTY ? Math.min(process.stdout.columns, MAX_WIDTH) : null)
      .exitProcess(false)
      .fail((message: string | null, error: Error | undefined) => {
        // A YError is yargs' own complaint about the command line; all others are the command's.
        if (error !== undefined && error.name !== 'YError') throw error
        const said = sayBetter(message ?? 'wrong usage', { args, usages: USAGES, root })
        throw new CommandError(`${said} (see bosmount --help)`, EXIT.usage)
      })
  )
}

/** Longer lines are hard to read, however wide the terminal is. */
const MAX_WIDTH = 120

function version(): string {
  const file = new URL('../../../package.json', import.meta.url)
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
  return version
}
