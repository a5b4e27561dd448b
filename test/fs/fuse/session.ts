/** Sessions with a kernel that is not one. */
import { Buffer } from 'node:buffer'
import t from 'tap'
import { ERRNO, ErrnoError } from '../../../src/util/errno.js'
import { silentLogger } from '../../../src/util/log.js'
import { OPCODE } from '../../../src/fs/fuse/abi.js'
import { Channel } from '../../../src/fs/fuse/channel.js'
import { Session, type SessionOptions } from '../../../src/fs/fuse/session.js'
import type { Fh, Ino, Operations } from '../../../src/fs/operations.js'
import { FakeKernel, initRequest, request, row, type Field } from '../../helpers/fake-kernel.js'
import { MemoryOperations } from '../../helpers/memory-operations.js'

interface Logged {
  readonly fields: object
  readonly message: string
}

interface Rig {
  readonly kernel: FakeKernel
  readonly session: Session
  readonly operations: MemoryOperations
  readonly errors: Logged[]
}

/** A session whose operations are those in memory, but for the ones given. */
function rig(methods: Partial<Operations> = {}, options: Partial<SessionOptions> = {}): Rig {
  const kernel = new FakeKernel()
  const errors: Logged[] = []
  const operations = Object.assign(new MemoryOperations(), methods)
  const session = new Session({
    operations,
    device: kernel,
    channel: new Channel(kernel),
    negotiation: { noSetuid: true },
    drainTimeout: 5_000,
    interruptPatience: 0,
    log: { ...silentLogger, error: (fields, message) => errors.push({ fields, message }) },
    ...options,
  })
  session.start()
  return { kernel, session, operations, errors }
}

async function started(methods: Partial<Operations> = {}, options: Partial<SessionOptions> = {}) {
  const parts = rig(methods, options)
  parts.kernel.push(initRequest())
  await parts.session.started
  return parts
}

function lookup(unique: number, name = 'a'): Buffer {
  return request(OPCODE.LOOKUP, { unique }, name)
}

function writeRequest(unique: number, text: string): Buffer {
  const fields: Field[] = [
    [64, 1], // fh
    [64, 0], // offset
    [32, text.length],
    [32, 0],
    [64, 0], // lock_owner
    [32, 0],
    [32, 0],
    Buffer.from(text),
  ]
  return request(OPCODE.WRITE, { unique, ino: 2 }, ...fields)
}

function readRequest(unique: number, size: number, offset: number | bigint = 0): Buffer {
  const fields: Field[] = [
    [64, 1],
    [64, offset],
    [32, size],
    [32, 0],
    [64, 0],
    [32, 0],
    [32, 0],
  ]
  return request(OPCODE.READ, { unique, ino: 2 }, ...fields)
}

