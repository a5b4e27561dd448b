/**
 * The pump: takes requests from the device and answers to it, on the main thread.
 *
 * A turn of the pump drains the device with non-blocking reads and hands over each request where it
 * lies, in one reused buffer. When nothing is left it waits, by the cheapest means that fits:
 * - requests are being worked on asynchronously: one turn of the event loop, which ends those that
 *   awaited only settled promises; then the device's own way of waiting;
 * - otherwise it asks again for some microseconds, if that has paid lately: a program that
 *   makes one call after another sends its next request within that time, and is spared two changes
 *   of thread. Not while bytes come in over the network: they wait for the same thread, and a cold
 *   sequential read had three quarters of its speed;
 * - then the device's own way of waiting (readiness.ts), for as long as it takes. Nothing runs while
 *   nothing is asked.
 *
 * Where threads do the waiting, one of UV_THREADPOOL_SIZE (default 4) is taken, which the executable must
 * raise before the pool is first used.
 *
 * Buffers: what a request's bytes are needed for after `handle` has returned, `keepBuffer` holds
 * back; the pump goes on with another buffer. Few are kept for reuse; more are made when needed, as
 * refusing to read could hold up the very request (FLUSH, INTERRUPT, FORGET) that frees one. Their
 * number is bounded by the requests that the kernel lets out at a time.
 *
 * INVARIANT: at most one of turn, poll, and scheduled turn is under way.
 */
import { Buffer } from 'node:buffer'
import { ERRNO } from '../../util/errno.js'
import type { Bytes, Milliseconds } from '../../util/units.js'
import { REQUEST_BUFFER_SIZE } from './abi.js'
import type { Device } from './device.js'

export interface ChannelConfig {
  /** How long to ask again before waiting; 0 never does. */
  readonly spin: Milliseconds
  /** After so long other work of the event loop gets a turn. */
  readonly turn: Milliseconds
  /** Request buffers kept for reuse, of 1 MiB each at most. */
  readonly spareBuffers: number
}

export const DEFAULT_CHANNEL_CONFIG: ChannelConfig = { spin: 0.02, turn: 2, spareBuffers: 16 }

export interface RequestHandler {
  /** One whole request in `bytes[0, length)`. Must not throw. */
  handle(bytes: Uint8Array, length: Bytes): void
  /** Whether requests wait for their answers. */
  readonly busy: boolean
  /** Whether the event loop has bytes to take in that no request waits for yet. */
  readonly isReceiving: boolean
  /** The last call: nothing more will come. `cause` is undefined at an orderly end. */
  ended(cause: Error | undefined): void
}

/** What has become of an answer. */
export type Acceptance = 'accepted' | 'gone' | 'ended' | 'refused'

/** How the recent past decides whether to spin: a counter, see `#spinWorth`. */
const WORTH_MAX = 8
const WORTH_NEEDED = 2
/** What a spin in vain takes from it: one in three must pay. */
const WORTH_LOST = 2
/** A poll that took fewer spins than this would have been a spin that paid, but for the threads. */
const SOON = 3

export class Channel {
  readonly #device: Device
  readonly #config: ChannelConfig
  readonly #now: () => Milliseconds
  readonly #spare: Buffer[] = []
  #handler: RequestHandler | undefined
  #buffer: Buffer = newBuffer()
  #kept = false
  #stopped = false
  #yielded = false
  /** From 0, never worth it, to WORTH_MAX; every request that came soon raises it. */
  #spinWorth = WORTH_NEEDED
  #drainedAt: Milliseconds = 0

  constructor(
    device: Device,
    config: ChannelConfig = DEFAULT_CHANNEL_CONFIG,
    now: () => Milliseconds = () => performance.now(),
  ) {
    this.#device = device
    this.#config = config
    this.#now = now
  }

