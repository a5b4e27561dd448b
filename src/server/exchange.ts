/**
 * One request and its response: ids, the headers that every response carries, bodies in both directions,
 * and the faults that act on it.
 *
 * INVARIANT: exactly one of the send methods is called, or the connection is destroyed.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Bytes, Milliseconds } from '../util/units.js'
import type { AccessLogEntry } from './access-log.js'
import { ConnectionLoss } from './connection-loss.js'
import { ConnectionLost, type ServiceError } from './errors.js'
import type { Fault } from './faults.js'
import { receiveChunks, type TakeChunk } from './receive.js'
import { Query, type Operation, type Target } from './router.js'
import { Sabotage } from './sabotage.js'

export interface ExchangeOptions {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly now: () => number
  /** A body must bring its next byte within this time. */
  readonly bodyTimeout: Milliseconds
  /** The client waits for `100 Continue`. */
  readonly expectsContinue: boolean
}

/** What a gateway in front of BOS might say. */
const HTML = '<html><body><h1>Bad gateway</h1></body></html>\n'

const NO_TARGET: Target = {
  rawPath: '/',
  query: new Query([]),
  bucket: '',
  key: '',
  pathStyle: false,
}

export class Exchange {
  readonly request: IncomingMessage
  readonly requestId = randomUUID()
  operation: Operation = 'Unknown'
  target: Target = NO_TARGET
  bytesIn: Bytes = 0
  bytesOut: Bytes = 0
  readonly #response: ServerResponse
  readonly #now: () => number
  readonly #started: number
  readonly #bodyTimeout: Milliseconds
  #expectsContinue: boolean
  #sabotage = new Sabotage()
  /** A fault has said what becomes of the connection. */
  #decided = false
  #code: string | undefined
  #status = 0
  readonly #loss = new ConnectionLoss()

