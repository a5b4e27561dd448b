/**
 * One session with the kernel: from INIT to the end of the mount.
 *
 * Requests are handled in the order in which the kernel hands them out. Each is answered exactly
 * once: at once if its method returns a result, else when its promise settles. FORGET has no answer.
 * An ErrnoError becomes its errno; anything else is a fault of ours, logged with its stack, and EIO.
 *
 * INTERRUPT aborts the signal of a request that is being worked on, after some patience. One reader
 * takes requests in order, so an interrupt for an unknown request comes after its answer; it is
 * answered EAGAIN, as Linux' Documentation/filesystems/fuse.rst wants, and if the kernel has the
 * request after all it sends the interrupt again.
 *
 * End, from whichever side it comes: no more requests; signals aborted; operations under way get
 * `drainTimeout` to finish; notifications; `destroy`; the device is closed; `closed` settles.
 */
import { ERRNO, ErrnoError } from '../../util/errno.js'
import { ByteReader } from '../../util/cursor.js'
import type { Logger } from '../../util/log.js'
import type { Bytes, Milliseconds } from '../../util/units.js'
import type { Operations, SessionInfo } from '../operations.js'
import { INIT_FLAG2, KERNEL_VERSION, OPCODE } from './abi.js'
import type { Channel, RequestHandler } from './channel.js'
import * as decode from './decode.js'
import type { Device } from './device.js'
import { HANDLERS, refuse } from './dispatch.js'
import { encodeInit } from './encode.js'
import type { AnyHandler } from './handler.js'
import { negotiate, type NegotiationOptions } from './negotiate.js'
import { KernelNotifier } from './notify.js'
import { PendingRequests } from './pending-requests.js'
import { Replies } from './reply.js'
import { Request } from './request.js'

export interface SessionOptions {
  readonly operations: Operations
  readonly device: Device
  readonly channel: Channel
  readonly negotiation: NegotiationOptions
  /** How long operations under way may take once the session has ended. */
  readonly drainTimeout: Milliseconds
  /** How long a call may still be answered as if no signal had come. */
  readonly interruptPatience: Milliseconds
  /** Whether a thread that waits has been told to end; default as if every signal were meant so. */
  readonly isEnding?: (thread: number) => boolean
  readonly log: Logger
}

const OPCODE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(OPCODE).map(([name, opcode]) => [opcode, name]),
)

export class Session implements RequestHandler {
  /** Settles at INIT; rejects if the kernel is too old or the session ends before. */
  readonly started: Promise<SessionInfo>
  /** Settles when all is over; rejects if the channel broke or `destroy` failed. */
  readonly closed: Promise<void>

  readonly #options: SessionOptions
  readonly #channel: Channel
  readonly #operations: Operations
  readonly #log: Logger
  readonly #notifier: KernelNotifier
  readonly #reader = new ByteReader()
  readonly #replies: Replies
  readonly #pending = new PendingRequests()
  readonly #settleStarted: Settle<SessionInfo>
  readonly #settleClosed: Settle<void>
  #state: 'new' | 'started' | 'ended' = 'new'
  #failure: Error | undefined
  #destroyed: Promise<void> | undefined

