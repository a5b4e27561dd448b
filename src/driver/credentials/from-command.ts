/**
 * Credentials that a command prints, as temporary ones are: run again before they expire, and once
 * when the service refuses them.
 *
 * While credentials still hold they are given at once and refreshed in the background; only when they
 * have expired does a request wait for the command. One command runs at a time, with a deadline, and a
 * failed one is not repeated before a pause. Its output is never logged or quoted.
 */
import { spawn } from 'node:child_process'
import { systemClock, type Clock } from '../../util/clock.js'
import { silentLogger, type Logger } from '../../util/log.js'
import type { Milliseconds } from '../../util/units.js'
import { AccessDeniedError } from '../errors.js'
import { parseCredentialsDocument, type CredentialsDocument } from './credentials-document.js'
import { sameCredentials, type BosCredentials, type CredentialsProvider } from './credentials.js'

/** Runs a command line to its end and gives its standard output. */
export type RunCommand = (command: string, timeout: Milliseconds) => Promise<string>

export interface CommandCredentialsOptions {
  /** Given to `/bin/sh -c` in the working directory of now, which a daemon leaves. */
  command: string
  /** Longest time for the command; default 30 s. */
  timeout?: Milliseconds
  run?: RunCommand
  clock?: Clock
  log?: Logger
}

const DEFAULT_TIMEOUT: Milliseconds = 30_000
/** New credentials are asked for so long before the old ones end, or in their last quarter. */
const EARLY: Milliseconds = 5 * 60_000
/** After a run: refusals and failures within it do not start another. */
const PAUSE: Milliseconds = 10_000
const MAX_OUTPUT = 64 * 1024

interface Held extends CredentialsDocument {
  readonly refreshAt: Milliseconds
}

class CredentialsByCommand {
  readonly #options: Required<CommandCredentialsOptions>
  #held: Held | undefined
  #ranAt: Milliseconds = -Infinity
  #failure: AccessDeniedError | undefined
  #running: Promise<void> | undefined

  constructor(options: CommandCredentialsOptions) {
    this.#options = {
      timeout: DEFAULT_TIMEOUT,
      run: runIn(process.cwd()),
      clock: systemClock,
      log: silentLogger,
      ...options,
    }
  }

  give(refused: BosCredentials | undefined): BosCredentials | Promise<BosCredentials> {
    const held = this.#held
    const now = this.#options.clock.now()
    if (held === undefined || now >= (held.expires ?? Infinity)) return this.#wait()
    // Others may have been fetched since the refused ones were used.
    if (refused !== undefined && sameCredentials(held.credentials, refused)) return this.#wait()
    if (now >= held.refreshAt && this.#mayRun()) void this.#refresh()
    return held.credentials
  }

  async #wait(): Promise<BosCredentials> {
    if (this.#running !== undefined || this.#mayRun()) await this.#refresh()
    const held = this.#held
    const isOver = this.#options.clock.now() >= (held?.expires ?? Infinity)
    if (held !== undefined && !isOver) return held.credentials
    throw this.#failure ?? new AccessDeniedError('the credentials command gave expired credentials')
  }

  #mayRun(): boolean {
    return this.#options.clock.now() - this.#ranAt >= PAUSE
  }

  /** Never rejects: a failure is kept for those who have to wait. */
  #refresh(): Promise<void> {
    this.#running ??= this.#run().finally(() => (this.#running = undefined))
    return this.#running
  }

  async #run(): Promise<void> {
    const { run, command, timeout, clock, log } = this.#options
    try {
      const document = parseCredentialsDocument(await run(command, timeout))
      this.#held = { ...document, refreshAt: refreshTime(document, clock.now()) }
      this.#failure = undefined
      log.info({}, 'the credentials command gave credentials')
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'it failed'
      this.#failure = new AccessDeniedError(`the credentials command failed: ${reason}`)
      log.warn({ reason }, 'the credentials command failed')
    } finally {
      this.#ranAt = clock.now()
    }
  }
}

function refreshTime({ expires = Infinity }: CredentialsDocument, now: Milliseconds): Milliseconds {
  const life = expires - now
  return life === Infinity ? Infinity : expires - Math.min(EARLY, life / 4)
}

/** Errors say how the command ended, never what it printed. */
const runIn =
  (cwd: string): RunCommand =>
  (command, timeout) =>
    new Promise((resolve, reject) => {
      // A group of its own: what the shell starts ends with it.
      const child = spawn('/bin/sh', ['-c', command], {
        cwd,
        detached: true,
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      const output: Buffer[] = []
      let size = 0
      const stop = (problem: string): void => {
        clearTimeout(timer)
        killGroup(child.pid)
        child.stdout.destroy()
        reject(new Error(problem))
      }
      const timer = setTimeout(() => stop(`it took more than ${timeout} ms`), timeout)
      child.stdout.on('data', (chunk: Buffer) => {
        output.push(chunk)
        size += chunk.length
        if (size > MAX_OUTPUT) stop(`it printed more than ${MAX_OUTPUT} bytes`)
      })
      child.once('error', ({ code }: NodeJS.ErrnoException) => stop(`it cannot be run: ${code}`))
      child.once('close', (code, signal) => {
        clearTimeout(timer)
        if (code === 0) resolve(Buffer.concat(output).toString())
        else reject(new Error(`it ended with ${code ?? signal ?? 'an error'}`))
      })
    })

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** Rejects with AccessDeniedError while the command has never given valid credentials. */
export function credentialsFromCommand(options: CommandCredentialsOptions): CredentialsProvider {
  const source = new CredentialsByCommand(options)
  return refused => source.give(refused)
}
