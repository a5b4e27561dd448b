/**
 * GETs whose bodies go straight into memory that the caller owns, and PUTs of small objects, over
 * connections of our own: a quarter of the processor time that undici takes for the bytes of the former,
 * two thirds of it for the latter.
 *
 * Rules:
 * - a promise settles exactly once: by the whole answer, an error, the deadline, silence or the signal.
 *   Once it has, nothing is written to the landing any more;
 * - an answer that is not plainly what was expected (response-head.ts) is `undefined`, and the same
 *   request is to be sent by undici. A service whose answers are like that time and again is not asked
 *   this way for a while;
 * - a kept connection that breaks before the first byte of an answer was closed while it was not used:
 *   a GET is sent once more, over a new one;
 * - a PUT is sent once. Whatever may have been executed and has no answer that is understood is an
 *   error for the caller, who knows what a repetition can do; the next ones are left to undici.
 *
 * The caller bounds the number of requests at once (gate.ts), which bounds the connections.
 */
import { listenForAbort } from '../../../util/abort.js'
import { isIP, connect as connectPlain, type OnReadOpts } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { systemClock, type Clock } from '../../../util/clock.js'
import { KiB, type Bytes, type Milliseconds } from '../../../util/units.js'
import { BosError } from '../error.js'
import { timeToMove, type HttpBody, type HttpRequest } from '../exchange.js'
import { bodyLength, DEFAULT_CONNECTIONS, type HttpOptions, type HttpResponse } from '../http.js'
import { Connection, type Connect, type Outcome } from './connection.js'
import type { ChooseLanding } from './landing.js'

/** After so many answers in a row that were not understood, others are asked … */
const ODD_ANSWERS = 3
/** … for this long. */
const REST_AFTER_ODD: Milliseconds = 5 * 60_000
/** A server that closes after 5 s may do so while our request is on its way. */
const KEEP_ALIVE_MARGIN: Milliseconds = 1000
/** Larger bodies are not worth a copy into one buffer with their head. */
export const MAX_PUT: Bytes = 64 * KiB
/** How often connections that were not used are looked at. */
const SWEEP: Milliseconds = 1000

export interface ReceiverOptions extends HttpOptions {
  clock?: Clock
}

interface Kept {
  readonly connection: Connection
  readonly until: Milliseconds
}

/** What goes out on a connection. */
interface Sending {
  readonly bytes: string | Uint8Array
  /** Absent: the body is collected. */
  readonly choose?: ChooseLanding
  readonly end: Milliseconds
  /** It may be sent again where nothing of an answer has come. */
  readonly isRepeatable: boolean
}

export class Receiver {
  readonly #connect: Connect
  readonly #clock: Clock
  readonly #maxIdle: number
  readonly #connectTimeout: Milliseconds
  readonly #idleTimeout: Milliseconds
  readonly #keepAliveTimeout: Milliseconds
  /** The most lately used is the last. */
  #idle: Kept[] = []
  readonly #busy = new Set<Connection>()
  #sweep: NodeJS.Timeout | undefined
  #odd = 0
  #restUntil: Milliseconds = -Infinity
  /** Whether the answer to a PUT was not understood. */
  #putsOddly = false
  #closed = false
  #onIdle: (() => void) | undefined

  /** @param connect  how to get a socket; default by what the options say */
  constructor(options: ReceiverOptions, connect: Connect = connectorOf(options)) {
    this.#connect = connect
    this.#clock = options.clock ?? systemClock
    this.#maxIdle = options.connections ?? DEFAULT_CONNECTIONS
    this.#connectTimeout = options.connectTimeout ?? 10_000
    this.#idleTimeout = options.idleTimeout ?? 30_000
    this.#keepAliveTimeout = options.keepAliveTimeout ?? 30_000
  }

  /** Connections that wait for a request. */
  get idleConnections(): number {
    return this.#idle.length
  }