function later<T>(): {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (e: unknown) => void
} {
  let resolve: (value: T) => void = () => undefined
  let reject: (error: unknown) => void = () => undefined
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

await t.test('INIT is answered, and the operations learn what was agreed', async t => {
  const { kernel, session, operations } = await started()
  const { body, errno } = await kernel.answer(2)
  t.equal(errno, 0)
  t.equal(body.length, 64)
  t.equal(body.readUInt32LE(20), 1024 * 1024, 'max_write')
  const info = { maxWrite: 1024 * 1024, maxReadahead: 131072, directMappings: false }
  t.strictSame(await session.started, info)
  t.strictSame(operations.session, info)
})

await t.test('a kernel with a newer major version is asked to try again', async t => {
  const { kernel, session, operations } = rig()
  kernel.push(request(OPCODE.INIT, { unique: 2 }, [32, 8], [32, 0]))
  t.strictSame((await kernel.answer(2)).body.subarray(0, 8), row([32, 7], [32, 38]))
  t.equal(operations.session, undefined)
  kernel.push(request(OPCODE.INIT, { unique: 4 }, [32, 7], [32, 40], [32, 0], [32, 0]))
  t.equal((await session.started).maxWrite, 128 * 1024)
})

await t.test('a kernel that is too old is refused, and nothing is left behind', async t => {
  const { kernel, session, operations } = rig()
  kernel.push(initRequest(12))
  await t.rejects(session.started, { code: 'EPROTO' })
  await t.rejects(session.closed, { code: 'EPROTO' })
  t.equal(kernel.answers[0]?.errno, ERRNO.EPROTO)
  t.equal(kernel.closed, 1)
  t.equal(operations.destroyed, 0, 'what was never begun is not ended')
})

await t.test('results, promises and errors are each answered once', async t => {
  const failure = new ErrnoError('EACCES', 'no')
  const { kernel } = await started({
    access: (_, ino) => {
      if (ino === 1) return undefined
      if (ino === 2) return Promise.resolve()
      if (ino === 3) throw failure
      return Promise.reject(failure)
    },
  })
  for (const ino of [1, 2, 3, 4]) {
    kernel.push(request(OPCODE.ACCESS, { unique: 2 + 2 * ino, ino }, [32, 4], [32, 0]))
  }
  await kernel.answered(5)
  const errnos = await Promise.all([4, 6, 8, 10].map(async u => (await kernel.answer(u)).errno))
  t.strictSame(errnos, [0, 0, ERRNO.EACCES, ERRNO.EACCES])
  await new Promise(resolve => setTimeout(resolve, 20))
  t.equal(kernel.answers.length, 5)
})

await t.test('what is no ErrnoError is EIO and logged', async t => {
  const { kernel, errors } = await started({
    lookup: () => {
      throw new TypeError('a fault')
    },
    getattr: () => Promise.reject(new TypeError('another')),
    read: () => [Buffer.alloc(100)],
    statfs: () => ({}) as never,
  })
  kernel.push(lookup(4), request(OPCODE.GETATTR, { unique: 6 }, [32, 0], [32, 0], [64, 0]))
  kernel.push(readRequest(8, 99), request(OPCODE.STATFS, { unique: 10 }))
  for (const unique of [4, 6, 8, 10]) t.equal((await kernel.answer(unique)).errno, ERRNO.EIO)
  t.match(errors[0]?.fields, { err: TypeError, opcode: 'LOOKUP', unique: 4 })
  t.equal(errors.length, 4)
})

await t.test('expected errors are not logged', async t => {
  const { kernel, errors } = await started()
  kernel.push(lookup(4, 'missing'))
  t.equal((await kernel.answer(4)).errno, ERRNO.ENOENT)
  t.strictSame(errors, [])
})

await t.test('a request that is cut short is EIO', async t => {
  const { kernel } = await started()
  kernel.push(request(OPCODE.READ, { unique: 4 }, [64, 1]))
  t.equal((await kernel.answer(4)).errno, ERRNO.EIO)
})

await t.test('bytes that are no request end the session as broken', async t => {
  const { kernel, session, operations } = await started()
  kernel.push(Buffer.from('nonsense'))
  await t.rejects(session.closed, { message: 'the kernel sent what is no request' })
  t.equal(operations.destroyed, 1)
})

await t.test('opcodes without an operation have the answer that fits', async t => {
  const { kernel } = await started()
  const rows: [opcode: number, errno: number][] = [
    [OPCODE.POLL, ERRNO.ENOSYS],
    [OPCODE.BMAP, ERRNO.ENOSYS],
    [OPCODE.TMPFILE, ERRNO.ENOSYS],
    [OPCODE.SETLK, ERRNO.ENOSYS],
    [52, ERRNO.ENOSYS],
    [9999, ERRNO.ENOSYS],
    [OPCODE.IOCTL, ERRNO.ENOTTY],
  ]
  for (const [index, [opcode, errno]] of rows.entries()) {
    kernel.push(request(opcode, { unique: 100 + 2 * index }))
    t.equal((await kernel.answer(100 + 2 * index)).errno, errno, `opcode ${opcode}`)
  }
})

await t.test('each opcode reaches its operation', async t => {
  const calls: string[] = []
  const recorded = new Proxy({} as Operations, {
    get: (_, method) => () => {
      calls.push(String(method))
      throw new ErrnoError('EPERM', 'recorded')
    },
  })
  const names = 'lookup getattr setattr readlink mknod mkdir unlink rmdir symlink'.split(' ')
  names.push(...'rename link open create read write flush release fsync'.split(' '))
  names.push(...'opendir readdir releasedir fsyncdir syncfs statfs access'.split(' '))
  const methods = Object.fromEntries(
    names.map(name => [name, recorded[name as keyof Operations]]),
  ) as Partial<Operations>
  const { kernel } = await started(methods)
  const zeros = Buffer.alloc(200)
  const rename = [[64, 1], 'a', 'b'] as const
  kernel.push(
    ...names.map((name, index) => {
      const opcode = OPCODE[name.toUpperCase() as keyof typeof OPCODE]
      const body = name === 'rename' ? rename : [zeros]
      return request(opcode, { unique: 4 + 2 * index }, ...body)
    }),
    request(OPCODE.READDIRPLUS, { unique: 104 }, zeros),
    request(OPCODE.RENAME2, { unique: 106 }, [64, 1], [32, 0], [32, 0], 'a', 'b'),
  )
  await kernel.answered(names.length + 3)
  t.strictSame(calls, [...names, 'readdir', 'rename'])
  t.ok(kernel.answers.slice(1).every(({ errno }) => errno === ERRNO.EPERM))
})

await t.test('INTERRUPT aborts the signal of the request it names', async t => {
  const { kernel, operations } = await started()
  operations.mkdir({} as never, 1 as Ino, { name: 'blocked', mode: 0o755, umask: 0 })
  const read = (unique: number): Buffer => readRequest(unique, 100)
  kernel.push(read(4), read(6))
  kernel.push(request(OPCODE.INTERRUPT, { unique: 7, ino: 0 }, [64, 6]))
  t.equal((await kernel.answer(6)).errno, ERRNO.EINTR)
  t.notOk(kernel.answers.some(({ unique }) => unique === 4 || unique === 7))
  kernel.push(request(OPCODE.INTERRUPT, { unique: 5, ino: 0 }, [64, 4]))
  t.equal((await kernel.answer(4)).errno, ERRNO.EINTR)
})

await t.test('an INTERRUPT for a request that is not there is to be sent again', async t => {
  const signals: AbortSignal[] = []
  const answer = later<void>()
  const { kernel } = await started({
    fsync: context => {
      signals.push(context.signal)
      return answer.promise
    },
  })
  const interrupt = request(OPCODE.INTERRUPT, { unique: 5, ino: 0 }, [64, 4])
  kernel.push(interrupt)
  t.equal((await kernel.answer(5)).errno, ERRNO.EAGAIN, 'before the request')
  kernel.push(request(OPCODE.FSYNC, { unique: 4 }, [64, 1], [32, 0], [32, 0]), interrupt)
  while (signals[0]?.aborted !== true) await new Promise(resolve => setImmediate(resolve))
  t.match(signals[0]?.reason, { code: 'EINTR' })
  answer.resolve()
  t.equal((await kernel.answer(4)).errno, 0, 'an operation may finish nevertheless')
  kernel.answers.length = 0
  kernel.push(interrupt)
  t.equal((await kernel.answer(5)).errno, ERRNO.EAGAIN, 'after the answer')
})

await t.test('an INTERRUPT spares what is answered in time', async t => {
  const go = later<void>()
  const { kernel } = await started(
    {
      fsync: async context => {
        const { signal } = context
        await go.promise
        signal.throwIfAborted()
      },
      flush: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error))
        }),
    },
    { interruptPatience: 2000 },
  )
  kernel.push(request(OPCODE.FSYNC, { unique: 4 }, [64, 1], [32, 0], [32, 0]))
  kernel.push(request(OPCODE.FLUSH, { unique: 6 }, [64, 1], [32, 0], [32, 0], [64, 0]))
  for (const unique of [4, 6, 4, 6]) {
    kernel.push(request(OPCODE.INTERRUPT, { unique: unique + 1, ino: 0 }, [64, unique]))
  }
  await new Promise(resolve => setTimeout(resolve, 10))
  go.resolve()
  t.equal((await kernel.answer(4)).errno, 0, 'as on a local disk, where signals end no call')
  t.equal((await kernel.answer(6)).errno, ERRNO.EINTR, 'but nobody waits for long')
})

