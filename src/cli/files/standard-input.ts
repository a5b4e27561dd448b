/** The path by which Linux knows a process's standard input; `-` on a command line. */
export const STANDARD_INPUT = '/dev/stdin'
