/**
 * A small signed BOS client for the tests of the server. Written from the description of the interface;
 * it shares no code with the server and uses no SDK. It sends exactly what it is told: paths are encoded
 * here and never normalised.
 */
import { createHmac } from 'node:crypto'
import { Agent, request, type IncomingHttpHeaders } from 'node:http'

export interface ClientOptions {
  readonly url: string
  readonly accessKeyId?: string
  readonly secretAccessKey?: string
  readonly sessionToken?: string
  readonly bucket?: string
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

export interface Call {
  readonly key?: string
  /** Replaces bucket and key: a path that is already encoded. */
  readonly rawPath?: string
  readonly query?: Readonly<Record<string, string>>
  /** An empty content-length sends none; other empty headers are sent empty. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Default: host, and of the others those that the scheme signs by default. */
  readonly signed?: readonly string[] | 'implicit'
  readonly anonymous?: boolean
  readonly expires?: number
  /** Ends the body after so many bytes, with the connection. */
  readonly breakAfter?: number
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** The body parsed, or undefined if it is not JSON. */
  readonly json: Json | undefined
  /** Error code in the body. */
  readonly code: string | undefined
}

export type Json = { readonly [name: string]: JsonValue }
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | Json

export const ACCESS_KEY_ID = 'test-access-key'
export const SECRET_ACCESS_KEY = 'test-secret-key'

export class TestClient {
  readonly #options: ClientOptions
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32 })

  constructor(options: ClientOptions) {
    this.#options = options
  }

  /** Value of the Host header. */
  get host(): string {
    return new URL(this.#options.url).host
  }

  get bucket(): string {
    return this.#options.bucket ?? 'test-bucket'
  }

  close(): void {
    this.#agent.destroy()
  }

  async call(method: string, call: Call = {}): Promise<Reply> {
    const { url } = this.#options
    const body = call.body === undefined ? undefined : Buffer.from(call.body)
    const path = call.rawPath ?? this.path(call.key)
    const query = { ...call.query }
    const headers = this.#headers(method, call, body)
    if (call.anonymous !== true) {
      headers['authorization'] = this.authorization({ method, path, query, headers }, call)
    }
    const search = Object.entries(query).map(([name, value]) => `${encode(name)}=${encode(value)}`)
    const target = path + (search.length === 0 ? '' : `?${search.join('&')}`)
    return await this.#send(new URL(url), {
      method,
      target,
      headers,
      body,
      breakAfter: call.breakAfter,
    })
  }

  path(key?: string): string {
    const inner = key === undefined ? '' : `/${encode(key).replaceAll('%2F', '/')}`
    return `/${this.bucket}${inner}`
  }

  /** The authorization string for a request. */
  authorization(
    parts: {
      readonly method: string
      readonly path: string
      readonly query: Readonly<Record<string, string>>
      readonly headers: Readonly<Record<string, string>>
    },
    call: Pick<Call, 'signed' | 'expires'> = {},
  ): string {
    const { accessKeyId = ACCESS_KEY_ID, secretAccessKey = SECRET_ACCESS_KEY } = this.#options
    const now = (this.#options.now ?? Date.now)()
    const stamp = `${new Date(now).toISOString().slice(0, 19)}Z`
    const prefix = `bce-auth-v1/${accessKeyId}/${stamp}/${call.expires ?? 1800}`
    const key = hmac(secretAccessKey, prefix)
    const usual = Object.keys(parts.headers).filter(
      name => /^(host|content-(md5|length|type))$/.test(name) || name.startsWith('x-bce-'),
    )
    const signed = call.signed === undefined || call.signed === 'implicit' ? usual : call.signed
    const lines = signed
      .map(name => [name, (parts.headers[name] ?? '').trim()] as const)
      .filter(([, value]) => value !== '')
      .map(([name, value]) => `${encode(name)}:${encode(value)}`)
      .sort()
    const query = Object.entries(parts.query)
      .filter(([name]) => name.toLowerCase() !== 'authorization')
      .map(([name, value]) => `${encode(name)}=${encode(value)}`)
      .sort()
    const canonical = [parts.method, parts.path, query.join('&'), lines.join('\n')].join('\n')
    const list = call.signed === 'implicit' ? '' : signed.join(';')
    return `${prefix}/${list}/${hmac(key, canonical)}`
  }

  #headers(method: string, call: Call, body: Buffer | undefined): Record<string, string> {
    const headers: Record<string, string> = {
      host: this.host,
      'x-bce-date': `${new Date((this.#options.now ?? Date.now)()).toISOString().slice(0, 19)}Z`,
    }
    const { sessionToken } = this.#options
    if (sessionToken !== undefined) headers['x-bce-security-token'] = sessionToken
    if (method === 'PUT' || method === 'POST') {
      headers['content-length'] = String(body?.length ?? 0)
    }
    for (const [name, value] of Object.entries(call.headers ?? {})) {
      headers[name.toLowerCase()] = value
    }
    if (headers['content-length'] === '') delete headers['content-length']
    return headers
  }

  async #send(
    url: URL,
    message: {
      readonly method: string
      readonly target: string
      readonly headers: Readonly<Record<string, string>>
      readonly body: Buffer | undefined
      readonly breakAfter: number | undefined
    },
  ): Promise<Reply> {
    const { method, target, headers, body, breakAfter } = message
    return await new Promise((resolve, reject) => {
      const outgoing = request(
        { host: url.hostname, port: url.port, method, path: target, headers, agent: this.#agent },
        response => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('close', () => reject(new Error('the response broke off')))
          response.on('end', () => {
            if (!response.complete) return
            resolve(reply(response.statusCode ?? 0, response.headers, Buffer.concat(chunks)))
          })
        },
      )
      outgoing.on('error', reject)
      if (breakAfter === undefined) {
        outgoing.end(body)
        return
      }
      outgoing.write(body?.subarray(0, breakAfter) ?? '', () => {
        outgoing.destroy(new Error('broken off on purpose'))
      })
    })
  }
}

function reply(status: number, headers: IncomingHttpHeaders, body: Buffer): Reply {
  const isJson = headers['content-type']?.startsWith('application/json') === true && body.length > 0
  const json = isJson ? parse(body.toString()) : undefined
  const code = json?.['code']
  return { status, headers, body, json, code: typeof code === 'string' ? code : undefined }
}

function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}

/** A member of a JSON body that must be a string. */
export function textOf(reply: Reply, name: string): string {
  const value = reply.json?.[name]
  if (typeof value !== 'string')
    throw new Error(`${name} is not a string: ${reply.body.toString()}`)
  return value
}

function hmac(key: string, message: string): string {
  return createHmac('sha256', key).update(message).digest('hex')
}

/** Percent-encodes every byte of UTF-8 but the unreserved ones. */
function encode(text: string): string {
  return Array.from(Buffer.from(text), byte => {
    const character = String.fromCharCode(byte)
    return /[A-Za-z0-9\-_.~]/.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }).join('')
}
