/**
 * The SDK's BosClient with its wire replaced: signs with the SDK's Auth, sends through http.ts, or over
 * connections of our own (receive/) where bytes or requests are many.
 *
 * What the SDK does wrong here and this does not: it verifies no certificates, closes
 * every connection, never times out, hangs when a body breaks off, turns keys like `a//b` into other
 * keys, and shares one clock offset among all clients. So the request's path is built from bucket and
 * key, never from the `resource` that BosClient hands over.
 *
 * Every call is one attempt, but for one repair: an answer that blames the clock or the credentials
 * is followed by a second attempt with a corrected clock or fresh credentials, if there are any.
 */
import BosClient from '@baiducloud/sdk/src/bos_client.js'
import { systemClock, type Clock } from '../../util/clock.js'
import { KiB, MiB, type Bytes, type Milliseconds } from '../../util/units.js'
import {
  sameCredentials,
  type BosCredentials,
  type CredentialsProvider,
} from '../credentials/credentials.js'
import { isSuccess, outcomeOf, refuseForeign, responseError } from './answers.js'
import { BosError } from './error.js'
import { timeToMove, type HttpBody, type HttpRequest } from './exchange.js'
import { Gate } from './gate.js'
import {
  bodyLength,
  DEFAULT_CONNECTIONS,
  Http,
  type ChooseSink,
  type HttpOptions,
  type HttpResponse,
  type HttpStream,
} from './http.js'
import { landingSink, type ChooseLanding } from './receive/landing.js'
import { Receiver } from './receive/receiver.js'
import { encodeKey, encodeQuery, Signer, TOKEN_NAME } from './sign.js'

export interface TransportOptions extends HttpOptions {
  bucket: string
  /** In front of every key's slash: empty for virtual-host style, `/bucket` for path style. */
  pathPrefix: string
  credentials: CredentialsProvider
  /** As `origin` and `pathPrefix`, for the URLs that `presign` makes; default those. */
  redirect?: { readonly origin: string; readonly pathPrefix: string }
  /** Longest time for one attempt without its bytes; default 60 s. */
  requestTimeout?: Milliseconds
  /** Default `bosmount`. */
  userAgent?: string
  clock?: Clock
}

export interface BosRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** Undefined for the bucket itself. */
  readonly key?: string | undefined
  readonly params?: Readonly<Record<string, string>> | undefined
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: HttpBody | undefined
  /** Bytes that the answer will have, if that is known. */
  readonly expectedBytes?: Bytes | undefined
  /** Further time for an answer that the service has to work for. */
  readonly patience?: Milliseconds | undefined
  /** Longest time for this attempt; default its own deadline. */
  readonly timeLeft?: Milliseconds | undefined
  readonly signal?: AbortSignal | undefined
}

/** A Date header has whole seconds and is as old as the answer took. */
const CLOCK_TOLERANCE: Milliseconds = 60_000
const USER_AGENT = 'bosmount'

/** Requests that move more are `large`: some connections are kept free of them. */
const LARGE: Bytes = MiB

/** An error document is short; whatever else it is, no more of it is looked at. */
const LONGEST_ERROR: Bytes = 64 * KiB

/** Time for what is particular to a request: bytes to send, work for the service. */
export function extraTime({
  body,
  patience = 0,
}: Pick<BosRequest, 'body' | 'patience'>): Milliseconds {
  return timeToMove(bodyLength(body)) + patience
}

/** Sends signed requests to one bucket. Errors are BosError, or the signal's reason. */
export interface Transport {
  /** Waits for the whole answer. Its body goes to the sink, or into the response. */
  request(request: BosRequest, chooseSink?: ChooseSink): Promise<HttpResponse>
  /** As `request`, for a GET whose body goes straight into memory of the caller's. */
  receive(request: BosRequest, choose: ChooseLanding): Promise<HttpResponse>
  /** Resolves with the head; the caller consumes or destroys the stream. */
  stream(request: BosRequest): Promise<HttpStream>
  /** A URL that serves one GET or HEAD without a header. */
  presign(method: 'GET' | 'HEAD', key: string, expires: Milliseconds): Promise<string>
  close(): Promise<void>
}

/** What goes through BosClient.sendRequest unchanged. */
interface Call {
  readonly request: BosRequest
  readonly chooseSink?: ChooseSink | undefined
  readonly chooseLanding?: ChooseLanding
  readonly streaming: boolean
}

