/**
 * One request that waits for its answer: who asks, and the signal that INTERRUPT aborts.
 *
 * INVARIANT: `markAnswered` is true for one caller only; whoever gets false must not answer.
 */
import { ErrnoError } from '../../util/errno.js'
import type { Milliseconds } from '../../util/units.js'
import type { Ino, RequestContext } from '../operations.js'
import type { RequestHeader } from './decode.js'

export class Request implements RequestContext {
  readonly opcode: number
  readonly unique: number
  readonly ino: Ino
  readonly uid: number
  readonly gid: number
  readonly pid: number
  #answered = false
  #aborted = false
  #patience: NodeJS.Timeout | undefined
  #controller: AbortController | undefined

  constructor(header: RequestHeader) {
    this.opcode = header.opcode
    this.unique = header.unique
    this.ino = header.ino
    this.uid = header.uid
    this.gid = header.gid
    this.pid = header.pid
  }

  /** Made on first use: most requests are answered without anybody asking for it. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#aborted) this.#abortNow(this.#controller)
    return this.#controller.signal
  }

  /**
   * The program has got a signal. Which, the kernel does not say, and few of them are meant for the
   * call: timers and runtimes send signals all the time, and on a local disk no call ends with EINTR.
   * What is answered within `patience` therefore counts as not interrupted.
   *
   * @param isMeant  whether the signal is meant for the call; asked again and again, as the kernel tells only
   * of the first
   */
  interrupt(patience: Milliseconds, isMeant: () => boolean = () => true): void {
    if (patience === 0) return this.abort()
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined
      if (isMeant()) this.abort()
      else this.interrupt(patience, isMeant)
    }, patience)
  }

  /** Nobody waits for the answer any longer; it may still be given. */
  abort(): void {
    this.#aborted = true
    if (this.#controller !== undefined) this.#abortNow(this.#controller)
  }

  markAnswered(): boolean {
    if (this.#answered) return false
    this.#answered = true
    clearTimeout(this.#patience)
    return true
  }

  #abortNow(controller: AbortController): void {
    if (controller.signal.aborted) return
    controller.abort(new ErrnoError('EINTR', 'interrupted'))
  }
}