  /**
   * Sends a GET without a body.
   * @returns the answer, the body of an error included; undefined if somebody else is to ask
   * @throws BosError, what `choose` throws, or the signal's reason
   */
  async receive(request: HttpRequest, choose: ChooseLanding): Promise<HttpResponse | undefined> {
    const text = getText(request)
    if (this.#closed || text === undefined || this.#clock.now() < this.#restUntil) return undefined
    request.signal?.throwIfAborted()
    const end = performance.now() + request.timeout
    const kept = this.#takeIdle()
    let outcome: Outcome | 'stale' = 'stale'
    const sending = { bytes: text, choose, end, isRepeatable: true }
    if (kept !== undefined) outcome = await this.#exchange(kept, request, sending)
    if (outcome === 'stale') {
      const fresh = new Connection(this.#connect, this.#forget)
      outcome = await this.#exchange(fresh, request, sending)
    }
    return this.#judge(outcome)
  }

  /**
   * Sends a PUT of up to MAX_PUT bytes.
   * @returns the answer with its body; undefined, with nothing sent, if somebody else is to send it
   * @throws BosError, or the signal's reason
   */
  async put(request: HttpRequest): Promise<HttpResponse | undefined> {
    if (this.#closed || this.#putsOddly) return undefined
    const head = putHead(request)
    if (head === undefined) return undefined
    request.signal?.throwIfAborted()
    const end = performance.now() + request.timeout
    const connection = this.#takeIdle() ?? new Connection(this.#connect, this.#forget)
    const bytes = connection.outgoing(head.length + bodyLength(request.body))
    fill(bytes, head, request.body)
    const outcome = await this.#exchange(connection, request, { bytes, end, isRepeatable: false })
    if (outcome !== 'odd' && outcome !== 'stale') return outcome
    this.#putsOddly = true
    throw new BosError('the answer is not understood', { kind: 'integrity' })
  }

  /** Waits for what is under way, then closes all connections. */
  async close(): Promise<void> {
    this.#closed = true
    for (const { connection } of this.#idle.splice(0)) connection.destroy()
    clearTimeout(this.#sweep)
    if (this.#busy.size === 0) return
    await new Promise<void>(resolve => (this.#onIdle = resolve))
  }

  #exchange(
    connection: Connection,
    request: HttpRequest,
    { bytes, choose, end, isRepeatable }: Sending,
  ): Promise<Outcome | 'stale'> {
    const { timeout, signal } = request
    this.#busy.add(connection)
    return new Promise((resolve, reject) => {
      const wasUsed = connection.isUsed
      let deadline = end
      let heard = performance.now()
      let inBody = false
      const leave = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        this.#release(connection)
      }
      const stop = (error: unknown): void => {
        connection.destroy()
        leave()
        reject(error)
      }
      const onAbort = (): void => stop(signal?.reason)
      const limit = (): Milliseconds => {
        if (!connection.isConnected) return Math.min(deadline, heard + this.#connectTimeout)
        return inBody ? Math.min(deadline, heard + this.#idleTimeout) : deadline
      }
      const look = (): void => {
        const left = limit() - performance.now()
        if (left > 0) {
          timer = setTimeout(look, Math.ceil(left))
          return
        }
        const what = inBody ? 'the body has stopped coming' : `no answer within ${timeout} ms`
        stop(new BosError(what, { kind: connection.isConnected ? 'timeout' : 'connect' }))
      }
      let timer = setTimeout(look, Math.max(1, Math.ceil(limit() - heard)))
      listenForAbort(signal, onAbort)
      connection.send({
        bytes,
        choose,
        progress: (what, length) => {
          heard = performance.now()
          if (what !== 'head' || length === 0) return
          inBody = true
          deadline += timeToMove(length)
          // What is waited for from now on is late sooner than a head is.
          clearTimeout(timer)
          timer = setTimeout(look, Math.ceil(limit() - heard))
        },
        settle: outcome => {
          leave()
          resolve(outcome)
        },
        fail: error => {
          const isStale = isRepeatable && wasUsed && !connection.hasAnswer && isBroken(error)
          leave()
          if (isStale) resolve('stale')
          else reject(error)
        },
      })
    })
  }

  #judge(outcome: Outcome | 'stale'): HttpResponse | undefined {
    if (outcome !== 'odd' && outcome !== 'stale') {
      this.#odd = 0
      return outcome
    }
    this.#odd += 1
    if (this.#odd >= ODD_ANSWERS) {
      this.#odd = 0
      this.#restUntil = this.#clock.now() + REST_AFTER_ODD
    }
    return undefined
  }

  #takeIdle(): Connection | undefined {
    const now = performance.now()
    for (;;) {
      const kept = this.#idle.pop()
      if (kept === undefined) return undefined
      if (kept.connection.isUsable && now < kept.until) return kept.connection
      kept.connection.destroy()
    }
  }

  #release(connection: Connection): void {
    if (!this.#busy.delete(connection)) return
    const kept = Math.min(this.#keepAliveTimeout, connection.keepAlive - KEEP_ALIVE_MARGIN)
    if (connection.isUsable && kept > 0 && !this.#closed && this.#idle.length < this.#maxIdle) {
      connection.rest()
      this.#idle.push({ connection, until: performance.now() + kept })
      this.#sweep ??= setTimeout(this.#sweepIdle, SWEEP).unref()
    } else {
      connection.destroy()
    }
    if (this.#busy.size === 0) this.#onIdle?.()
  }

  readonly #sweepIdle = (): void => {
    this.#sweep = undefined
    const now = performance.now()
    const late = this.#idle.filter(({ until }) => until <= now)
    this.#idle = this.#idle.filter(({ until }) => until > now)
    for (const { connection } of late) connection.destroy()
    if (this.#idle.length > 0) this.#sweep = setTimeout(this.#sweepIdle, SWEEP).unref()
  }

  readonly #forget = (connection: Connection): void => {
    this.#idle = this.#idle.filter(kept => kept.connection !== connection)
  }
}

function isBroken(error: unknown): boolean {
  return error instanceof BosError && error.kind === 'network'
}

/** The text of a GET; undefined if it cannot be said on the wire as it is. */
function getText(request: HttpRequest): string | undefined {
  return request.method === 'GET' && request.body === undefined ? headText(request) : undefined
}

/** The head of a small PUT; undefined if it is none, or cannot be said on the wire as it is. */
function putHead(request: HttpRequest): string | undefined {
  const { method, body, headers } = request
  if (method !== 'PUT' || body === undefined) return undefined
  const length = bodyLength(body)
  if (length > MAX_PUT || headers['content-length'] !== String(length)) return undefined
  return headText(request)
}

function fill(bytes: Buffer, head: string, body: HttpBody = []): void {
  let at = bytes.write(head, 'latin1')
  for (const piece of body instanceof Uint8Array ? [body] : body) {
    bytes.set(piece, at)
    at += piece.length
  }
}

function headText({ method, path, headers }: HttpRequest): string | undefined {
  if (!/^[\x21-\x7e]+$/.test(path)) return undefined
  let text = `${method} ${path} HTTP/1.1\r\nconnection: keep-alive\r\n`
  for (const name in headers) {
    const value = headers[name] ?? ''
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name) || !/^[\t\x20-\x7e]*$/.test(value))
      return undefined
    text += `${name}: ${value}\r\n`
  }
  return `${text}\r\n`
}

function connectorOf({ origin, ca, lookup, skipVerify = false }: HttpOptions): Connect {
  const { protocol, hostname, port } = new URL(origin)
  const host = hostname.replace(/^\[|\]$/g, '')
  const isTls = protocol === 'https:'
  const place = {
    host,
    port: Number(port) || (isTls ? 443 : 80),
    ...(lookup === undefined ? {} : { lookup }),
  }
  if (!isTls) {
    return onread => {
      const socket = connectPlain({ ...place, onread, noDelay: true })
      return { socket, ready: 'connect' }
    }
  }
  const tls: ConnectionOptions = {
    ...place,
    rejectUnauthorized: !skipVerify,
    ALPNProtocols: ['http/1.1'],
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === undefined ? {} : { ca }),
  }
  let session: Buffer | undefined
  return (onread: OnReadOpts) => {
    const resumed = session === undefined ? {} : { session }
    const options = { ...tls, ...resumed, onread }
    const socket = connectTls(options)
    socket.setNoDelay(true)
    // The next connection need not do the whole handshake again.
    socket.on('session', latest => (session = latest))
    return { socket, ready: 'secureConnect' }
  }
}
