/**
 * Command lines that mount(8) and its helpers write, turned into our own. Pure.
 *
 * @see mount(8) "EXTERNAL HELPERS", mount.fuse3(8)
 */

/**
 * mount(8) calls its helpers as `mount.TYPE SPEC DIRECTORY [-sfnv] [-N NAMESPACE] [-o OPTIONS]`.
 * -s (sloppy), -n (no mtab) and -v mean nothing here; -f is mount(8)'s "fake": nothing is mounted.
 *
 * @returns the arguments of the command that does it
 */
export function mountHelperArguments(args: readonly string[]): string[] {
  const [only = ''] = args
  if (args.length === 1 && only === '--help') return ['mount', only]
  if (args.length === 1 && /^(-V|--version)$/.test(only)) return ['--version']
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
 * mount.fuse3(8), which mount(8) calls for the type `fuse.bosmount`, runs
 * `bosmount SPEC DIRECTORY -o OPTIONS`: the name of the command is missing then.
 */
export function isMountHelperCall(args: readonly string[], commands: readonly string[]): boolean {
  const [spec = '', directory = '', flag, options, ...rest] = args
  const hasForm = flag === '-o' && options !== undefined && rest.length === 0
  return hasForm && directory.startsWith('/') && !spec.startsWith('-') && !commands.includes(spec)
}