  constructor(options: ExchangeOptions) {
    this.request = options.request
    this.#response = options.response
    this.#now = options.now
    this.#started = options.now()
    this.#bodyTimeout = options.bodyTimeout
    this.#expectsContinue = options.expectsContinue
    this.#response.sendDate = false
    this.#response.once('close', () => {
      if (!this.#response.writableFinished) this.#loss.declare()
    })
    this.#response.on('error', () => this.#loss.declare())
  }

  get method(): string {
    return this.request.method ?? ''
  }

  get headers(): IncomingHttpHeaders {
    return this.request.headers
  }

  get query(): Query {
    return this.target.query
  }

  /** True for the answers that must not have a body. */
  get isHead(): boolean {
    return this.method === 'HEAD'
  }

  get expectsContinue(): boolean {
    return this.#expectsContinue
  }

  /** A single-valued header; undefined when absent or empty. */
  header(name: string): string | undefined {
    const value = this.headers[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }

  /** The status line is out. */
  get hasStarted(): boolean {
    return this.#status !== 0
  }

  get isLost(): boolean {
    return this.#loss.isLost
  }

  /** Aborted when the connection is gone. */
  get lost(): AbortSignal {
    return this.#loss.signal
  }

  /**
   * Applies faults that come before the operation.
   * @returns false when the request is over with that
   */
  async injectFaults(faults: readonly Fault[], sleep: (time: Milliseconds) => Promise<void>) {
    if (faults.length === 0) return true
    this.#sabotage = new Sabotage(faults)
    if (this.#sabotage.pause > 0) await sleep(this.#sabotage.pause)
    for (const fault of faults) {
      switch (fault.kind) {
        case 'reset':
          this.destroy()
          return false
        case 'hang':
          this.#hang()
          return false
        case 'error': {
          const retry = fault.retryAfter
          this.sendFailure(fault.status, fault, retry === undefined ? {} : { 'Retry-After': retry })
          return false
        }
        case 'error-in-ok':
          this.sendFailure(200, fault)
          return false
        case 'html':
          this.#send(fault.status ?? 502, Buffer.from(HTML), 'text/html')
          return false
      }
    }
    return true
  }

  /**
   * Receives the body piece by piece, with flow control by the promise that `take` returns. Must be
   * called in the turn in which nothing else has read the request yet.
   * @throws ServiceError RequestTimeout
   * @throws ConnectionLost when the body ends before its announced length
   */
  async receive(take: TakeChunk): Promise<void> {
    if (this.#expectsContinue) {
      this.#expectsContinue = false
      this.#response.writeContinue()
    }
    await receiveChunks(this.request, this.#bodyTimeout, chunk => {
      this.#sabotage.spoilUpload(chunk, this.bytesIn)
      this.bytesIn += chunk.length
      if (this.bytesIn >= this.#sabotage.uploadLimit) this.destroy()
      return take(chunk)
    })
    if (this.isLost) throw new ConnectionLost('the connection was reset')
  }

  sendEmpty(status: number, headers: Readonly<Record<string, string>> = {}): void {
    if (this.#refuseToSend()) return
    const bodyless = status === 204 || status === 304
    this.#head(status, bodyless ? headers : { 'Content-Length': '0', ...headers })
    this.#finish()
  }

  /** Like a GET of `length` bytes, without them. */
  sendHead(status: number, headers: Readonly<Record<string, string>>): void {
    if (this.#refuseToSend()) return
    this.#head(status, headers)
    this.#finish()
  }

  sendJson(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
    const bytes = Buffer.from(JSON.stringify(body))
    this.#send(status, bytes, 'application/json; charset=utf-8', headers)
  }

  /** Answers a refusal; without a body where HTTP has none. */
  sendError(error: ServiceError): void {
    this.sendFailure(error.status, error, error.headers)
  }

  sendFailure(
    status: number,
    failure: { readonly code: string; readonly message?: string },
    headers: Readonly<Record<string, string>> = {},
  ): void {
    this.#code = failure.code
    if (this.isHead || status === 304) {
      this.sendHead(status, headers)
      return
    }
    const message = failure.message ?? failure.code
    this.sendJson(status, { code: failure.code, message, requestId: this.requestId }, headers)
  }

  /** Starts a response whose body goes out with `write` and `end`. @returns false when it must not */
  start(status: number, headers: Readonly<Record<string, string>>): boolean {
    if (this.#refuseToSend()) return false
    this.#head(status, headers)
    return true
  }

  /**
   * Sends bytes of a body. When the promise has resolved, `bytes` may be reused.
   * @throws ConnectionLost
   */
  async write(bytes: Uint8Array): Promise<void> {
    const allowed = this.#sabotage.spoilDownload(bytes, this.bytesOut)
    await this.#loss.unlessLost(done => {
      this.#response.write(allowed, () => {
        done()
        this.bytesOut += allowed.byteLength
        if (allowed.byteLength < bytes.byteLength) this.#endEarly()
      })
    })
  }

  end(): void {
    this.#finish()
  }

  /** Resets the connection. */
  destroy(): void {
    this.#loss.declare()
    this.request.socket.resetAndDestroy()
  }

  /** Resets the connection unless a fault has decided otherwise about it. */
  abandon(): void {
    if (!this.#decided) this.destroy()
  }

  /** What to log now that the request is over. */
  entry(): AccessLogEntry {
    return {
      time: new Date(this.#started).toISOString(),
      method: this.method,
      operation: this.operation,
      bucket: this.target.bucket,
      key: this.target.key,
      status: this.#status,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      milliseconds: Math.max(0, Math.round(this.#now() - this.#started)),
      requestId: this.requestId,
      ...(this.#code === undefined ? {} : { code: this.#code }),
    }
  }

  #send(
    status: number,
    bytes: Buffer,
    type: string,
    headers: Readonly<Record<string, string>> = {},
  ): void {
    if (this.#refuseToSend()) return
    this.#head(status, { 'Content-Type': type, 'Content-Length': String(bytes.length), ...headers })
    if (this.isHead) {
      this.#finish()
      return
    }
    const allowed = this.#sabotage.spoilDownload(bytes, 0)
    this.bytesOut += allowed.byteLength
    if (allowed.byteLength < bytes.byteLength) {
      this.#response.write(allowed, () => this.#endEarly())
      return
    }
    this.#finish(allowed)
  }

  #head(status: number, headers: Readonly<Record<string, string>>): void {
    this.#response.writeHead(status, {
      Date: new Date(this.#now() + this.#sabotage.skew).toUTCString(),
      Server: 'BceBos',
      'x-bce-request-id': this.requestId,
      'x-bce-debug-id': Buffer.from(this.requestId).toString('base64'),
      ...this.#sabotage.spoilHeaders(headers),
    })
    this.#status = status
  }

  #finish(bytes?: Uint8Array): void {
    this.#response.end(bytes, () => {
      if (this.#sabotage.has('reset-after')) this.request.socket.resetAndDestroy()
      // Whatever length was announced, the connection cannot be used again.
      else if (this.#sabotage.has('wrong-length')) this.request.socket.destroySoon()
    })
  }

  #endEarly(): void {
    if (this.#sabotage.has('hang-download')) {
      this.#hang()
    } else if (this.#sabotage.has('reset-download')) {
      this.destroy()
    } else {
      this.#decided = true
      this.#loss.declare()
      this.request.socket.destroySoon()
    }
  }

  /** Leaves the client without an answer until it goes or the server closes. */
  #hang(): void {
    this.#decided = true
    this.#loss.declare()
    this.request.resume()
  }

  #refuseToSend(): boolean {
    if (this.#sabotage.has('drop-response')) this.destroy()
    if (this.#sabotage.has('hang-response')) this.#hang()
    return this.isLost
  }
}
