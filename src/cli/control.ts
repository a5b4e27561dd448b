/**
 * The conversation with a serving process: one line of JSON each way over a socket in the state
 * directory, which its owner alone can use (mode 0600 in a directory of 0700).
 *
 * The mount point itself is never touched: the answer comes even when the store does not answer.
 */
import { once } from 'node:events'
import { chmod, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { TallySnapshot } from '../metrics/tally.js'
import type { Milliseconds } from '../util/units.js'
import { CommandError, explain } from './errors.js'
import { socketOf } from './state.js'

export type ControlRequest =
  | { readonly do: 'stats' }
  | { readonly do: 'sync' }
  /** A path below the mount point; `/` for everything. */
  | { readonly do: 'invalidate'; readonly path: string }

export interface Stats {
  readonly source: string
  readonly mountpoint: string
  readonly pid: number
  /** Since the mount. */
  readonly uptime: Milliseconds
  readonly tally: TallySnapshot
  readonly counts: Readonly<Record<string, number>>
  /** Resident set of the process in bytes. */
  readonly memory: number
}

export interface ControlHandlers {
  stats(): Stats
  sync(signal: AbortSignal): Promise<void>
  invalidate(path: string): void
}

type Answer = { readonly result: unknown } | { readonly failure: string }

/** A request is one short line. */
const MAX_REQUEST = 16_384
const MAX_CLIENTS = 16

/** Listens until it is closed. @throws Error when the socket cannot be made */
export async function openControl(
  mountpoint: string,
  handlers: ControlHandlers,
): Promise<{ close(): Promise<void> }> {
  const path = socketOf(mountpoint)
  await rm(path, { force: true })
  const sockets = new Set<Socket>()
  const server: Server = createServer(socket => {
    sockets.add(socket)
    const gone = new AbortController()
    socket.on('error', () => undefined)
    socket.on('close', () => {
      sockets.delete(socket)
      gone.abort(new Error('whoever asked has gone'))
    })
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.length > MAX_REQUEST) socket.destroy()
      const end = text.indexOf('\n')
      if (end < 0) return
      const line = text.slice(0, end)
      text = ''
      void answer(line, handlers, gone.signal).then(reply => {
        if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`)
      })
    })
  })
  server.maxConnections = MAX_CLIENTS
  // Not open to others even until its mode is set.
  const umask = process.umask(0o177)
  server.listen(path)
  process.umask(umask)
  await once(server, 'listening')
  await chmod(path, 0o600)
  server.unref()
  return {
    close: async () => {
      server.close()
      for (const socket of sockets) socket.destroy()
      await rm(path, { force: true })
    },
  }
}

async function answer(
  line: string,
  handlers: ControlHandlers,
  signal: AbortSignal,
): Promise<Answer> {
  try {
    const request = JSON.parse(line) as ControlRequest
    switch (request.do) {
      case 'stats':
        return { result: handlers.stats() }
      case 'sync':
        await handlers.sync(signal)
        return { result: null }
      case 'invalidate':
        handlers.invalidate(String(request.path))
        return { result: null }
      default:
        return { failure: 'this version does not know the request' }
    }
  } catch (error) {
    return { failure: explain(error) }
  }
}

/**
 * Asks the process that serves a mount point.
 *
 * @throws CommandError with its own words, or when nobody answers
 */
export async function ask(
  mountpoint: string,
  request: ControlRequest,
  signal: AbortSignal,
): Promise<unknown> {
  const socket = connect(socketOf(mountpoint))
  const onAbort = (): void => void socket.destroy(signal.reason as Error)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await once(socket, 'connect', { signal })
    socket.write(`${JSON.stringify(request)}\n`)
    for await (const line of createInterface({ input: socket })) {
      const reply = JSON.parse(line) as Answer
      if ('failure' in reply) throw new CommandError(reply.failure)
      return reply.result
    }
    signal.throwIfAborted()
    throw new CommandError(`the process that serves ${mountpoint} has ended`)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'ENOENT' && code !== 'ECONNREFUSED' && code !== 'EACCES') throw error
    throw new CommandError(`no process of yours serves ${mountpoint} (see bosmount status)`)
  } finally {
    signal.removeEventListener('abort', onAbort)
    socket.destroy()
  }
}
