/**
 * Waiting until /dev/fuse has something to read, without a system call that blocks the main thread.
 *
 * Two ways:
 * - SIGIO (O_ASYNC, fcntl(2)): the kernel signals this process when a request comes, and libuv,
 *   which sleeps in epoll_wait(2), is woken by that. One thread wakes up per request that was
 *   waited for.
 * - poll(2) on a thread of libuv's pool, which then wakes the main thread: two wake-ups, and each
 *   is dear where an idle processor is asleep, most of all in a virtual machine.
 *
 * Signals are asked for only during a wait: while the device is being drained, requests would
 * interrupt the drain. They reach the main thread alone, and nobody if whoever started this process
 * has them blocked. So a look at the device once a second backs them up; when it finds what no
 * signal has told, the threads take over for good.
 *
 * INVARIANT: O_ASYNC is set only while a listener for SIGIO is there: without one the signal ends
 * the process.
 */
import { isMainThread } from 'node:worker_threads'
import type { Milliseconds } from '../../util/units.js'

/** The descriptor, as far as a wait needs it: system calls that do not block. */
export interface Waitable {
  /** Has the kernel send SIGIO to this process for what comes from now on, or not any more. */
  signalled(isOn: boolean): void
  /** poll(2) without waiting. */
  isReadable(): boolean
  /** poll(2) on a thread; `interrupt` ends it. */
  pollFromThread(done: () => void): void
  interrupt(): void
}

/** Where signals and the end of the process are told: `process`, or a test's own. */
export interface Signals {
  on(event: 'SIGIO' | 'exit', listener: () => void): unknown
  off(event: 'SIGIO' | 'exit', listener: () => void): unknown
}

/** How often the device is looked at in case signals do not come. */
const LOOK: Milliseconds = 1000

export interface ReadinessOptions {
  /** Default `process`. */
  readonly signals?: Signals
  /** Whether signals can reach this thread; default whether it is the main one. */
  readonly hearsSignals?: boolean
  /** Default 1 s. */
  readonly look?: Milliseconds
}

export class Readiness {
  readonly #waitable: Waitable
  readonly #signals: Signals
  #hearsSignals: boolean
  /** Keeps the process alive as well. */
  readonly #timer: NodeJS.Timeout
  #done: (() => void) | undefined
  /** Tells one wait from the next, whose callback may be the same. */
  #waits = 0

  constructor(
    waitable: Waitable,
    { signals = process, hearsSignals = isMainThread, look = LOOK }: ReadinessOptions = {},
  ) {
    this.#waitable = waitable
    this.#signals = signals
    this.#hearsSignals = hearsSignals
    signals.on('exit', this.#exit)
    if (hearsSignals) signals.on('SIGIO', this.#signalled)
    this.#timer = setInterval(this.#look, look)
  }

  /** Calls back, never before this returns, once there may be something to read or `wake` was called. */
  wait(done: () => void): void {
    this.#done = done
    this.#waits += 1
    if (!this.#hearsSignals) {
      this.#waitable.pollFromThread(this.#end)
      return
    }
    this.#waitable.signalled(true)
    // What came before that has sent no signal.
    if (this.#waitable.isReadable()) setImmediate(this.#signalled)
  }

  /** Ends a wait. */
  wake(): void {
    if (this.#hearsSignals) setImmediate(this.#signalled)
    else this.#waitable.interrupt()
  }

  /** Only when no wait is under way. */
  close(): void {
    clearInterval(this.#timer)
    this.#signals.off('SIGIO', this.#signalled)
    this.#signals.off('exit', this.#exit)
  }

  readonly #signalled = (): void => {
    if (this.#done === undefined || !this.#hearsSignals) return
    this.#waitable.signalled(false)
    this.#end()
  }

  readonly #end = (): void => {
    const done = this.#done
    this.#done = undefined
    done?.()
  }

  readonly #look = (): void => {
    if (this.#done === undefined || !this.#hearsSignals || !this.#waitable.isReadable()) return
    // A signal that has come meanwhile is told before this.
    setImmediate(this.#goDeaf, this.#waits)
  }

  readonly #goDeaf = (wait: number): void => {
    if (this.#done === undefined || this.#waits !== wait || !this.#waitable.isReadable()) return
    this.#waitable.signalled(false)
    this.#hearsSignals = false
    this.#end()
  }

  /** Nobody may be signalled who does not listen any more; and a thread that waits would keep the process. */
  readonly #exit = (): void => {
    if (this.#hearsSignals) this.#waitable.signalled(false)
    else this.#waitable.interrupt()
  }
}