await t.test('an INTERRUPT of FLUSH waits until the program is to end', async t => {
  const asked: number[] = []
  const { kernel } = await started(
    {
      flush: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error))
        }),
    },
    { interruptPatience: 5, isEnding: thread => asked.push(thread) === 3 },
  )
  const fields: Field[] = [
    [64, 1],
    [32, 0],
    [32, 0],
    [64, 0],
  ]
  kernel.push(request(OPCODE.FLUSH, { unique: 4, pid: 77 }, ...fields))
  kernel.push(request(OPCODE.INTERRUPT, { unique: 5, ino: 0 }, [64, 4]))
  t.equal((await kernel.answer(4)).errno, ERRNO.EINTR)
  t.strictSame(asked, [77, 77, 77])
})

await t.test('a signal that is asked for after the interrupt is aborted', async t => {
  const go = later<void>()
  const { kernel } = await started({
    fsync: async context => {
      await go.promise
      context.signal.throwIfAborted()
    },
  })
  kernel.push(request(OPCODE.FSYNC, { unique: 4 }, [64, 1], [32, 0], [32, 0]))
  kernel.push(request(OPCODE.INTERRUPT, { unique: 5, ino: 0 }, [64, 4]))
  await new Promise(resolve => setTimeout(resolve, 10))
  go.resolve()
  t.equal((await kernel.answer(4)).errno, ERRNO.EINTR)
})

