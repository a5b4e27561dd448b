/**
 * `/metrics` for Prometheus, `/healthz` (the mount is there and the event loop turns) and `/readyz` (the store
 * answers, too), over HTTP at an address of this machine or a socket. Nothing else is answered, and nothing
 * can be changed by it.
 */
import { once } from 'node:events'
import { chmod, lstat, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { Milliseconds } from '../util/units.js'

export interface EndpointOptions {
  /** `HOST:PORT`, or the absolute path of a socket, which its owner alone can use. */
  readonly address: string
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  /** Rejects when there is no mount any more, or not yet. */
  readonly alive: () => Promise<void>
  /** Rejects when the mount cannot do its work. */
  readonly ready: (signal: AbortSignal) => Promise<void>
}

export interface Endpoint {
  /** Where it listens: a URL, or the path of the socket. */
  readonly url: string
  close(): Promise<void>
}

/** The answer of /readyz is asked for so often at most. */
const READY_FOR: Milliseconds = 1_000
const READY_WITHIN: Milliseconds = 3_000

/** A turn of the event loop that takes longer makes every program on the mount wait. */
const LONGEST_TURN: Milliseconds = 1_000

/** @throws Error if nobody can listen there */
export async function openEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const { address, metrics } = options
  const ready = remembered(options.ready)
  const health = (): Promise<string | undefined> => problemOf(healthy(options.alive))
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (!isRead) answer(response, 405, 'only GET\n')
    else if (path === '/healthz') void health().then(problem => report(response, problem))
    else if (path === '/readyz') {
      void health()
        .then(async problem => problem ?? (await ready()))
        .then(problem => report(response, problem))
    } else if (path === '/metrics') {
      void metrics.text().then(
        text => answer(response, 200, text, metrics.contentType),
        () => answer(response, 500, 'no metrics\n'),
      )
    } else answer(response, 404, 'there are /metrics, /healthz and /readyz\n')
  })
  const isSocket = address.startsWith('/')
  if (isSocket) await removeSocket(address)
  const { host, port } = isSocket ? { host: '', port: 0 } : parse(address)
  // A socket must not be open to others even until its mode is set.
  const umask = process.umask(isSocket ? 0o177 : process.umask())
  server.listen(isSocket ? { path: address } : { host, port })
  process.umask(umask)
  await once(server, 'listening')
  if (isSocket) await chmod(address, 0o600)
  const bound = server.address()
  const url = typeof bound === 'object' && bound !== null ? `http://${host}:${bound.port}` : address
  // It must not keep a process alive whose mount is gone.
  server.unref()
  return {
    url,
    close: async () => {
      server.close()
      server.closeAllConnections()
      if (isSocket) await rm(address, { force: true })
    },
  }
}

async function healthy(alive: EndpointOptions['alive']): Promise<void> {
  await alive()
  const began = performance.now()
  await new Promise(resolve => setTimeout(resolve, 0))
  const took = performance.now() - began
  if (took > LONGEST_TURN) throw new Error(`the event loop is late by ${Math.round(took)} ms`)
}

function report(response: ServerResponse, problem: string | undefined): void {
  if (problem === undefined) answer(response, 200, 'ok\n')
  else answer(response, 503, `${problem}\n`)
}

/** What a failure says, or undefined. */
function problemOf(work: Promise<void>): Promise<string | undefined> {
  return work.then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )
}

function parse(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(address)
  const host = match?.[1] ?? match?.[2]
  if (match === null || host === undefined || Number(match[3]) > 65_535) {
    throw new Error(`metrics: '${address}' is not HOST:PORT or /PATH`)
  }
  return { host: host === '' ? '127.0.0.1' : host, port: Number(match[3]) }
}

/** One that a killed process has left; nothing else is removed. */
async function removeSocket(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined)
  if (stats?.isSocket() === true) await rm(path)
}

function answer(response: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

/** @returns what is wrong, or undefined; asked anew when the last answer is old */
function remembered(ready: EndpointOptions['ready']): () => Promise<string | undefined> {
  let last: Promise<string | undefined> | undefined
  let asked = 0
  return () => {
    if (last === undefined || performance.now() - asked > READY_FOR) {
      asked = performance.now()
      last = problemOf(ready(AbortSignal.timeout(READY_WITHIN)))
    }
    return last
  }
}
