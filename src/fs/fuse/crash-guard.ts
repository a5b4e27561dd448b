/**
 * Frees the mount point when the serving process dies without unmounting.
 *
 * libfuse's `auto_unmount` is meant for that, but the fusermount3 of 3.14 does not always do it. It
 * opens the mount to see whether it is dead, and then unmounts on ENOTCONN alone: a user's mount is
 * closed to it, being root (EACCES), and while the kernel is still taking the connection down the
 * error is another (ECONNABORTED). So a shell waits beside it for the end of a pipe that only this
 * process holds open. On an orderly end it is told so, and ends. Otherwise it unmounts lazily what
 * does not answer; a mount that does, for instance that of a successor, it leaves alone.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Logger } from '../../util/log.js'
import type { Milliseconds } from '../../util/units.js'

// `read` fails at the end of the pipe. statfs(2) always asks the server, where stat(2) may not.
const SCRIPT = `read -r over && exit 0
stat -f "$1" >/dev/null 2>&1 && exit 0
exec fusermount3 -u -z -q -- "$1"`
const STOP_DEADLINE: Milliseconds = 5_000

export interface CrashGuard {
  /** The mount has ended in order: there is nothing to guard any more. */
  stop(): Promise<void>
}

/** Starts to watch. `mountpoint` is absolute. A guard that cannot be started is only logged. */
export function startCrashGuard(mountpoint: string, log: Logger): CrashGuard {
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'bosmount-guard', mountpoint], {
    cwd: '/',
    // Its own session: it must outlive a Ctrl-C in the terminal of the server.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  shell.on('error', error => log.warn({ err: error }, 'a crash may leave a dead mount'))
  // It may have been killed before it is told to stop.
  shell.stdin.on('error', () => undefined)
  shell.unref()
  ;(shell.stdin as unknown as Socket).unref()
  return {
    async stop() {
      if (shell.exitCode !== null || shell.signalCode !== null || shell.pid === undefined) return
      shell.ref()
      const gone = once(shell, 'exit')
      shell.stdin.end('over\n')
      const timer = setTimeout(() => shell.kill('SIGKILL'), STOP_DEADLINE)
      await gone
      clearTimeout(timer)
    },
  }
}
