/**
 * Programs as child processes: each with a deadline, each in a process group of its own, none left
 * behind by a test.
 */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Owner } from './owner.js'
import type { Milliseconds } from '../../src/util/units.js'

export interface RunOptions {
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** Bytes for its stdin; default none. */
  input?: string | Uint8Array
  /** Default 60 s; then the process group is killed and `run` rejects. */
  timeout?: Milliseconds
  uid?: number
  gid?: number
}

export interface Finished {
  /** Exit code, or the signal that ended it. */
  readonly code: number | string
  readonly stdout: Buffer
  readonly stderr: string
  /** stdout as text. */
  readonly text: string
}

/** Runs a program to its end. Rejects only if it cannot start or exceeds its time. */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const { input, timeout = 60_000, ...rest } = options
  const stdin = input === undefined ? 'ignore' : 'pipe'
  const child = spawnGroup(program, args, { ...rest, stdio: [stdin, 'pipe', 'pipe'] })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
  // Whoever does not read all of its input says so in its exit code.
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(input)
  let late = false
  const timer = setTimeout(() => {
    late = true
    killGroup(child, 'SIGKILL')
    child.stdout?.destroy()
    child.stderr?.destroy()
  }, timeout)
  try {
    const code = await outcome(child, 'close')
    const errors = Buffer.concat(stderr).toString()
    if (late) {
      throw new Error(`${[program, ...args].join(' ')} took over ${timeout} ms. ${errors}`)
    }
    const bytes = Buffer.concat(stdout)
    return { code, stdout: bytes, stderr: errors, text: bytes.toString() }
  } finally {
    clearTimeout(timer)
  }
}

/** Runs a program that must succeed. @throws Error with its output if it does not end with 0 */
export async function runOk(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const finished = await run(program, args, options)
  if (finished.code === 0) return finished
  const { code, text, stderr } = finished
  throw new Error(`${[program, ...args].join(' ')} ended with ${code}\n${text}${stderr}`)
}

export type BackgroundOptions = Omit<RunOptions, 'input' | 'timeout'>

/** A program that runs while the test goes on. It is killed when the test ends. */
export class Background {
  readonly #child: ChildProcess
  readonly #ended: Promise<number | string>
  readonly #title: string
  #output = ''
  #hasEnded = false

  constructor(t: Owner, program: string, args: readonly string[], options: BackgroundOptions = {}) {
    this.#title = [program, ...args].join(' ')
    this.#child = spawnGroup(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()))
    }
    this.#ended = outcome(this.#child, 'exit').finally(() => (this.#hasEnded = true))
    // Whoever waits for its end is told; nobody has to.
    this.#ended.catch(() => undefined)
    t.teardown(async () => {
      await this.kill()
      // What it started may have outlived it.
      killGroup(this.#child, 'SIGKILL')
    })
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.#title} did not start`)
    return this.#child.pid
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** All that it has printed so far, on stdout and stderr. */
  get output(): string {
    return this.#output
  }

  /** Waits until it has printed something that matches. @throws Error when it ends or time is up */
  async waitFor(pattern: RegExp, timeout: Milliseconds = 60_000): Promise<RegExpExecArray> {
    const deadline = Date.now() + timeout
    for (;;) {
      const match = pattern.exec(this.#output)
      if (match !== null) return match
      if (this.#hasEnded) throw new Error(`${this.#title} has ended:\n${this.#output}`)
      if (Date.now() > deadline) {
        throw new Error(`${this.#title} did not print ${pattern}:\n${this.#output}`)
      }
      await sleep(20)
    }
  }

  /**
   * Waits until it has become this program, and has slept for a while without a pause: a process that
   * is merely kept waiting for the processor does not sleep. @throws Error when it ends or time is up
   */
  async asleep(program: string, timeout: Milliseconds = 60_000): Promise<void> {
    const deadline = Date.now() + timeout
    for (let times = 0; times < 10; times += 1) {
      await sleep(20)
      if (this.#hasEnded) throw new Error(`${this.#title} has ended:\n${this.#output}`)
      if (Date.now() > deadline) throw new Error(`${this.#title} does not wait for anything`)
      const [, comm, state] = /\((.*)\) (\S)/.exec(statOf(this.pid)) ?? []
      if (comm !== program || state !== 'S') times = -1
    }
  }

  /** Sends a signal to the process itself, not to its group. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Waits for its end. @returns exit code or signal. @throws Error when time is up */
  async end(timeout: Milliseconds = 60_000): Promise<number | string> {
    const timer = new AbortController()
    const late = sleep(timeout, 'late' as const, { signal: timer.signal }).catch(
      () => 'late' as const,
    )
    const result = await Promise.race([this.#ended, late])
    timer.abort()
    if (result === 'late') {
      throw new Error(`${this.#title} did not end within ${timeout} ms:\n${this.#output}`)
    }
    return result
  }

  /** Asks it to end and waits until it has. @returns exit code or signal */
  async stop(signal: NodeJS.Signals = 'SIGTERM', timeout?: Milliseconds): Promise<number | string> {
    if (!this.#hasEnded) this.signal(signal)
    return await this.end(timeout)
  }

  /** Ends it and its group without asking. */
  async kill(): Promise<void> {
    if (this.#hasEnded) return
    killGroup(this.#child, 'SIGKILL')
    await this.end()
  }
}

function spawnGroup(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn(program, [...args], { ...options, detached: true })
}

function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    // It has ended.
    return ''
  }
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // The group is empty.
  }
}

function outcome(child: ChildProcess, event: 'exit' | 'close'): Promise<number | string> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once(event, (code: number | null, signal: NodeJS.Signals | null) =>
      resolve(code ?? signal ?? 'unknown'),
    )
  })
}
