import { Buffer } from 'node:buffer'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { ERRNO } from '../../../src/util/errno.js'
import { Channel, DEFAULT_CHANNEL_CONFIG } from '../../../src/fs/fuse/channel.js'
import { FakeKernel, request } from '../../helpers/fake-kernel.js'

/** Counts up by a microsecond each time somebody looks. */
function fakeClock(): () => number {
  let now = 0
  return () => (now += 0.001)
}

class Handler {
  busy = false
  isReceiving = false
  readonly handled: number[] = []
  onHandle = (): void => {}
  ended: (cause: Error | undefined) => void = () => undefined
  readonly #ended = new Promise<Error | undefined>(resolve => {
    this.ended = resolve
  })

  get end(): Promise<Error | undefined> {
    return this.#ended
  }

  handle(bytes: Uint8Array, length: number): void {
    this.handled.push(Buffer.from(bytes.buffer).readUInt32LE(4))
    if (length !== 40) throw new Error(`a request of ${length} bytes`)
    this.onHandle()
  }
}

/** Resolves when the channel waits the next time: it has taken all that there was. */
function waiting(kernel: FakeKernel): Promise<void> {
  const poll = kernel.poll.bind(kernel)
  return new Promise(resolve => {
    kernel.poll = done => {
      kernel.poll = poll
      poll(done)
      resolve()
    }
  })
}

await t.test('requests are handed over in order, until the end', async t => {
  const kernel = new FakeKernel()
  const handler = new Handler()
  kernel.push(request(1, {}), request(2, {}))
  const channel = new Channel(kernel)
  const waits = waiting(kernel)
  channel.start(handler)
  await waits
  kernel.push(request(3, {}))
  kernel.end()
  t.equal(await handler.end, undefined)
  t.strictSame(handler.handled, [1, 2, 3])
})

await t.test(
  'errnos of a read: some are retried, some are the end, the others a failure',
  async t => {
    const rows: [errno: number, failure: boolean][] = [
      [ERRNO.ENODEV, false],
      [ERRNO.ECONNABORTED, false],
      [ERRNO.EBADF, true],
    ]
    for (const [errno, failure] of rows) {
      const kernel = new FakeKernel()
      const results = [-ERRNO.EINTR, -ERRNO.ENOENT, -errno]
      kernel.read = () => results.shift() ?? 0
      const handler = new Handler()
      new Channel(kernel).start(handler)
      t.equal((await handler.end) !== undefined, failure, `errno ${errno}`)
      t.equal(results.length, 0)
    }
  },
)

await t.test('an idle channel waits, and does not ask', async t => {
  const kernel = new FakeKernel()
  let reads = 0
  kernel.read = () => {
    reads += 1
    return kernel.idle
  }
  const channel = new Channel(kernel)
  const handler = new Handler()
  const waits = waiting(kernel)
  channel.start(handler)
  await waits
  const after = reads
  for (let i = 0; i < 10; i += 1) await turn()
  t.equal(reads, after)
  t.equal(kernel.polls, 1)
  channel.stop()
  t.equal(await handler.end, undefined)
})

await t.test(
  'asking again stops when it does not pay, and while requests are worked on',
  async t => {
    const kernel = new FakeKernel()
    const handler = new Handler()
    let reads = 0
    let pending: Buffer | undefined
    kernel.read = target => {
      reads += 1
      if (pending === undefined) return kernel.idle
      target.set(pending)
      pending = undefined
      return 40
    }
    const polled = (): Promise<void> => new Promise(resolve => (resume = resolve))
    let resume = (): void => {}
    let done = (): void => {}
    kernel.poll = callback => {
      done = callback
      resume()
    }
    let now = 0
    const channel = new Channel(kernel, DEFAULT_CHANNEL_CONFIG, () => (now += 0.001))
    const first = polled()
    channel.start(handler)
    await first
    t.ok(reads > 10, 'at first it is tried')
    // Requests that come a second apart.
    for (let i = 0; i < 3; i++) {
      now += 1000
      pending = request(1, {})
      const next = polled()
      reads = 0
      done()
      await next
    }
    t.equal(reads, 2, 'one request, one look')
    // Requests that come at once.
    for (let i = 0; i < 8; i++) {
      pending = request(1, {})
      const next = polled()
      reads = 0
      done()
      await next
    }
    t.ok(reads > 10, 'it is worth it again')
    handler.isReceiving = true
    pending = request(1, {})
    const other = polled()
    reads = 0
    done()
    await other
    t.equal(reads, 2, 'the thread is left to what comes in')
    handler.isReceiving = false
    handler.busy = true
    pending = request(1, {})
    const next = polled()
    reads = 0
    done()
    await next
    t.equal(reads, 3, 'one request, one look, and one after a turn of the event loop')
  },
)

await t.test('other work gets its turn between requests', async t => {
  const kernel = new FakeKernel()
  const handler = new Handler()
  let others = 0
  const work = (): void => {
    others += 1
    if (handler.handled.length < 10_000) setImmediate(work)
  }
  kernel.push(...Array.from({ length: 10_000 }, () => request(1, {})))
  kernel.end()
  new Channel(kernel, DEFAULT_CHANNEL_CONFIG, fakeClock()).start(handler)
  work()
  await handler.end
  t.equal(handler.handled.length, 10_000)
  t.ok(others >= 5)
})

await t.test('a buffer that is kept is not read into, and spare ones are bounded', async t => {
  const kernel = new FakeKernel()
  const handler = new Handler()
  const targets = new Set<ArrayBufferLike>()
  const read = kernel.read.bind(kernel)
  kernel.read = target => {
    targets.add(target.buffer)
    return read(target)
  }
  const channel = new Channel(kernel, { ...DEFAULT_CHANNEL_CONFIG, spareBuffers: 2 })
  const kept: (() => void)[] = []
  handler.onHandle = () => kept.push(channel.keepBuffer())
  kernel.push(...Array.from({ length: 5 }, () => request(1, {})))
  const waits = waiting(kernel)
  channel.start(handler)
  await waits
  t.equal(targets.size, 6, 'each request has its own, and there is one to read into')
  for (const giveBack of kept.splice(0)) giveBack()
  targets.clear()
  const waitsAgain = waiting(kernel)
  kernel.push(...Array.from({ length: 4 }, () => request(1, {})))
  await waitsAgain
  kernel.end()
  await handler.end
  t.equal(targets.size, 5, 'the one in hand, two spare ones, two new ones')
})

await t.test('what has become of an answer is told', async t => {
  const kernel = new FakeKernel()
  const channel = new Channel(kernel)
  const rows: [errno: number, acceptance: string][] = [
    [ERRNO.ENOENT, 'gone'],
    [ERRNO.ENODEV, 'ended'],
    [ERRNO.EINVAL, 'refused'],
    [0, 'accepted'],
  ]
  for (const [errno, acceptance] of rows) {
    kernel.write = () => -errno
    kernel.writev = () => -errno
    t.equal(channel.send(Buffer.alloc(16), 16), acceptance)
    t.equal(channel.sendData(Buffer.alloc(16), []), acceptance)
  }
})
