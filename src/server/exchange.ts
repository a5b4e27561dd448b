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
import { ConnectionLost, ServiceError } from './errors.js'
import type { Fault } from './faults.js'
import { Query, type Operation, type Target } from './router.js'

export interface ExchangeOptions {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly now: () => number
  /** A body must bring its next byte within this time. */
  readonly bodyTimeout: Milliseconds
  /** The client waits for `100 Continue`. */
  readonly expectsContinue: boolean
}

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
  #faults: readonly Fault[] = []
  #code: string | undefined
  #status = 0
  #lost: ConnectionLost | undefined
  readonly #lostListeners = new Set<(error: ConnectionLost) => void>()

  constructor(options: ExchangeOptions) {
    this.request = options.request
    this.#response = options.response
    this.#now = options.now
    this.#started = options.now()
    this.#bodyTimeout = options.bodyTimeout
    this.#expectsContinue = options.expectsContinue
    this.#response.sendDate = false
    this.#response.once('close', () => {
      if (!this.#response.writableFinished) this.#lose()
    })
    this.#response.on('error', () => this.#lose())
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
    return this.#lost !== undefined
  }

  /**
   * Applies faults that come before the operation.
   * @returns false when the request is over with that
   */
  async injectFaults(faults: readonly Fault[], sleep: (delay: Milliseconds) => Promise<void>) {
    this.#faults = faults
    for (const fault of faults) if (fault.kind === 'delay') await sleep(fault.delay)
    for (const fault of faults) {
      switch (fault.kind) {
        case 'reset':
          this.destroy()
          return false
        case 'error': {
          const retry = fault.retryAfter
          this.sendFailure(fault.status, fault, retry === undefined ? {} : { 'Retry-After': retry })
          return false
        }
        case 'error-in-ok':
          this.sendFailure(200, fault)
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
  async receive(take: (chunk: Buffer) => Promise<void> | undefined): Promise<void> {
    if (this.#expectsContinue) {
      this.#expectsContinue = false
      this.#response.writeContinue()
    }
    const cut = this.#fault('reset-upload')
    const { request } = this
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        settle(new ServiceError('RequestTimeout', { headers: { Connection: 'close' } }))
      }, this.#bodyTimeout)
      const settle = (error?: Error) => {
        clearTimeout(timer)
        request.removeAllListeners('data')
        if (error === undefined) {
          resolve()
          return
        }
        request.resume()
        reject(error)
      }
      request.on('data', (chunk: Buffer) => {
        timer.refresh()
        this.bytesIn += chunk.length
        if (cut !== undefined && this.bytesIn >= cut.after) this.destroy()
        const busy = take(chunk)
        if (busy === undefined) return
        request.pause()
        busy.then(() => {
          timer.refresh()
          request.resume()
        }, settle)
      })
      request.once('end', () => settle())
      request.once('error', () => settle(new ConnectionLost('the request body broke off')))
      request.once('close', () => {
        if (!request.complete) settle(new ConnectionLost('the request body broke off'))
      })
    })
    if (this.isLost) throw new ConnectionLost('the connection was reset')
  }

  sendEmpty(status: number, headers: Readonly<Record<string, string>> = {}): void {
    if (this.#refuseToSend()) return
    const bodyless = status === 204 || status === 304
    this.#head(status, bodyless ? headers : { 'Content-Length': '0', ...headers })
    this.#response.end()
  }

  /** Like a GET of `length` bytes, without them. */
  sendHead(status: number, headers: Readonly<Record<string, string>>): void {
    if (this.#refuseToSend()) return
    this.#head(status, headers)
    this.#response.end()
  }

  sendJson(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
    if (this.#refuseToSend()) return
    const bytes = Buffer.from(JSON.stringify(body))
    this.#head(status, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': String(bytes.length),
      ...headers,
    })
    this.#end(this.isHead ? undefined : bytes)
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
    const allowed = this.#cut(bytes)
    await new Promise<void>((resolve, reject) => {
      if (this.#lost !== undefined) {
        reject(this.#lost)
        return
      }
      this.#lostListeners.add(reject)
      this.#response.write(allowed, () => {
        this.#lostListeners.delete(reject)
        this.bytesOut += allowed.byteLength
        if (allowed.byteLength < bytes.byteLength) this.#endEarly()
        resolve()
      })
    })
  }

  end(): void {
    this.#response.end()
  }

  /** Resets the connection. */
  destroy(): void {
    this.#lose()
    this.request.socket.resetAndDestroy()
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

  #head(status: number, headers: Readonly<Record<string, string>>): void {
    const skew = this.#fault('skew-date')?.skew ?? 0
    this.#response.writeHead(status, {
      Date: new Date(this.#now() + skew).toUTCString(),
      Server: 'BceBos',
      'x-bce-request-id': this.requestId,
      'x-bce-debug-id': Buffer.from(this.requestId).toString('base64'),
      ...headers,
    })
    this.#status = status
  }

  #end(bytes: Uint8Array | undefined): void {
    const allowed = bytes === undefined ? undefined : this.#cut(bytes)
    this.bytesOut += allowed?.byteLength ?? 0
    if (bytes !== undefined && allowed !== undefined && allowed.byteLength < bytes.byteLength) {
      this.#response.write(allowed, () => this.#endEarly())
      return
    }
    this.#response.end(allowed)
  }

  /** The bytes that faults let pass. */
  #cut(bytes: Uint8Array): Uint8Array {
    const cut = this.#fault('reset-download') ?? this.#fault('truncate')
    const left = cut === undefined ? Infinity : Math.max(0, cut.after - this.bytesOut)
    return left >= bytes.byteLength ? bytes : bytes.subarray(0, left)
  }

  #endEarly(): void {
    if (this.#fault('reset-download') !== undefined) {
      this.destroy()
      return
    }
    this.#lose()
    this.request.socket.destroySoon()
  }

  #refuseToSend(): boolean {
    if (this.#fault('drop-response') !== undefined) this.destroy()
    return this.isLost
  }

  #lose(): void {
    if (this.#lost !== undefined) return
    this.#lost = new ConnectionLost('the connection is gone')
    for (const listener of this.#lostListeners) listener(this.#lost)
    this.#lostListeners.clear()
  }

  #fault<Kind extends Fault['kind']>(kind: Kind): Extract<Fault, { kind: Kind }> | undefined {
    return this.#faults.find(
      (fault): fault is Extract<Fault, { kind: Kind }> => fault.kind === kind,
    )
  }
}
