/** The wire against servers that misbehave in the ways of the wire. */
import { createServer as createTlsServer } from 'node:https'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { HttpRequest } from '../../../src/driver/bos/exchange.js'
import { Http, type HttpOptions } from '../../../src/driver/bos/http.js'
import { bytes, failure } from '../helpers.js'
import { CERTIFICATE, PRIVATE_KEY } from './certificate.js'

type Answer = (socket: Socket, head: string) => void

interface Wire {
  readonly http: Http
  readonly connections: () => number
}

/** A server that answers each request head with `answer`, byte for byte. */
async function wire(t: Test, answer: Answer, options: Partial<HttpOptions> = {}): Promise<Wire> {
  const sockets = new Set<Socket>()
  let connections = 0
  const server: Server = createServer(socket => {
    connections++
    sockets.add(socket)
    let head = ''
    socket.on('error', () => undefined)
    socket.on('data', data => {
      head += data.toString('latin1')
      if (!head.includes('\r\n\r\n')) return
      const request = head
      head = ''
      answer(socket, request)
    })
  })
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const http = new Http({ origin: `http://127.0.0.1:${port}`, ...options })
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await http.close()
    server.close()
  })
  return { http, connections: () => connections }
}

function get(changes: Partial<HttpRequest> = {}): HttpRequest {
  return { method: 'GET', path: '/', headers: {}, timeout: 5000, ...changes }
}

function ok(body: string, length = body.length): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n${body}`
}

async function drained(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

void t.test('requests one after the other share a connection', async t => {
  const { http, connections } = await wire(t, socket => void socket.write(ok('hello')))
  for (let i = 0; i < 5; i++) {
    const { status, headers, body } = await http.exchange(get())
    t.same([status, headers['content-length'], body.toString()], [200, '5', 'hello'])
  }
  t.ok(connections() <= 2, 'the pool may open another before the first is idle again')
})

void t.test('a HEAD keeps its connection too', async t => {
  const head = 'HTTP/1.1 404 Not Found\r\nConnection: keep-alive\r\nContent-Length: 9\r\n\r\n'
  const { http, connections } = await wire(t, socket => void socket.write(head))
  for (let i = 0; i < 5; i++) {
    const { status, body } = await http.exchange(get({ method: 'HEAD' }))
    t.same([status, body.length], [404, 0])
  }
  t.ok(connections() <= 2)
})

void t.test('requests at once take no more connections than allowed', async t => {
  const { http, connections } = await wire(
    t,
    socket => void setImmediate(() => socket.write(ok('x'))),
    { connections: 3 },
  )
  await Promise.all(Array.from({ length: 20 }, () => http.exchange(get())))
  t.equal(connections(), 3)
})

void t.test('more requests at once than may wait are refused as throttled', async t => {
  const { http } = await wire(t, () => undefined, { connections: 1, maxRequests: 2 })
  const stop = new AbortController()
  const waiting = [1, 2].map(() => failure(http.exchange(get({ signal: stop.signal }))))
  t.match(await failure(http.exchange(get())), { kind: 'response', status: 429 })
  stop.abort(new Error('over'))
  for (const error of await Promise.all(waiting)) t.match(error, { message: 'over' })
})

for (const [what, answer] of [
  ['ends early', (socket: Socket) => void socket.end(ok('half', 8))],
  [
    'is reset',
    (socket: Socket) => void socket.write(ok('half', 8), () => socket.resetAndDestroy()),
  ],
  [
    'ends inside a chunk',
    (socket: Socket) =>
      void socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf'),
  ],
] as const) {
  void t.test(`a body that ${what} is an error, never an early end`, async t => {
    const { http } = await wire(t, answer)
    t.match(await failure(http.exchange(get())), { name: 'BosError', kind: 'network' })
    const { stream } = await http.stream(get())
    t.match(await failure(drained(stream)), { name: 'BosError', kind: 'network' })
    const unread = await http.stream(get())
    await new Promise(resolve => unread.stream.once('close', resolve))
    t.match(await failure(drained(unread.stream)), { name: 'BosError' }, 'also when read late')
  })
}

void t.test('an answer that is no HTTP is an error', async t => {
  const { http } = await wire(t, socket => void socket.end('220 smtp.example.com ready\r\n'))
  t.match(await failure(http.exchange(get())), { name: 'BosError', kind: 'network' })
})

void t.test('no answer ends with the deadline', async t => {
  const { http } = await wire(t, () => undefined)
  // Long enough to connect and to send, however busy the machine is.
  const patient = get({ timeout: 1000 })
  const failures = await Promise.all([
    failure(http.exchange(patient)),
    failure(http.stream(patient)),
  ])
  t.match(failures, [{ kind: 'timeout' }, { kind: 'timeout' }])
})

void t.test('the deadline covers the wait for a connection, before anything is sent', async t => {
  const { http } = await wire(t, () => undefined, { connections: 1 })
  const stop = new AbortController()
  const first = failure(http.exchange(get({ timeout: 60_000, signal: stop.signal })))
  t.match(await failure(http.exchange(get({ timeout: 50 }))), { kind: 'connect' })
  stop.abort(new Error('over'))
  t.match(await first, { message: 'over' })
})

void t.test('a body that stops coming ends with the idle timeout', async t => {
  const { http } = await wire(t, socket => void socket.write(ok('half', 8)), { idleTimeout: 50 })
  const { stream } = await http.stream(get())
  t.match(await failure(drained(stream)), { kind: 'timeout' })
})

void t.test('an abort ends a request in any state with its reason', async t => {
  let answered: () => void = () => undefined
  const { http } = await wire(t, socket => void socket.write(ok('half', 8), () => answered()), {
    connections: 1,
  })
  const reason = new Error('enough')
  t.equal(await failure(http.exchange(get({ signal: AbortSignal.abort(reason) }))), reason)
  const stop = new AbortController()
  const { signal } = stop
  const underWay = failure(http.exchange(get({ signal })))
  const waiting = failure(http.exchange(get({ signal })))
  await new Promise<void>(resolve => (answered = resolve))
  stop.abort(reason)
  t.equal(await underWay, reason)
  t.equal(await waiting, reason)
  const another = new AbortController()
  const { stream } = await http.stream(get({ signal: another.signal }))
  another.abort(reason)
  t.equal(await failure(drained(stream)), reason)
})

void t.test('nothing is delivered after an abort', async t => {
  const stop = new AbortController()
  const { http } = await wire(t, socket => {
    socket.write(ok('first', 10))
    setTimeout(() => socket.write('later'), 30)
  })
  const received: string[] = []
  const exchange = http.exchange(get({ signal: stop.signal }), () => chunk => {
    received.push(chunk.toString())
    stop.abort(new Error('stop'))
  })
  t.match(await failure(exchange), { message: 'stop' })
  await new Promise(resolve => setTimeout(resolve, 60))
  t.same(received, ['first'])
})

void t.test('what a sink throws ends the exchange', async t => {
  const { http } = await wire(t, socket => void socket.write(ok('data')))
  const trouble = new Error('no room')
  const whileReading = http.exchange(get(), () => () => {
    throw trouble
  })
  t.equal(await failure(whileReading), trouble)
  const atHead = http.exchange(get(), () => {
    throw trouble
  })
  t.equal(await failure(atHead), trouble)
})

void t.test('a slow reader holds the sender back', async t => {
  let sent = 0
  const { http } = await wire(t, socket => {
    const total = 200
    const chunk = Buffer.alloc(256 * 1024)
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total * chunk.length}\r\n\r\n`)
    const more = (): void => {
      while (sent < total) {
        sent++
        if (!socket.write(chunk)) {
          socket.once('drain', more)
          return
        }
      }
    }
    more()
  })
  const { stream } = await http.stream(get())
  await new Promise(resolve => setTimeout(resolve, 100))
  t.ok(sent < 100, 'the rest waits')
  t.equal((await drained(stream)).length, 200 * 256 * 1024)
})

