/** Connections that are kept, break, hang or are answered oddly, over real sockets. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { HttpRequest } from '../../../../src/driver/bos/exchange.js'
import { bodyLength, type HttpResponse } from '../../../../src/driver/bos/http.js'
import {
  MAX_PUT,
  Receiver,
  type ReceiverOptions,
} from '../../../../src/driver/bos/receive/receiver.js'
import { bytes, failure } from '../../helpers.js'

const BODY = bytes(100_000)
const OK = `HTTP/1.1 206 Partial Content\r\nContent-Length: ${BODY.length}\r\n\r\n`

interface Scene {
  readonly receiver: Receiver
  /** Requests so far, by connection. */
  readonly requests: number[]
  readonly sockets: Socket[]
  /** One GET of BODY into new memory. */
  readonly get: (options?: {
    signal?: AbortSignal
    timeout?: number
    path?: string
  }) => Promise<Buffer | string>
}

type Answer = (socket: Socket, request: number, connection: number, data: Buffer) => void

const whole = (socket: Socket): void => {
  socket.write(OK)
  socket.write(BODY)
}

async function scene(
  t: Test,
  answer: Answer,
  options: Partial<ReceiverOptions> = {},
): Promise<Scene> {
  const requests: number[] = []
  const sockets: Socket[] = []
  let total = 0
  const server = createServer(socket => {
    const connection = sockets.push(socket) - 1
    requests.push(0)
    socket.on('error', () => undefined)
    socket.on('data', data => {
      requests[connection] = (requests[connection] ?? 0) + 1
      answer(socket, total++, connection, data)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const receiver = new Receiver({ origin: `http://127.0.0.1:${port}`, ...options })
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await receiver.close()
  })
  return {
    receiver,
    requests,
    sockets,
    get: async ({ signal, timeout = 5000, path = '/' } = {}) => {
      const target = Buffer.alloc(BODY.length)
      const half = target.length >> 1
      const buffers = [target.subarray(0, half), target.subarray(half)]
      const request = { method: 'GET', path, headers: { host: 'x' }, timeout, signal }
      const received = await receiver.receive(request, () => ({ buffers }))
      return received === undefined ? 'odd' : target
    },
  }
}

void t.test('requests one after the other share a connection', async t => {
  const { get, requests, receiver } = await scene(t, whole)
  for (let i = 0; i < 3; i += 1) t.ok(BODY.equals((await get()) as Buffer))
  t.same(requests, [3])
  t.equal(receiver.idleConnections, 1)
  await Promise.all([get(), get()])
  t.equal(requests.length, 2)
  t.equal(receiver.idleConnections, 2)
})

void t.test('a connection that was closed while it was not used costs no error', async t => {
  for (const close of ['end', 'resetAndDestroy'] as const) {
    // The answer to the first request on a connection; the second finds it closed.
    const { get, requests } = await scene(t, (socket, request, connection) => {
      if (request === 1 && connection === 0) socket[close]()
      else whole(socket)
    })
    await get()
    t.ok(BODY.equals((await get()) as Buffer))
    t.same(requests, [2, 1], 'the same request went out on a new one')
  }
})

void t.test('a new connection that breaks is an error, as is one inside an answer', async t => {
  const fresh = await scene(t, socket => void socket.end())
  t.match(await failure(fresh.get()), { kind: 'network' })
  t.same(fresh.requests, [1])

  const inside = await scene(t, (socket, request) => {
    if (request === 0) whole(socket)
    else socket.end(OK.slice(0, 20))
  })
  await inside.get()
  t.match(await failure(inside.get()), { kind: 'network' })
  t.same(inside.requests, [2])
})

void t.test('where nobody listens is no connection', async t => {
  const receiver = new Receiver({ origin: 'http://127.0.0.1:1' })
  const request = { method: 'GET', path: '/', headers: {}, timeout: 5000 }
  const refused = receiver.receive(request, () => ({ buffers: [] }))
  t.match(await failure(refused), { kind: 'connect', message: /ECONNREFUSED/ })
  await receiver.close()
})

void t.test('a server that says nothing, or stops in the middle, is given up', async t => {
  const silent = await scene(t, () => undefined)
  // Long enough to connect and to send, however busy the machine is.
  t.match(await failure(silent.get({ timeout: 1000 })), { kind: 'timeout' })
  const stopping = await scene(
    t,
    socket => {
      socket.write(OK)
      socket.write(BODY.subarray(0, 1000))
    },
    { idleTimeout: 30 },
  )
  t.match(await failure(stopping.get()), { kind: 'timeout' })
  t.equal(stopping.receiver.idleConnections, 0)
})

void t.test('a signal ends a request at once, and its connection', async t => {
  const reason = new Error('interrupted')
  const { get, receiver, requests, sockets } = await scene(t, socket => {
    socket.write(OK)
    socket.write(BODY.subarray(0, 1000))
  })
  const controller = new AbortController()
  const ended = failure(get({ signal: controller.signal }))
  while (requests[0] !== 1) await turn()
  controller.abort(reason)
  t.equal(await ended, reason)
  t.equal(await failure(get({ signal: controller.signal })), reason)
  t.equal(sockets.length, 1, 'what was aborted before is not sent')
  t.equal(receiver.idleConnections, 0)
})

void t.test('a connection is kept no longer than the server says', async t => {
  const { get, requests, receiver } = await scene(t, socket => {
    socket.write(OK.replace('\r\n\r\n', '\r\nKeep-Alive: timeout=1\r\n\r\n'))
    socket.write(BODY)
  })
  await get()
  t.equal(receiver.idleConnections, 0)
  await get()
  t.same(requests, [1, 1])
})

void t.test(
  'a service that answers oddly again and again is left to others for a while',
  async t => {
    let now = 0
    const clock = { now: () => now, sleep: () => Promise.resolve() }
    const { get, requests } = await scene(
      t,
      socket => void socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
      { clock },
    )
    for (let i = 0; i < 5; i += 1) t.equal(await get(), 'odd')
    t.equal(requests.length, 3)
    now += 10 * 60_000
    t.equal(await get(), 'odd')
    t.equal(requests.length, 4)
  },
)

void t.test('what cannot be said on the wire is left to others', async t => {
  const { get, requests } = await scene(t, whole)
  t.equal(await get({ path: '/a b' }), 'odd')
  t.equal(await get({ path: '/a\r\nx: y' }), 'odd')
  t.same(requests, [])
})

void t.test('closing waits for what is under way', async t => {
  const { get, receiver } = await scene(t, socket => {
    setTimeout(() => whole(socket), 30)
  })
  const last = get()
  await receiver.close()
  t.ok(BODY.equals((await last) as Buffer))
  t.equal(await get(), 'odd', 'nothing is sent afterwards')
})

const PUT_OK = 'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 0\r\n\r\n'

function put(
  receiver: Receiver,
  body: Uint8Array | readonly Uint8Array[],
  changes: Partial<HttpRequest> = {},
): Promise<HttpResponse | undefined> {
  const headers = { host: 'x', 'content-length': String(bodyLength(body)) }
  return receiver.put({ method: 'PUT', path: '/k', headers, body, timeout: 5000, ...changes })
}

void t.test('small PUTs go out whole, and share connections with what else is asked', async t => {
  const sent: Buffer[] = []
  const { get, receiver, requests } = await scene(t, (socket, _request, _connection, data) => {
    sent.push(data)
    if (data.toString('latin1', 0, 3) === 'PUT') socket.write(PUT_OK)
    else whole(socket)
  })
  t.match(await put(receiver, Buffer.from('abc')), { status: 200, headers: { etag: '"e"' } })
  t.match(await put(receiver, [Buffer.from('de'), Buffer.from(''), Buffer.from('f')]), {
    status: 200,
    body: Buffer.alloc(0),
  })
  t.match(await put(receiver, []), { status: 200 })
  t.ok(BODY.equals((await get()) as Buffer))
  t.same(requests, [4])
  const head = 'PUT /k HTTP/1.1\r\nconnection: keep-alive\r\nhost: x\r\ncontent-length:'
  t.equal(String(sent[0]), `${head} 3\r\n\r\nabc`)
  t.equal(String(sent[1]), `${head} 3\r\n\r\ndef`)
  t.equal(String(sent[2]), `${head} 0\r\n\r\n`)
})

void t.test(
  'PUTs that follow each other on one connection arrive whole, whatever their sizes',
  async t => {
    const bodies = [100, 60 * 1024, 10, 20_000].map((size, i) => Buffer.alloc(size, `${i}`))
    const arrived: Buffer[] = []
    let bytes = Buffer.alloc(0)
    const { receiver } = await scene(t, (socket, _request, _connection, data) => {
      bytes = Buffer.concat([bytes, data])
      const start = bytes.indexOf('\r\n\r\n') + 4
      if (bytes.length - start < (bodies[arrived.length]?.length ?? 0)) return
      arrived.push(bytes.subarray(start))
      bytes = Buffer.alloc(0)
      socket.write(PUT_OK)
    })
    for (const body of bodies) t.match(await put(receiver, body), { status: 200 })
    t.equal(receiver.idleConnections, 1)
    for (const [i, body] of bodies.entries()) t.ok(body.equals(arrived[i] ?? Buffer.alloc(0)))
  },
)

void t.test('the document that answers a PUT comes with it, of an error too', async t => {
  const { receiver } = await scene(t, (socket, request) => {
    const status = request === 0 ? '200 OK' : '412 Precondition Failed'
    socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 7\r\n\r\n{"a":`)
    setTimeout(() => socket.write('1}'), 10)
  })
  t.match(await put(receiver, []), { status: 200, body: Buffer.from('{"a":1}') })
  t.match(await put(receiver, []), { status: 412, body: Buffer.from('{"a":1}') })
  t.equal(receiver.idleConnections, 1)
})

void t.test(
  'a PUT is sent once: what breaks before an answer is for the caller to judge',
  async t => {
    const { receiver, requests } = await scene(t, (socket, request) => {
      if (request === 1) socket.resetAndDestroy()
      else socket.write(PUT_OK)
    })
    await put(receiver, [])
    t.match(await failure(put(receiver, [])), { kind: 'network', ambiguous: true })
    t.same(requests, [2])
    t.match(await put(receiver, []), { status: 200 }, 'over a new connection')
  },
)

void t.test(
  'an answer to a PUT that is not understood may be a success: the rest are left to others',
  async t => {
    const { receiver, requests } = await scene(
      t,
      socket => void socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
    )
    t.match(await failure(put(receiver, [])), { kind: 'integrity', ambiguous: true })
    t.equal(await put(receiver, []), undefined)
    t.same(requests, [1])
  },
)

void t.test('a signal or a silent server ends a PUT', async t => {
  const reason = new Error('interrupted')
  const { receiver, sockets } = await scene(t, () => undefined)
  const controller = new AbortController()
  const ended = failure(put(receiver, [], { signal: controller.signal }))
  await sleep(20)
  controller.abort(reason)
  t.equal(await ended, reason)
  t.equal(await failure(put(receiver, [], { signal: controller.signal })), reason)
  t.match(await failure(put(receiver, [], { timeout: 30 })), { kind: 'timeout' })
  t.equal(sockets.length, 2)
  t.equal(receiver.idleConnections, 0)
})

void t.test('what is no small PUT, or cannot be said on the wire, is left to others', async t => {
  const { receiver, requests } = await scene(t, socket => void socket.write(PUT_OK))
  const body = Buffer.from('abc')
  const host = { host: 'x', 'content-length': '3' }
  for (const changes of [
    { method: 'POST' },
    { path: '/a b' },
    { path: '/a\r\nx: y' },
    { headers: { host: 'x' } },
    { headers: { ...host, 'content-length': '4' } },
    { headers: { ...host, 'x-bce-meta-a': 'b\r\nc: d' } },
    { headers: { ...host, 'x-bce-meta-a': '\u00e4' } },
    { headers: { ...host, 'x-bce-meta-a b': 'c' } },
    { headers: { ...host, 'x-bce-meta-a:b': 'c' } },
  ]) {
    t.equal(await put(receiver, body, changes), undefined, JSON.stringify(changes))
  }
  t.equal(await put(receiver, Buffer.alloc(MAX_PUT + 1)), undefined)
  t.same(requests, [])
  await receiver.close()
  t.equal(await put(receiver, body), undefined, 'nothing is sent afterwards')
})