await t.test('forgets are counted, in order, and never answered', async t => {
  const forgotten: [number, number][] = []
  const { kernel } = await started({ forget: (ino, lookups) => forgotten.push([ino, lookups]) })
  kernel.push(request(OPCODE.FORGET, { unique: 4, ino: 9 }, [64, 3]))
  kernel.push(
    request(
      OPCODE.BATCH_FORGET,
      { unique: 6, ino: 0 },
      [32, 2],
      [32, 0],
      [64, 7],
      [64, 1],
      [64, 8],
      [64, 2],
    ),
  )
  kernel.push(request(OPCODE.STATFS, { unique: 8 }))
  await kernel.answer(8)
  t.strictSame(forgotten, [
    [9, 3],
    [7, 1],
    [8, 2],
  ])
  t.strictSame(
    kernel.answers.map(({ unique }) => unique),
    [2, 8],
  )
})

await t.test('an answer that nobody takes is undone', async t => {
  const undone: string[] = []
  const entry = {
    ...new MemoryOperations().mkdir({ uid: 0, gid: 0 } as never, 1 as Ino, {
      name: 'd',
      mode: 0,
      umask: 0,
    }),
    ino: 7 as Ino,
  }
  const { kernel } = await started({
    lookup: (_, __, name) => (name === 'none' ? { ino: undefined, entryValid: 9 } : entry),
    create: () => ({ ...entry, fh: 3 as Fh }),
    open: () => ({ fh: 4 as Fh }),
    opendir: () => ({ fh: 5 as Fh }),
    readdir: (_, __, ___, { add }) => {
      add({ name: '.', ino: 1, offset: 1, type: 0o040000 })
      add({ name: 'd', ino: 7, offset: 2, type: 0o040000, entry })
    },
    forget: (ino, lookups) => undone.push(`forget ${ino} ${lookups}`),
    release: (_, ino, fh) => void undone.push(`release ${ino} ${fh}`),
    releasedir: (_, ino, fh) => void undone.push(`releasedir ${ino} ${fh}`),
  })
  for (const unique of [4, 6, 8, 10, 12, 14, 16]) kernel.withdrawn.add(unique)
  const listing: Field[] = [
    [64, 5],
    [64, 0],
    [32, 4096],
    [32, 0],
    [64, 0],
    [32, 0],
    [32, 0],
  ]
  kernel.push(
    lookup(4),
    lookup(6, 'none'),
    request(OPCODE.CREATE, { unique: 8 }, [32, 0], [32, 0], [32, 0], [32, 0], 'a'),
    request(OPCODE.OPEN, { unique: 10, ino: 2 }, [32, 0], [32, 0]),
    request(OPCODE.OPENDIR, { unique: 12, ino: 3 }, [32, 0], [32, 0]),
    request(OPCODE.READDIRPLUS, { unique: 14 }, ...listing),
    request(OPCODE.READDIR, { unique: 16 }, ...listing),
    request(OPCODE.STATFS, { unique: 18 }),
  )
  await kernel.answer(18)
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(undone.toSorted(), [
    'forget 7 1',
    'forget 7 1',
    'forget 7 1',
    'release 2 4',
    'release 7 3',
    'releasedir 3 5',
  ])
})