  start(handler: RequestHandler): void {
    this.#handler = handler
    setImmediate(this.#turn)
  }

  /** Stops reading; `ended` is called once no wait is under way. */
  stop(): void {
    this.#stopped = true
    this.#device.wake()
  }

  /**
   * Holds back the buffer of the request that is being handled.
   * @returns what gives it back, to be called once
   */
  keepBuffer(): () => void {
    const buffer = this.#buffer
    this.#kept = true
    return () => {
      if (this.#spare.length < this.#config.spareBuffers) this.#spare.push(buffer)
    }
  }

  send(bytes: Uint8Array, length: Bytes): Acceptance {
    return acceptance(this.#device.write(bytes, length))
  }

  sendData(header: Uint8Array, slices: readonly Uint8Array[]): Acceptance {
    return acceptance(this.#device.writev(header, slices))
  }

  readonly #turn = (): void => {
    const handler = this.#handler
    if (handler === undefined) return
    const startedAt = this.#now()
    for (;;) {
      if (this.#stopped) return handler.ended(undefined)
      const length = this.#next(handler)
      if (length > 0) {
        this.#yielded = false
        this.#hand(handler, length)
        if (this.#now() - startedAt > this.#config.turn) {
          setImmediate(this.#turn)
          return
        }
      } else if (length === -ERRNO.EAGAIN) {
        return this.#wait(handler)
      } else if (!isRetry(length)) {
        return handler.ended(isEnd(length) ? undefined : readFailure(length))
      }
    }
  }

  /** A request, or minus the errno; asks repeatedly where that is worth it. */
  #next(handler: RequestHandler): number {
    const length = this.#device.read(this.#buffer)
    if (length !== -ERRNO.EAGAIN || handler.busy || handler.isReceiving) return length
    if (this.#spinWorth < WORTH_NEEDED) return length
    const until = this.#now() + this.#config.spin
    while (this.#now() < until) {
      const late = this.#device.read(this.#buffer)
      if (late !== -ERRNO.EAGAIN) {
        this.#raiseWorth()
        return late
      }
    }
    this.#spinWorth = Math.max(0, this.#spinWorth - WORTH_LOST)
    return -ERRNO.EAGAIN
  }

  #raiseWorth(): void {
    this.#spinWorth = Math.min(WORTH_MAX, this.#spinWorth + 1)
  }

  #hand(handler: RequestHandler, length: Bytes): void {
    handler.handle(this.#buffer, length)
    if (!this.#kept) return
    this.#kept = false
    this.#buffer = this.#spare.pop() ?? newBuffer()
  }

  #wait(handler: RequestHandler): void {
    if (handler.busy && !this.#yielded) {
      this.#yielded = true
      setImmediate(this.#turn)
      return
    }
    this.#drainedAt = this.#now()
    this.#device.poll(this.#polled)
  }

  readonly #polled = (): void => {
    this.#yielded = false
    if (this.#now() - this.#drainedAt < SOON * this.#config.spin) this.#raiseWorth()
    this.#turn()
  }
}

function newBuffer(): Buffer {
  // Not from Node's pool, and outside V8's heap: its address stays, and unused pages cost nothing.
  return Buffer.allocUnsafeSlow(REQUEST_BUFFER_SIZE)
}

/** A signal, or a request that was withdrawn while it was being read. */
function isRetry(result: number): boolean {
  return result === -ERRNO.EINTR || result === -ERRNO.ENOENT
}

/** Unmounted, or aborted through /sys/fs/fuse/connections. */
function isEnd(result: number): boolean {
  return result === -ERRNO.ENODEV || result === -ERRNO.ECONNABORTED
}

function readFailure(result: number): Error {
  return new Error(
    result === 0
      ? 'reading /dev/fuse gave no bytes'
      : `reading /dev/fuse failed with errno ${-result}`,
  )
}

function acceptance(result: number): Acceptance {
  if (result >= 0) return 'accepted'
  // The caller was killed, or had its request aborted, before the answer came.
  if (result === -ERRNO.ENOENT) return 'gone'
  return isEnd(result) ? 'ended' : 'refused'
}
