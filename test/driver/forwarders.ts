/** What stands between a client and a server: a TLS end, and an HTTP proxy. Both go with the test. */
import { createServer } from 'node:http'
import { connect, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { Test } from 'tap'
import type { Identity } from './certificates.js'

async function listen(t: Test, server: Server, sockets: ReadonlySet<Socket>): Promise<number> {
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** Joins two sockets for good or ill. */
function join(one: Socket, other: Socket, sockets: Set<Socket>): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    sockets.add(from)
    from.on('error', () => to.destroy())
    from.on('close', () => {
      sockets.delete(from)
      to.destroy()
    })
  }
  one.pipe(other)
  other.pipe(one)
}

/** Ends TLS in front of a plain server. @returns the port */
export async function terminateTls(t: Test, identity: Identity, target: string): Promise<number> {
  const { port } = new URL(target)
  const sockets = new Set<Socket>()
  const server = createTlsServer(identity, socket => {
    join(socket, connect(Number(port), '127.0.0.1'), sockets)
  })
  server.on('tlsClientError', () => undefined)
  return await listen(t, server, sockets)
}

export interface ConnectProxy {
  readonly port: number
  /** Targets asked for, and with which authorization. */
  readonly asked: { readonly target: string; readonly authorization: string | undefined }[]
}

/** An HTTP proxy that opens tunnels to this machine, whatever host it is asked for. */
export async function startProxy(t: Test): Promise<ConnectProxy> {
  const asked: { target: string; authorization: string | undefined }[] = []
  const sockets = new Set<Socket>()
  const server = createServer()
  server.on('connect', (request, socket: Socket) => {
    const target = request.url ?? ''
    asked.push({ target, authorization: request.headers['proxy-authorization'] })
    const upstream = connect(Number(target.split(':').at(-1)), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    })
    join(socket, upstream, sockets)
  })
  return { port: await listen(t, server, sockets), asked }
}
