/** The command line: parses, runs one command, and is alone in printing errors and choosing exit codes. */
import { readFileSync } from 'node:fs'
import yargs from 'yargs'
import type { Argv } from 'yargs'
import { catCommand } from './commands/cat.js'
import { completionCommand } from './commands/completion.js'
import { configCommand } from './commands/config.js'
import { invalidateCommand, syncCommand } from './commands/control.js'
import { doctorCommand } from './commands/doctor.js'
import { duCommand } from './commands/du.js'
import { lsCommand } from './commands/ls.js'
import { mountCommand } from './commands/mount.js'
import { putCommand } from './commands/put.js'
import { registryCommand } from './commands/registry.js'
import { rmCommand } from './commands/rm.js'
import { serveCommand } from './commands/serve.js'
import { statCommand } from './commands/stat.js'
import { cpCommand, mvCommand } from './commands/transfer.js'
import { umountCommand } from './commands/umount.js'
import { statsCommand } from './commands/stats.js'
import { statusCommand } from './commands/status.js'
import { uploadsCommand } from './commands/uploads.js'
import { urlCommand } from './commands/url.js'
import { isDaemonChild, reportFailure } from './daemon.js'
import { CommandError, EXIT, exitCodeOf, explain } from './errors.js'
import { STANDARD_INPUT } from './files/standard-input.js'
import { InterruptError } from './interrupt.js'
import { flagNames, sayUnknown } from './unknown-flags.js'

/** Runs one command line without the program's name, and returns the exit code. Prints, never exits. */
export async function main(args: readonly string[]): Promise<number> {
  // A reader that has gone is no failure; commands with much to print end then (interrupt.ts).
  if (process.stdout.listenerCount('error') === 0) process.stdout.on('error', () => undefined)
  try {
    await parser(withStandardInput(asMount(args))).parseAsync()
    return EXIT.ok
  } catch (error) {
    if (error instanceof InterruptError) return error.exitCode
    if (isDaemonChild()) reportFailure(error)
    else process.stderr.write(`bosmount: ${explain(error)}\n`)
    return exitCodeOf(error)
  }
}

/**
 * mount(8) calls its helpers as `mount.TYPE SPEC DIRECTORY [-sfnv] [-N NAMESPACE] [-o OPTIONS]`.
 * -s (sloppy), -n (no mtab) and -v mean nothing here; -f is mount(8)'s "fake": nothing is mounted.
 *
 * @returns the arguments of the command that does it
 */
export function mountHelperArguments(args: readonly string[]): string[] {
  const operands: string[] = []
  const options: string[] = []
  for (let i = 0; i < args.length; i += 1) {
    const argument = args[i] ?? ''
    if (argument === '-o') options.push('-o', args[(i += 1)] ?? '')
    else if (argument === '-N' || argument === '-t') i += 1
    else if (/^-[a-z]*f/.test(argument)) return ['--version']
    else if (!argument.startsWith('-')) operands.push(argument)
  }
  return ['mount', ...operands, ...options]
}

/**
 * mount.fuse3(8), which mount(8) calls for the type `fuse.bosmount`, runs `bosmount SPEC DIRECTORY -o OPTIONS`:
 * the name of the command is missing then.
 */
function asMount(args: readonly string[]): readonly string[] {
  const [spec = '', directory = '', flag, options, ...rest] = args
  const isHelperCall =
    flag === '-o' && options !== undefined && rest.length === 0 && directory.startsWith('/')
  return isHelperCall && !spec.startsWith('-') && !COMMANDS.includes(spec)
    ? mountHelperArguments(args)
    : args
}

/** Commands that could be followed by a directory and options of a mount. */
const COMMANDS = ['mount', 'config', 'doctor']

function parser(args: string[]) {
  const root = yargs(args)
  return (
    root
      .scriptName('bosmount')
      .command(mountCommand)
      .command(umountCommand)
      .command(statusCommand)
      .command(statsCommand)
      .command(syncCommand)
      .command(invalidateCommand)
      .command(serveCommand)
      .command(lsCommand)
      .command(statCommand)
      .command(catCommand)
      .command(putCommand)
      .command(cpCommand)
      .command(mvCommand)
      .command(rmCommand)
      .command(duCommand)
      .command(urlCommand)
      .command(uploadsCommand)
      .command(registryCommand)
      .command(configCommand)
      .command(doctorCommand)
      .command(completionCommand)
      .demandCommand(1, 'say what to do: mount, umount or serve; ls, cat, put … without a mount')
      .strict()
      .recommendCommands()
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
        const said = sayAllUnknown(message ?? 'wrong usage', root)
        throw new CommandError(`${said} (see bosmount --help)`, EXIT.usage)
      })
  )
}

/** What yargs says, with suggestions where it names flags that are not known. */
function sayAllUnknown(message: string, root: Argv): string {
  const [, names] = /^Unknown arguments?: (.*)$/.exec(message) ?? []
  if (names === undefined) return message
  const known = flagNames(root)
  return names
    .split(', ')
    .map(name => sayUnknown(name, known))
    .join('\n')
}

/** yargs loses an operand `-`; it is known by the kernel's name for it. */
function withStandardInput(args: readonly string[]): string[] {
  const isPut = args[0] === 'put'
  return args.map(argument => (isPut && argument === '-' ? STANDARD_INPUT : argument))
}

/** Longer lines are hard to read, however wide the terminal is. */
const MAX_WIDTH = 120

function version(): string {
  const file = new URL('../../../package.json', import.meta.url)
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
  return version
}