class BosTransport extends BosClient implements Transport {
  readonly #options: TransportOptions
  readonly #http: Http
  /** None where a proxy is to be asked for every connection. */
  readonly #receiver: Receiver | undefined
  readonly #gate: Gate
  readonly #host: string
  readonly #signer = new Signer()
  readonly #clock: Clock
  /** What to add to this clock to get the service's. */
  #clockOffset: Milliseconds = 0

  constructor(options: TransportOptions) {
    super({
      endpoint: options.origin,
      credentials: { ak: '', sk: '' },
      pathStyleEnable: true,
      // Otherwise BosClient takes the endpoint apart for every request.
      customGenerateUrl: () => options.origin,
    })
    this.#options = options
    this.#http = new Http(options)
    this.#receiver = options.proxy === undefined ? new Receiver(options) : undefined
    this.#gate = new Gate(options.connections ?? DEFAULT_CONNECTIONS)
    this.#host = new URL(options.origin).host
    this.#clock = options.clock ?? systemClock
  }

  request(request: BosRequest, chooseSink?: ChooseSink): Promise<HttpResponse> {
    const call = { request, chooseSink, streaming: false }
    const isPut = request.method === 'PUT' && request.body !== undefined
    return (isPut ? this.#send(call) : this.#call(call)) as Promise<HttpResponse>
  }

  receive(request: BosRequest, chooseLanding: ChooseLanding): Promise<HttpResponse> {
    return this.#send({ request, chooseLanding, streaming: false }) as Promise<HttpResponse>
  }

  stream(request: BosRequest): Promise<HttpStream> {
    return this.#call({ request, streaming: true }) as Promise<HttpStream>
  }

  async presign(method: 'GET' | 'HEAD', key: string, expires: Milliseconds): Promise<string> {
    const credentials = await this.#options.credentials()
    const { origin, pathPrefix } = this.#options.redirect ?? this.#options
    const path = `${pathPrefix}/${encodeKey(key)}`
    const token = credentials.sessionToken?.reveal()
    const params: Record<string, string> = token === undefined ? {} : { [TOKEN_NAME]: token }
    const signature = this.#signer.authorization(credentials, {
      method,
      path,
      params,
      headers: { host: new URL(origin).host },
      headersToSign: ['host'],
      time: this.#now(),
      expires,
    })
    const query = encodeQuery({ ...params, authorization: signature })
    return `${origin}${path}${query}`
  }

  async close(): Promise<void> {
    await Promise.all([this.#http.close(), this.#receiver?.close()])
  }

  /** The hook of BosClient. */
  override sendHTTPRequest(
    _method: string,
    _resource: string,
    args: { readonly call?: unknown },
  ): Promise<HttpResponse | HttpStream> {
    return this.#send(args.call as Call)
  }

  /**
   * Through BosClient, which arranges what is then not used: 7 µs, a tenth of a small PUT. So what goes
   * over connections of our own has only its signature from the SDK.
   */
  #call(call: Call): Promise<HttpResponse | HttpStream> {
    const { method, key = '' } = call.request
    const args = { bucketName: this.#options.bucket, key, call }
    // With a resource of its own BosClient does not work one out, which would be the wrong one.
    return this.sendRequest(method, args, '/') as Promise<HttpResponse | HttpStream>
  }

  async #send(call: Call): Promise<HttpResponse | HttpStream> {
    const credentials = await this.#options.credentials()
    try {
      return await this.#attempt(call, credentials)
    } catch (error) {
      if (!(error instanceof BosError) || error.kind !== 'response') throw error
      const repaired = this.#correctClock(error)
        ? credentials
        : await this.#otherCredentials(error, credentials)
      if (repaired === undefined) throw error
      return await this.#attempt(call, repaired)
    }
  }

  /** One attempt, from the wait for a place among the others to the end of the answer. */
  async #attempt(call: Call, credentials: BosCredentials): Promise<HttpResponse | HttpStream> {
    const { request, streaming } = call
    const { signal, timeLeft = Infinity, body, expectedBytes = 0 } = request
    const own = (this.#options.requestTimeout ?? 60_000) + extraTime(request)
    const timeout = Math.max(1, Math.min(own, timeLeft))
    const began = this.#clock.now()
    const isLarge = streaming || bodyLength(body) + expectedBytes > LARGE
    const giveBack = await this.#gate.acquire(isLarge ? 'large' : 'small', { signal, timeout })
    const rest = Math.max(1, timeout - (this.#clock.now() - began))
    try {
      const signed = this.#sign(request, credentials, rest)
      if (streaming) {
        const response = await this.#openStream(signed)
        response.stream.once('close', () => giveBack('answered'))
        return response
      }
      const response = await this.#answer(signed, call)
      giveBack('answered')
      return response
    } catch (error) {
      giveBack(outcomeOf(error))
      throw error
    }
  }

  #answer(signed: HttpRequest, { chooseLanding, chooseSink }: Call): Promise<HttpResponse> {
    if (chooseLanding !== undefined) return this.#land(signed, chooseLanding)
    return chooseSink === undefined ? this.#put(signed) : this.#exchange(signed, chooseSink)
  }

  /** Anything whose answer has a short body, if any: small PUTs over connections of our own. */
  async #put(request: HttpRequest): Promise<HttpResponse> {
    const response = await this.#receiver?.put(request)
    if (response === undefined) return await this.#exchange(request, undefined)
    if (!isSuccess(response)) throw responseError(response, this.#now())
    refuseForeign(response)
    return response
  }

  async #exchange(request: HttpRequest, chooseSink: ChooseSink | undefined): Promise<HttpResponse> {
    const response = await this.#http.exchange(request, head => {
      if (!isSuccess(head)) return undefined
      refuseForeign(head)
      return chooseSink?.(head)
    })
    if (!isSuccess(response)) throw responseError(response, this.#now())
    return response
  }

  async #land(request: HttpRequest, choose: ChooseLanding): Promise<HttpResponse> {
    const response = await this.#receiver?.receive(request, head => {
      refuseForeign(head)
      return choose(head)
    })
    if (response === undefined) {
      return await this.#exchange(request, head => landingSink(choose(head)))
    }
    if (!isSuccess(response)) throw responseError(response, this.#now())
    return response
  }

  async #openStream(request: HttpRequest): Promise<HttpStream> {
    const response = await this.#http.stream(request)
    if (isSuccess(response)) {
      try {
        refuseForeign(response)
        return response
      } catch (error) {
        response.stream.destroy()
        throw error
      }
    }
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of response.stream) {
      chunks.push(chunk as Buffer)
      size += (chunk as Buffer).length
      if (size > LONGEST_ERROR) break
    }
    throw responseError({ ...response, body: Buffer.concat(chunks) }, this.#now())
  }

  #sign(request: BosRequest, credentials: BosCredentials, timeout: Milliseconds): HttpRequest {
    const { method, key, params = {}, body, signal } = request
    const path = this.#path(key)
    const now = this.#now()
    const headers: Record<string, string> = {
      host: this.#host,
      'x-bce-date': this.#signer.timestamp(credentials, now),
      'user-agent': this.#options.userAgent ?? USER_AGENT,
    }
    Object.assign(headers, request.headers)
    if (method === 'PUT' || method === 'POST') headers['content-length'] = String(bodyLength(body))
    const token = credentials.sessionToken?.reveal()
    if (token !== undefined) headers[TOKEN_NAME] = token
    headers['authorization'] = this.#signer.authorization(credentials, {
      method,
      path,
      params,
      headers,
      time: now,
    })
    return { method, path: path + encodeQuery(params), headers, body, timeout, signal }
  }

  #path(key: string | undefined): string {
    const path = `${this.#options.pathPrefix}${key === undefined ? '' : `/${encodeKey(key)}`}`
    return path === '' ? '/' : path
  }

  #now(): Milliseconds {
    return this.#clock.now() + this.#clockOffset
  }

  /** Sets the clock by the service's if that may have been the trouble. */
  #correctClock({ status, code, serverTime }: BosError): boolean {
    const blamesClock = code === 'RequestTimeTooSkewed' || code === 'RequestExpired'
    // HEAD has no body to tell the code.
    const mayBeClock = status === 403 && code === 'AccessDenied'
    if ((!blamesClock && !mayBeClock) || serverTime === undefined) return false
    if (Math.abs(serverTime - this.#now()) < CLOCK_TOLERANCE) return false
    this.#clockOffset = serverTime - this.#clock.now()
    return true
  }

  async #otherCredentials(
    { status, code = '' }: BosError,
    refused: BosCredentials,
  ): Promise<BosCredentials | undefined> {
    const mayBeRefused = CREDENTIAL_CODES.has(code) || status === 401
    if (!mayBeRefused) return undefined
    const others = await this.#options.credentials(refused)
    return sameCredentials(others, refused) ? undefined : others
  }
}

/** AccessDenied and InvalidHTTPRequest are what HEAD's bodyless 403 and 400 are read as. */
const CREDENTIAL_CODES: ReadonlySet<string> = new Set([
  'AccessDenied',
  'InvalidAccessKeyId',
  'InvalidHTTPRequest',
  'InvalidSessionToken',
  'SignatureDoesNotMatch',
])

export function createTransport(options: TransportOptions): Transport {
  return new BosTransport(options)
}
