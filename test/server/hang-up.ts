/** Clients that go away: the server must notice at once, whatever it is doing for them. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startHarness, type Harness } from '../helpers/bos-harness.js'
import type { Fault } from '../../src/server/faults.js'

/** Sends the head of a PUT and some of its body on a connection of its own. */
async function beginPut(t: Test, { server, client }: Harness, body: string): Promise<Socket> {
  const path = client.path('k')
  const headers = { host: client.host, 'x-bce-date': `${new Date().toISOString().slice(0, 19)}Z` }
  const authorization = client.authorization({ method: 'PUT', path, query: {}, headers })
  const socket = connect(server.port, '127.0.0.1')
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  const date = headers['x-bce-date']
  socket.write(
    `PUT ${path} HTTP/1.1\r\nHost: ${headers.host}\r\nx-bce-date: ${date}\r\n` +
      `Authorization: ${authorization}\r\nContent-Length: 9000000\r\n\r\n${body}`,
  )
  return socket
}

/** Resolves when the request is over; it must not take as long as a body may pause. */
async function logged(log: Harness['log']): Promise<void> {
  const deadline = Date.now() + 60_000
  while (log.length === 0) {
    if (Date.now() > deadline) throw new Error('the request is still running')
    await delay(10)
  }
}

const FAULTS: readonly Fault[] = [{ kind: 'delay', delay: 100 }, { kind: 'hang' }]

/** Less than the server reads ahead, and more: then it learns of the end only when it reads on. */
const BODIES = ['abc', 'x'.repeat(2_000_000)]

for (const [fault, body] of FAULTS.flatMap(fault => BODIES.map(body => [fault, body] as const))) {
  for (const end of ['destroy', 'resetAndDestroy', 'end'] as const) {
    const name = `${end} after ${body.length} bytes, during a ${fault.kind}`
    void t.test(`a client that hangs up is let go: ${name}`, async t => {
      const harness = await startHarness(t, { bodyTimeout: 60_000, closeTimeout: 60_000 })
      const { server, log } = harness
      const active = server.faults.add({ operation: 'PutObject', fault })
      const socket = await beginPut(t, harness, body)
      while (active.hits === 0) await new Promise(setImmediate)
      socket[end]()
      await logged(log)
      await server.close()
      t.match(log.at(-1), { operation: 'PutObject', key: 'k' })
      t.not(log.at(-1)?.status, 200)
    })
  }
}