void t.test('bodies of every shape arrive whole', async t => {
  const { createServer: createHttpServer } = await import('node:http')
  const received: Buffer[] = []
  const server = createHttpServer((request, response) => {
    void drained(request).then(body => {
      received.push(body)
      response.end()
    })
  })
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const http = new Http({ origin: `http://127.0.0.1:${port}` })
  t.teardown(async () => {
    await http.close()
    server.close()
  })
  const bodies = [
    bytes(10),
    [],
    [bytes(0)],
    [bytes(10), bytes(20, 2)],
    [bytes(100_000), bytes(0), bytes(3 * 1024 * 1024, 2), bytes(1, 3)],
    new Uint8Array(bytes(70_000)),
  ]
  for (const body of bodies) {
    const expected = Buffer.concat(body instanceof Uint8Array ? [body] : body)
    const headers = { 'content-length': String(expected.length) }
    await http.exchange(get({ method: 'PUT', body, headers }))
    t.ok(received.at(-1)?.equals(expected), `${expected.length} bytes`)
  }
})

void t.test('a connection that nobody takes is told from a broken one', async t => {
  const { http } = await wire(t, () => undefined)
  await http.close()
  const server = createServer()
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  const nobody = new Http({ origin: `http://127.0.0.1:${port}` })
  t.match(await failure(nobody.exchange(get())), { kind: 'connect', message: /ECONNREFUSED/ })
  await nobody.close()
})

void t.test('certificates are verified, against given ones too', async t => {
  const server = createTlsServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, (_, response) => {
    response.end('safe')
  })
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const origin = `https://localhost:${port}`
  const trusting = new Http({ origin, ca: CERTIFICATE })
  const strict = new Http({ origin })
  t.teardown(async () => {
    await Promise.all([trusting.close(), strict.close()])
    server.close()
  })
  t.match(await failure(strict.exchange(get())), { kind: 'tls', message: /SELF_SIGNED/ })
  t.equal((await trusting.exchange(get())).body.toString(), 'safe')
})