await t.test("a write's bytes stay until its promise settles", async t => {
  const writes: { data: Uint8Array; done: (length: number) => void }[] = []
  const { kernel } = await started({
    write: (_, __, ___, { data }) => {
      const { promise, resolve } = later<number>()
      writes.push({ data, done: resolve })
      return promise
    },
  })
  const texts = Array.from({ length: 40 }, (_, i) => `write number ${i}`)
  kernel.push(...texts.map((text, i) => writeRequest(4 + 2 * i, text)), lookup(200, 'none'))
  t.equal((await kernel.answer(200)).errno, ERRNO.ENOENT, 'reading goes on meanwhile')
  t.strictSame(
    writes.map(({ data }) => Buffer.from(data).toString()),
    texts,
  )
  for (const { data, done } of writes) done(data.length)
  await kernel.answered(42)
  kernel.push(writeRequest(300, 'the one in hand'), writeRequest(302, 'a spare one'))
  while (writes.length < 42) await new Promise(resolve => setImmediate(resolve))
  const memory = new Set(writes.map(({ data }) => data.buffer))
  t.ok(memory.size < 42, 'a buffer that is given back is used again')
})

await t.test('reads of any size come as they are', async t => {
  const slices = [Buffer.alloc(10_000, 1), Buffer.alloc(0), Buffer.alloc(20_000, 2)]
  const { kernel } = await started({ read: (_, __, ___, ____, size) => (size > 100 ? slices : []) })
  kernel.push(readRequest(4, 30_000), readRequest(6, 100), readRequest(8, 100, 2n ** 62n))
  t.ok((await kernel.answer(4)).body.equals(Buffer.concat(slices)))
  t.equal((await kernel.answer(6)).body.length, 0)
  t.equal((await kernel.answer(8)).body.length, 0, 'far behind the end')
})

await t.test('an end from outside aborts, drains, destroys once, and closes', async t => {
  const order: string[] = []
  const { kernel, session } = await started({
    fsync: async context => {
      context.signal.addEventListener('abort', () => order.push('aborted'))
      await new Promise(resolve => setTimeout(resolve, 30))
      order.push('finished')
    },
    destroy: async () => {
      order.push('destroyed')
    },
  })
  kernel.push(request(OPCODE.FSYNC, { unique: 4 }, [64, 1], [32, 0], [32, 0]))
  while (!session.busy) await new Promise(resolve => setImmediate(resolve))
  kernel.end()
  await session.closed
  t.strictSame(order, ['aborted', 'finished', 'destroyed'])
  t.equal(kernel.closed, 1)
  t.ok(session.hasEnded)
})

await t.test('an operation that never ends does not hold up the end', async t => {
  const warnings: string[] = []
  const { kernel, session, operations } = await started(
    { fsync: () => new Promise(() => undefined) },
    {
      drainTimeout: 20,
      log: { ...silentLogger, warn: (_, message) => warnings.push(message) },
    },
  )
  kernel.push(request(OPCODE.FSYNC, { unique: 4 }, [64, 1], [32, 0], [32, 0]))
  while (!session.busy) await new Promise(resolve => setImmediate(resolve))
  kernel.end()
  await session.closed
  t.equal(operations.destroyed, 1)
  t.strictSame(warnings, ['operations still under way are given up'])
})

await t.test('DESTROY is answered when all is flushed, which then is not done again', async t => {
  const flushed = later<void>()
  let destroyed = 0
  const { kernel, session } = await started({
    destroy: () => {
      destroyed += 1
      return flushed.promise
    },
  })
  kernel.push(request(OPCODE.DESTROY, { unique: 4 }), lookup(6, 'none'))
  await kernel.answer(6)
  t.notOk(kernel.answers.some(({ unique }) => unique === 4))
  flushed.resolve()
  t.equal((await kernel.answer(4)).errno, 0)
  kernel.end()
  await session.closed
  t.equal(destroyed, 1)
})

await t.test('a channel that breaks, and a destroy that fails, are told by closed', async t => {
  const broken = await started()
  broken.kernel.end(ERRNO.EBADF)
  await t.rejects(broken.session.closed, { message: /errno 9/ })
  t.equal(broken.operations.destroyed, 1)
  const failing = await started({ destroy: () => Promise.reject(new Error('not flushed')) })
  failing.kernel.end()
  await t.rejects(failing.session.closed, { message: 'not flushed' })
  t.equal(failing.kernel.closed, 1)
})
