/** The command line: parses, runs one command, and is alone in printing errors and choosing exit codes. */
import { readFileSync } from 'node:fs'
import yargs from 'yargs'
import { mountCommand } from './commands/mount.js'
import { serveCommand } from './commands/serve.js'
import { umountCommand } from './commands/umount.js'
import { isDaemonChild, reportFailure } from './daemon.js'
import { CommandError, EXIT, exitCodeOf, explain } from './errors.js'
import type { ExitCode } from './errors.js'

/** Runs one command line without the program's name, and returns the exit code. Prints, never exits. */
export async function main(args: readonly string[]): Promise<ExitCode> {
  try {
    await parser(args).parseAsync()
    return EXIT.ok
  } catch (error) {
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

function parser(args: readonly string[]) {
  return (
    yargs([...args])
      .scriptName('bosmount')
      .command(mountCommand)
      .command(umountCommand)
      .command(serveCommand)
      .demandCommand(1, 'say what to do: mount, umount or serve')
      .strict()
      .recommendCommands()
      // Options are read as they are written: `--chunksize 010` is not the number 10.
      .parserConfiguration({ 'parse-numbers': false, 'camel-case-expansion': false })
      .version(version())
      .help()
      .alias('help', 'h')
      .epilogue('Exit codes: 0 done, 1 failed, 2 the command line or configuration is wrong.')
      // Wrapping would cut words in two; the terminal breaks long lines no worse.
      .wrap(null)
      .exitProcess(false)
      .fail((message: string | null, error: Error | undefined) => {
        // A YError is yargs' own complaint about the command line; all others are the command's.
        if (error !== undefined && error.name !== 'YError') throw error
        throw new CommandError(`${message ?? 'wrong usage'} (see bosmount --help)`, EXIT.usage)
      })
  )
}

function version(): string {
  const file = new URL('../../../package.json', import.meta.url)
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
  return version
}
