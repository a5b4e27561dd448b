/**
 * One HTTP exchange while it is under way: what undici calls back, made to settle exactly once, and
 * never to deliver anything afterwards. Counts the bytes of the body against its announced length.
 */
import { listenForAbort } from '../../util/abort.js'
import type { Dispatcher } from 'undici'
import type { Bytes, Milliseconds } from '../../util/units.js'
import { BosError } from './error.js'

/** A body that can be sent more than once. */
export type HttpBody = Uint8Array | readonly Uint8Array[]

export interface HttpRequest {
  readonly method: string
  /** Percent-encoded path and query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: HttpBody | undefined
  /** Until the head of the answer has come; its body gets time by its length. */
  readonly timeout: Milliseconds
  readonly signal?: AbortSignal | undefined
}

export interface HttpHead {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
}

/** Takes the body of an answer piece by piece; what it throws ends the exchange. */
export type BodySink = (chunk: Buffer) => void

/** Below this a transfer is taken for dead. */
const SLOWEST_BYTES_PER_MS = 64
/** Bodies that need no more than this need no timer of their own. */
const SHORT: Milliseconds = 1000

/** The longest time that so many bytes may take. */
export function timeToMove(bytes: Bytes): Milliseconds {
  return Math.ceil(bytes / SLOWEST_BYTES_PER_MS)
}

/** One text for each name; undici gives the names in lower case. */
function plainHeaders(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  const plain: Record<string, string> = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined) plain[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return plain
}

const TLS_CODES =
  /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED|UNABLE_TO_|HOSTNAME_)/

/** What the failure of a connection means for the request on it. */
export function connectionError(error: Error, isConnected: boolean): BosError {
  const { code = '' } = error as NodeJS.ErrnoException
  const what = code === '' ? error.message : `${error.message} (${code})`
  if (TLS_CODES.test(code)) {
    return new BosError(`TLS: ${what}`, { kind: 'tls', cause: error })
  }
  if (!isConnected) {
    return new BosError(`cannot connect: ${what}`, { kind: 'connect', cause: error })
  }
  const kind = /TIMEOUT|ETIMEDOUT/.test(code) ? 'timeout' : 'network'
  return new BosError(`connection broke: ${what}`, { kind, cause: error })
}

/** Who is told of an exchange: of its head once, then of one of the two ends. */
export interface ExchangeEvents {
  /** What it throws ends the exchange. */
  head(head: HttpHead): BodySink
  end(): void
  fail(error: unknown): void
}

/** One exchange: what undici calls while it is under way. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #request: HttpRequest
  readonly #events: ExchangeEvents
  #timer: NodeJS.Timeout
  readonly #onAbort: () => void
  #controller: Dispatcher.DispatchController | undefined
  #sink: BodySink | undefined
  #expected: Bytes | undefined
  #received: Bytes = 0
  #over = false

  constructor(request: HttpRequest, events: ExchangeEvents) {
    this.#request = request
    this.#events = events
    this.#onAbort = () => this.stop(request.signal?.reason)
    this.#timer = this.#startTimer(request.timeout)
    listenForAbort(request.signal, this.#onAbort)
  }

  /** Ends the exchange with an error, whatever state it is in. */
  stop(error: unknown): void {
    if (!this.#settle()) return
    this.#events.fail(error)
    this.#controller?.abort(new Error('exchange stopped'))
  }

  /** The head has come and a stream takes over: the deadline no longer counts. */
  stopDeadline(): void {
    clearTimeout(this.#timer)
  }

  pause(): void {
    this.#controller?.pause()
  }

  resume(): void {
    this.#controller?.resume()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#over) controller.abort(new Error('exchange stopped'))
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Dispatcher.ResponseData['headers'],
  ): void {
    if (this.#over || status < 200) return
    const head: HttpHead = { status, headers: plainHeaders(headers) }
    const length = head.headers['content-length']
    if (length !== undefined && this.#request.method !== 'HEAD') this.#expected = Number(length)
    const bodyTime = timeToMove(this.#expected ?? 0)
    if (bodyTime > SHORT) {
      clearTimeout(this.#timer)
      this.#timer = this.#startTimer(this.#request.timeout + bodyTime)
    }
    this.#try(() => {
      this.#sink = this.#events.head(head)
    })
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return
    this.#received += chunk.length
    this.#try(() => this.#sink?.(chunk))
  }

  onResponseEnd(): void {
    if (this.#over) return
    if (this.#expected !== undefined && this.#received !== this.#expected) {
      const message = `the answer has ${this.#received} bytes instead of ${this.#expected}`
      this.stop(new BosError(message, { kind: 'integrity' }))
      return
    }
    this.#settle()
    this.#events.end()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#over) return
    this.stop(connectionError(error, this.#controller !== undefined))
  }

  #startTimer(timeout: Milliseconds): NodeJS.Timeout {
    return setTimeout(() => {
      const kind = this.#controller === undefined ? 'connect' : 'timeout'
      this.stop(new BosError(`no answer within ${timeout} ms`, { kind }))
    }, timeout)
  }

  #try(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.stop(error)
    }
  }

  #settle(): boolean {
    if (this.#over) return false
    this.#over = true
    clearTimeout(this.#timer)
    this.#request.signal?.removeEventListener('abort', this.#onAbort)
    return true
  }
}