  constructor(options: SessionOptions) {
    this.#options = options
    this.#channel = options.channel
    this.#replies = new Replies(options.channel)
    this.#operations = options.operations
    this.#log = options.log
    this.#notifier = new KernelNotifier({
      device: options.device,
      activity: () => this.#pending.activity(),
      log: options.log,
    })
    ;[this.started, this.#settleStarted] = settleable<SessionInfo>()
    ;[this.closed, this.#settleClosed] = settleable<void>()
  }

  start(): void {
    this.#channel.start(this)
  }

  /** Gives up without the kernel's agreement, after a failure to start. */
  abandon(cause: Error): void {
    this.#failure ??= cause
    this.#channel.stop()
  }

  get busy(): boolean {
    return this.#pending.size > 0
  }

  get isReceiving(): boolean {
    return this.#operations.isReceiving === true
  }

  get hasEnded(): boolean {
    return this.#state === 'ended'
  }

  handle(bytes: Uint8Array, length: Bytes): void {
    let request: Request
    try {
      request = new Request(decode.decodeHeader(this.#reader.reset(bytes, 0, length)))
    } catch (error) {
      this.abandon(new Error('the kernel sent what is no request', { cause: error }))
      return
    }
    switch (request.opcode) {
      case OPCODE.FORGET:
      case OPCODE.BATCH_FORGET:
        return this.#forget(request)
      case OPCODE.INTERRUPT:
        return this.#interrupt(request)
      case OPCODE.INIT:
        return this.#init(request)
      case OPCODE.DESTROY:
        return this.#run(request, { call: () => this.#destroy() })
      default:
        return this.#run(request, HANDLERS.get(request.opcode) ?? refusal)
    }
  }

  ended(cause: Error | undefined): void {
    this.#failure ??= cause
    this.#state = 'ended'
    // Nobody waits for what this throws: it does not, see #finish.
    void this.#finish()
  }

  #init(request: Request): void {
    try {
      const offer = decode.decodeInit(this.#reader)
      const reply = negotiate(offer, this.#options.negotiation)
      if (offer.major === KERNEL_VERSION) {
        const info = {
          maxWrite: reply.maxWrite,
          maxReadahead: reply.maxReadahead,
          directMappings: (reply.flags2 & INIT_FLAG2.DIRECT_IO_ALLOW_MMAP) !== 0,
        }
        this.#operations.init(info, this.#notifier)
        this.#state = 'started'
        this.#settleStarted.resolve(info)
      }
      this.#log.debug({ offer, reply }, 'FUSE session agreed')
      this.#succeed(request, { call: () => reply, encode: writer => encodeInit(writer, reply) })
    } catch (error) {
      this.#fail(request, error)
      this.abandon(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #forget(request: Request): void {
    try {
      if (request.opcode === OPCODE.FORGET) {
        const { ino, lookups } = decode.decodeForget(this.#reader, request.ino)
        this.#operations.forget(ino, lookups)
        return
      }
      for (const { ino, lookups } of decode.decodeBatchForget(this.#reader)) {
        this.#operations.forget(ino, lookups)
      }
    } catch (error) {
      this.#logFault(request, error)
    }
  }

  #interrupt(request: Request): void {
    let target: Request | undefined
    try {
      target = this.#pending.find(decode.decodeInterrupt(this.#reader))
    } catch (error) {
      this.#logFault(request, error)
    }
    if (target === undefined) this.#replies.errno(request, ERRNO.EAGAIN)
    else target.interrupt(this.#options.interruptPatience, this.#isMeant(target))
  }

  /**
   * Nobody can call close(2) again, and runtimes (libuv) take its EINTR for success: it goes on, unless the
   * program is to end.
   */
  #isMeant({ opcode, pid }: Request): (() => boolean) | undefined {
    const { isEnding } = this.#options
    return opcode === OPCODE.FLUSH && isEnding !== undefined ? () => isEnding(pid) : undefined
  }

  #run(request: Request, handler: AnyHandler): void {
    let result: unknown
    try {
      result = handler.call(this.#operations, request, this.#reader)
    } catch (error) {
      return this.#fail(request, error)
    }
    if (!(result instanceof Promise)) return this.#succeed(request, handler, result)
    const giveBack = handler.keepsBuffer === true ? this.#channel.keepBuffer() : undefined
    this.#pending.add(request)
    result.then(
      value => {
        giveBack?.()
        this.#succeed(request, handler, value)
        this.#settled(request)
      },
      (error: unknown) => {
        giveBack?.()
        this.#fail(request, error)
        this.#settled(request)
      },
    )
  }

  #settled(request: Request): void {
    this.#pending.remove(request)
    this.#notifier.requestSettled()
  }

  #succeed(request: Request, handler: AnyHandler, result?: unknown): void {
    try {
      const missing = handler.error?.(result)
      const outcome =
        missing !== undefined
          ? this.#replies.errno(request, ERRNO[missing])
          : handler.slices === undefined
            ? this.#replies.record(request, handler, result)
            : this.#replies.data(request, handler.slices(result))
      if (outcome !== 'gone' && outcome !== 'refused') return
      if (outcome === 'refused') {
        this.#log.error(describe(request), 'an answer was refused by the kernel')
      }
    } catch (error) {
      // The method gave what no answer can hold.
      this.#fail(request, error)
    }
    this.#undo(request, handler, result)
  }

  #undo(request: Request, handler: AnyHandler, result: unknown): void {
    try {
      const undone = handler.undo?.(this.#operations, request, result)
      if (undone instanceof Promise) {
        undone.catch((error: unknown) => this.#logFault(request, error))
      }
    } catch (error) {
      this.#logFault(request, error)
    }
  }

  #fail(request: Request, error: unknown): void {
    if (!(error instanceof ErrnoError)) this.#logFault(request, error)
    this.#replies.errno(request, error instanceof ErrnoError ? error.errno : ERRNO.EIO)
  }

  #logFault(request: Request, error: unknown): void {
    this.#log.error({ err: error, ...describe(request) }, 'a FUSE request failed unexpectedly')
  }

  #destroy(): Promise<void> {
    this.#destroyed ??= Promise.resolve().then(() => this.#operations.destroy())
    return this.#destroyed
  }

  async #finish(): Promise<void> {
    const began = this.#destroyed !== undefined || (await this.#hasStarted())
    try {
      this.#pending.abort()
      await this.#drain()
      await this.#notifier.close()
      if (began) await this.#destroy()
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error))
    }
    try {
      await this.#options.device.close()
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error))
    }
    if (this.#failure === undefined) this.#settleClosed.resolve()
    else this.#settleClosed.reject(this.#failure)
  }

  /** Whether `init` was called; refuses `started` if it never will be. */
  async #hasStarted(): Promise<boolean> {
    this.#settleStarted.reject(
      this.#failure ?? new ErrnoError('ENOTCONN', 'unmounted before the kernel said INIT'),
    )
    return this.started.then(
      () => true,
      () => false,
    )
  }

  /** Waits for operations under way, for as long as they are given. */
  async #drain(): Promise<void> {
    const left = await this.#pending.drain(this.#options.drainTimeout)
    if (left.length === 0) return
    const requests = left.slice(0, 10).map(describe)
    this.#log.warn({ requests }, 'operations still under way are given up')
  }
}

/** Answers what no Operations method is for. */
const refusal: AnyHandler = { call: (_, request) => refuse(request.opcode) }

function describe(request: Request): object {
  const { opcode, unique, ino, pid } = request
  return { opcode: OPCODE_NAMES.get(opcode) ?? opcode, unique, ino, pid }
}

interface Settle<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

/** A promise with its handles, whose rejection need not be listened to. */
function settleable<T>(): [Promise<T>, Settle<T>] {
  let settle: Settle<T> | undefined
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject }
  })
  promise.catch(() => undefined)
  if (settle === undefined) throw new Error('a promise runs its executor at once')
  return [promise, settle]
}
