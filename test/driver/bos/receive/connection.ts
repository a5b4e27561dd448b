/**
 * A connection over a socket that hands over whatever bytes a test likes, in pieces of any size, the
 * way node does: ask for memory, write into it, call back, ask again.
 */
import { Buffer } from 'node:buffer'
import { EventEmitter } from 'node:events'
import type { OnReadOpts, Socket } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { Connection, type Outcome } from '../../../../src/driver/bos/receive/connection.js'
import { bytes, failure } from '../../helpers.js'

class FakeSocket extends EventEmitter {
  readonly sent: (string | Uint8Array)[] = []
  writableLength = 0
  destroyed = false
  #onread: OnReadOpts | undefined
  #memory: Uint8Array = new Uint8Array(0)

  readAs(onread: OnReadOpts): void {
    this.#onread = onread
    this.#memory = this.#next()
  }

  write(bytes: string | Uint8Array): boolean {
    this.sent.push(bytes)
    return true
  }

  destroy(): void {
    this.destroyed = true
  }

  ref(): void {}
  unref(): void {}

  /** What the other side has sent arrives, at most `size` bytes at a time. */
  arrive(data: Buffer, size = Infinity): void {
    for (let at = 0; at < data.length && !this.destroyed;) {
      const length = Math.min(size, this.#memory.length, data.length - at)
      if (length === 0) throw new Error('there is no memory to read into')
      this.#memory.set(data.subarray(at, at + length))
      this.#onread?.callback(length, this.#memory)
      this.#memory = this.#next()
      at += length
    }
  }

  /** Whatever may still be written to the memory that was given last. */
  scribble(): void {
    if (!this.destroyed) this.#memory.fill(0xee)
  }

  #next(): Uint8Array {
    const buffer = this.#onread?.buffer
    return typeof buffer === 'function' ? buffer() : (buffer ?? this.#memory)
  }
}

function open(): { connection: Connection; socket: FakeSocket } {
  const socket = new FakeSocket()
  const connection = new Connection(
    onread => {
      socket.readAs(onread)
      return { socket: socket as unknown as Socket, ready: 'connect' }
    },
    () => undefined,
  )
  socket.emit('connect')
  return { connection, socket }
}

/** Without buffers, the body is to come with the answer. */
function ask(connection: Connection, buffers?: readonly Uint8Array[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    connection.send({
      bytes: 'GET / HTTP/1.1\r\n\r\n',
      choose: buffers && (() => ({ buffers })),
      progress: () => undefined,
      settle: resolve,
      fail: reject,
    })
  })
}

