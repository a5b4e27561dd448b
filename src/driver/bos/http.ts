/**
 * HTTP on undici: one request at a time per connection, connections kept alive and bounded.
 *
 * Rules:
 * - a promise settles exactly once, by the end of the answer, an error, the deadline or the signal;
 *   after it has settled nothing of the answer is delivered any more;
 * - a body that ends before its Content-Length, or has no end that can be told, is an error;
 * - the deadline covers everything, the wait for a free connection included.
 * It knows nothing of BOS: any status is an answer.
 */
import { isIP, type LookupFunction } from 'node:net'
import { Readable } from 'node:stream'
import { Pool, ProxyAgent, type Dispatcher } from 'undici'
import type { Secret } from '../../util/secret.js'
import type { Bytes, Milliseconds } from '../../util/units.js'
import { BosError } from './error.js'
import {
  Exchange,
  type BodySink,
  type ExchangeEvents,
  type HttpBody,
  type HttpHead,
  type HttpRequest,
} from './exchange.js'

export const DEFAULT_CONNECTIONS = 32

export interface HttpOptions {
  /** Scheme, host and port. */
  origin: string
  /** Most connections at once; default 32. */
  connections?: number
  /** Certificates to trust instead of the built-in ones, PEM. */
  ca?: string | Buffer
  /** Take any certificate; default false. */
  skipVerify?: boolean
  /** URL of an HTTP proxy, which is asked by CONNECT for every connection. */
  proxy?: Secret
  /** Resolves host names; default the system's way. */
  lookup?: LookupFunction
  /** Default 10 s. */
  connectTimeout?: Milliseconds
  /** Longest silence within an answer's body; default 30 s. */
  idleTimeout?: Milliseconds
  /** How long an unused connection is kept; default 30 s. */
  keepAliveTimeout?: Milliseconds
  /** Most requests under way or waiting; default 4096. */
  maxRequests?: number
}

/** Chooses where a body goes; undefined is to the `body` of the response. */
export type ChooseSink = (head: HttpHead) => BodySink | undefined

export interface HttpResponse extends HttpHead {
  readonly body: Buffer
}

export interface HttpStream extends HttpHead {
  readonly stream: Readable
}

/** Collected bodies are JSON documents and small objects; anything larger goes to a sink. */
const MAX_COLLECTED: Bytes = 64 * 1024 * 1024
/** Lists of small pieces are cheaper as one buffer than as many writes. */
const JOIN_BELOW: Bytes = 64 * 1024

export function bodyLength(body: HttpBody | undefined): Bytes {
  if (body === undefined) return 0
  if (body instanceof Uint8Array) return body.length
  let length = 0
  for (const piece of body) length += piece.length
  return length
}

const NOTHING = Buffer.alloc(0)

function joined([first = NOTHING, ...rest]: readonly Buffer[]): Buffer {
  return rest.length === 0 ? first : Buffer.concat([first, ...rest])
}

function* pieces(list: readonly Uint8Array[]): Generator<Uint8Array> {
  for (const piece of list) if (piece.length > 0) yield piece
}

/** A single buffer goes out as it is; a list is written piece by piece, without joining it. */
type WireBody = Exclude<Dispatcher.DispatchOptions['body'], undefined>

function wireBody(body: HttpBody | undefined): WireBody {
  if (body === undefined || body instanceof Uint8Array) return body ?? null
  const [first, second] = body
  if (first === undefined) return null
  if (second === undefined) return first
  if (bodyLength(body) <= JOIN_BELOW) return Buffer.concat(body)
  // undici takes any iterable; its type does not say so.
  return pieces(body) as unknown as Readable
}

