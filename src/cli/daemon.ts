/**
 * Goes into the background: the same command is started again, detached, and reports over an IPC
 * channel when the mount answers, or why it does not; only then does the first process end. Node.js
 * cannot fork, and a mount made before detaching would belong to the wrong process.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { CommandError, EXIT, exitCodeOf, explain } from './errors.js'
import type { ExitCode } from './errors.js'
import { InterruptError } from './interrupt.js'

const MARK = 'BOSMOUNT_DAEMON'
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export interface Ready {
  readonly source: string
  readonly logFile: string
}

type Report = { readonly ready: Ready } | { readonly failure: string; readonly exitCode: ExitCode }

export function isDaemonChild(): boolean {
  return process.env[MARK] === '1' && process.send !== undefined
}

/**
 * A signal to this process ends the other one too, and then neither leaves a mount behind; a second one
 * kills what does not end. Once the mount works it stays, and a signal that comes too late does not
 * make this process say otherwise.
 *
 * @throws CommandError with the child's own message, InterruptError when a signal has ended both
 */
export async function startDaemon(): Promise<Ready> {
  let child: ChildProcess | undefined
  let interrupted: InterruptError | undefined
  let isDecided = false
  const onSignal = (signal: (typeof SIGNALS)[number]): void => {
    if (isDecided) return
    child?.kill(interrupted === undefined ? 'SIGTERM' : 'SIGKILL')
    interrupted ??= new InterruptError(signal)
  }
  // Before the other process is there: a signal in between would end this one alone.
  for (const signal of SIGNALS) process.on(signal, onSignal)
  child = spawn(process.execPath, process.argv.slice(1), {
    detached: true,
    env: { ...process.env, [MARK]: '1' },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  const ended = once(child, 'exit')
  const report = await Promise.race([
    once(child, 'message').then(([message]) => message as Report),
    ended.then(([code, signal]): Report => {
      const how = signal === null ? `with exit code ${String(code)}` : `by ${String(signal)}`
      return { failure: `the mounting process ended ${how}`, exitCode: EXIT.failed }
    }),
  ])
  if (interrupted !== undefined) {
    await ended
    throw interrupted
  }
  isDecided = true
  if (child.connected) child.disconnect()
  child.unref()
  if ('failure' in report) throw new CommandError(report.failure, report.exitCode)
  return report.ready
}

/** Called in the child once the mount answers: from here on it is on its own. */
export function reportReady(ready: Ready): void {
  send({ ready })
  process.chdir('/')
}

/** Called in the child when it cannot mount. */
export function reportFailure(error: unknown): void {
  send({ failure: explain(error), exitCode: exitCodeOf(error) })
}

function send(report: Report): void {
  process.send?.(report, () => {
    if (process.connected) process.disconnect?.()
  })
}