function answer(body: Buffer, { status = 206, length = body.length, more = '' } = {}): Buffer {
  const head = `HTTP/1.1 ${status} Some Reason\r\nContent-Length: ${length}\r\n${more}\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), body])
}

const cut = fc.integer({ min: 1, max: 60 })

void t.test('every answer arrives whole however it is cut, one after the other', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.array(fc.nat(40), { maxLength: 4 }), cut), { minLength: 1 }),
      async exchanges => {
        const { connection, socket } = open()
        for (const [i, [sizes, piece]] of exchanges.entries()) {
          const buffers = sizes.map(size => Buffer.alloc(size))
          const content = bytes(
            sizes.reduce((sum, size) => sum + size, 0),
            i + 1,
          )
          const outcome = ask(connection, buffers)
          socket.arrive(answer(content), piece)
          const received = await outcome
          if (received === 'odd' || received.status !== 206) return false
          if (!Buffer.concat(buffers).equals(content) || !connection.isUsable) return false
          // What is read from now on is none of the landing's business.
          socket.scribble()
          if (!Buffer.concat(buffers).equals(content)) return false
        }
        return true
      },
    ),
  )
  t.ok(true)
})

void t.test('an error document is collected, and the connection goes on', async t => {
  const { connection, socket } = open()
  const document = Buffer.from('{"code":"NoSuchKey"}')
  const outcome = ask(connection, [Buffer.alloc(10)])
  socket.arrive(answer(document, { status: 404 }), 7)
  t.match(await outcome, { status: 404, body: document })
  t.ok(connection.isUsable)
})

void t.test('without a landing a body comes with the answer, however it is cut', async t => {
  for (const piece of [1, 7, Infinity]) {
    const { connection, socket } = open()
    for (const document of [Buffer.alloc(0), Buffer.from('{"eTag":"e"}')]) {
      const outcome = ask(connection)
      socket.arrive(answer(document, { status: 200 }), piece)
      t.match(await outcome, { status: 200, body: document })
      t.ok(connection.isUsable)
    }
    const long = ask(connection)
    socket.arrive(answer(Buffer.alloc(0), { status: 200, length: 1_000_000 }), piece)
    t.equal(await long, 'odd')
  }
})

void t.test('an answer that comes before all was sent spoils the connection', async t => {
  const { connection, socket } = open()
  const outcome = ask(connection)
  socket.writableLength = 1000
  socket.arrive(answer(Buffer.alloc(0), { status: 403 }))
  t.match(await outcome, { status: 403 })
  t.notOk(connection.isUsable)
})

void t.test('answers that are not understood end the connection, not the request', async t => {
  const body = bytes(100)
  for (const odd of [
    answer(body, { more: 'Transfer-Encoding: chunked\r\n' }),
    answer(body, { status: 301 }),
    answer(Buffer.alloc(0), { status: 500, length: 1_000_000 }),
    Buffer.from(`HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(5000)}`),
    Buffer.from('SSH-2.0-OpenSSH_9\r\n\r\n'),
  ]) {
    for (const piece of [1, 1000, Infinity]) {
      const { connection, socket } = open()
      const target = Buffer.alloc(100)
      const outcome = ask(connection, [target])
      socket.arrive(odd, piece)
      t.equal(await outcome, 'odd')
      t.ok(socket.destroyed)
      t.ok(target.equals(Buffer.alloc(100)), 'nothing has landed')
    }
  }
})

void t.test('a body of another length than the memory for it is refused', async t => {
  for (const length of [99, 101]) {
    const { connection, socket } = open()
    const outcome = failure(ask(connection, [Buffer.alloc(100)]))
    socket.arrive(answer(bytes(length)))
    t.match(await outcome, { kind: 'integrity' })
    t.ok(socket.destroyed)
  }
})

void t.test('bytes behind the end of an answer are no good sign', async t => {
  const { connection, socket } = open()
  const target = Buffer.alloc(10)
  const outcome = ask(connection, [target])
  socket.arrive(answer(bytes(10)).subarray(0, -1))
  socket.arrive(Buffer.concat([bytes(10).subarray(-1)]))
  t.match(await outcome, { status: 206 })
  socket.arrive(Buffer.from('more'))
  t.ok(socket.destroyed, 'the connection is not used again')
  t.notOk(connection.isUsable)
  t.ok(target.equals(bytes(10)))

  const together = open()
  const refused = failure(ask(together.connection, [Buffer.alloc(10)]))
  together.socket.arrive(Buffer.concat([answer(bytes(10)), Buffer.from('more')]))
  t.match(await refused, { kind: 'integrity' })
})

void t.test('what was called off gets no more bytes', async t => {
  const { connection, socket } = open()
  const target = Buffer.alloc(100)
  void ask(connection, [target])
  socket.arrive(answer(bytes(100)).subarray(0, -50))
  const before = Buffer.from(target)
  connection.destroy()
  socket.scribble()
  socket.arrive(bytes(50))
  t.ok(socket.destroyed)
  t.same(target, before)
})

void t.test('a connection that ends inside an answer fails the request', async t => {
  for (const sent of [0, 5, 60, 100]) {
    const { connection, socket } = open()
    const outcome = failure(ask(connection, [Buffer.alloc(100)]))
    socket.arrive(answer(bytes(100)).subarray(0, sent))
    socket.emit('end')
    t.match(await outcome, { kind: 'network' })
    t.notOk(connection.isUsable)
  }
})

void t.test('no bytes of any kind make it throw, hang or fill what was not announced', async t => {
  const token = fc.constantFrom(
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.1 206 P\r\n',
    'HTTP/1.1 404 N\r\n',
    'Content-Length: 10\r\n',
    'Content-Length: 3\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Connection: close\r\n',
    '\r\n',
    '\n',
    'abc',
    '0123456789',
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(token, fc.string({ unit: 'binary' })), { maxLength: 12 }),
      cut,
      async (parts, piece) => {
        const { connection, socket } = open()
        const target = Buffer.alloc(10)
        const outcome = ask(connection, [target]).then(
          received => (received === 'odd' ? 'odd' : received.status),
          (error: unknown) => error,
        )
        socket.arrive(Buffer.from(parts.join(''), 'latin1'), piece)
        socket.emit('end')
        const settled = await outcome
        if (settled instanceof Error && settled.name !== 'BosError') throw settled
        return settled !== undefined
      },
    ),
    { numRuns: 500 },
  )
  t.ok(true)
})