function createDispatcher(options: HttpOptions): Dispatcher {
  const { origin, proxy, ca, lookup, skipVerify = false } = options
  const pool = {
    connections: options.connections ?? DEFAULT_CONNECTIONS,
    pipelining: 1,
    keepAliveTimeout: options.keepAliveTimeout ?? 30_000,
    allowH2: false,
  }
  const tls = { rejectUnauthorized: !skipVerify, ...(ca === undefined ? {} : { ca }) }
  const connect = {
    timeout: options.connectTimeout ?? 10_000,
    ...(lookup === undefined ? {} : { lookup }),
  }
  if (proxy === undefined) return new Pool(origin, { ...pool, connect: { ...connect, ...tls } })
  const { hostname } = new URL(origin)
  return new ProxyAgent({
    uri: proxy.reveal(),
    ...pool,
    proxyTls: connect,
    requestTls: { ...tls, ...(isIP(hostname) === 0 ? { servername: hostname } : {}) },
  })
}

export class Http {
  readonly #dispatcher: Dispatcher
  readonly #origin: string
  readonly #idleTimeout: Milliseconds
  readonly #maxRequests: number
  #underWay = 0
  #closing: Promise<void> | undefined

  constructor(options: HttpOptions) {
    this.#origin = options.origin
    this.#idleTimeout = options.idleTimeout ?? 30_000
    this.#maxRequests = options.maxRequests ?? 4096
    this.#dispatcher = createDispatcher(options)
  }

  /** Sends a request and waits for the end of the answer. */
  exchange(request: HttpRequest, chooseSink?: ChooseSink): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      const collected: Buffer[] = []
      let size = 0
      let head: HttpHead = { status: 0, headers: {} }
      this.#start(request, {
        head: received => {
          head = received
          const sink = chooseSink?.(received)
          if (sink !== undefined) return sink
          return chunk => {
            size += chunk.length
            if (size > MAX_COLLECTED) {
              throw new BosError(`the answer is larger than ${MAX_COLLECTED} bytes`, {
                kind: 'integrity',
              })
            }
            collected.push(chunk)
          }
        },
        end: () => resolve({ status: head.status, headers: head.headers, body: joined(collected) }),
        fail: reject,
      })
    })
  }

  /**
   * Sends a request and resolves with the head; the stream fails if the body breaks off. Whoever gets
   * the stream consumes or destroys it: it holds a connection.
   */
  stream(request: HttpRequest): Promise<HttpStream> {
    return new Promise((resolve, reject) => {
      let stream: Readable | undefined
      const exchange = this.#start(request, {
        head: head => {
          const opened = new Readable({
            read: () => exchange?.resume(),
            destroy: (error, callback) => {
              exchange?.stop(error ?? new Error('stream destroyed'))
              callback(error)
            },
          })
          // It may break off before anybody reads it; who reads it then still gets the error.
          opened.on('error', () => undefined)
          stream = opened
          exchange?.stopDeadline()
          resolve({ ...head, stream: opened })
          return chunk => {
            if (!opened.push(chunk)) exchange?.pause()
          }
        },
        end: () => stream?.push(null),
        fail: error => {
          if (stream === undefined) reject(error)
          else if (!stream.destroyed) {
            stream.destroy(error instanceof Error ? error : new Error(String(error)))
          }
        },
      })
    })
  }

  /** Waits for what is under way, then closes all connections. */
  async close(): Promise<void> {
    this.#closing ??= this.#dispatcher.close()
    await this.#closing
  }

  #start(request: HttpRequest, events: ExchangeEvents): Exchange | undefined {
    const { signal, method, path, headers, body } = request
    if (signal?.aborted === true) {
      events.fail(signal.reason)
      return undefined
    }
    if (this.#underWay >= this.#maxRequests) {
      const message = `more than ${this.#maxRequests} requests at once`
      events.fail(new BosError(message, { kind: 'response', status: 429 }))
      return undefined
    }
    this.#underWay++
    const finish = (): void => void this.#underWay--
    const exchange = new Exchange(request, {
      head: head => events.head(head),
      end: () => {
        finish()
        events.end()
      },
      fail: error => {
        finish()
        events.fail(error)
      },
    })
    this.#dispatcher.dispatch(
      {
        origin: this.#origin,
        method,
        path,
        headers,
        body: wireBody(body),
        // undici would close the connection after every HEAD.
        reset: false,
        headersTimeout: request.timeout,
        bodyTimeout: this.#idleTimeout,
      },
      exchange,
    )
    return exchange
  }
}
