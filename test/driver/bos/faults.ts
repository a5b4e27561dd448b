/** What becomes of each operation when the service or the network fails under it. */
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { systemClock } from '../../../src/util/clock.js'
import { MiB } from '../../../src/util/units.js'
import { bytes, failure, readAll, walked, writeIn } from '../helpers.js'
import { startDriverHarness } from './harness.js'

const PART = 5 * MiB

void t.test('reads survive a connection that breaks inside the body', async t => {
  const { server, driver } = await startDriverHarness(t)
  const store = await driver()
  const content = bytes(MiB, 1)
  await store.putContent('/data', content)
  for (const kind of ['reset-download', 'truncate'] as const) {
    const fault = { kind, after: 300_000 }
    const active = server.faults.add({ operation: 'GetObject', count: 2, fault })
    t.ok((await readAll(store, '/data', { offset: 1000 })).equals(content.subarray(1000)))
    t.equal(active.hits, 2, `a stream goes on after ${kind}`)
    const again = server.faults.add({ operation: 'GetObject', count: 2, fault })
    const target = Buffer.alloc(500_000)
    t.match(await store.readInto('/data', target, { offset: 7 }), { bytesRead: 500_000 })
    t.ok(target.equals(content.subarray(7, 500_007)))
    t.equal(again.hits, 2)
    server.faults.clear()
  }
})

void t.test('a read that breaks every time ends with an error, not with fewer bytes', async t => {
  const { server, driver } = await startDriverHarness(t)
  const store = await driver()
  await store.putContent('/data', bytes(MiB, 1))
  server.faults.add({ operation: 'GetObject', fault: { kind: 'truncate', after: 1000 } })
  const target = Buffer.alloc(500_000)
  t.match(await failure(store.readInto('/data', target)), { driver: 'bos', path: '/data' })
  t.match(await failure(store.getContent('/data')), { driver: 'bos', path: '/data' })
  t.match(await failure(readAll(store, '/data')), { driver: 'bos', path: '/data' })
})

void t.test('a stream never goes on in another version', async t => {
  const { server, driver } = await startDriverHarness(t)
  const store = await driver()
  await store.putContent('/data', bytes(MiB, 1))
  server.faults.add({
    operation: 'GetObject',
    count: 1,
    fault: { kind: 'reset-download', after: 300_000 },
  })
  const { stream } = await store.reader('/data')
  await store.putContent('/data', bytes(MiB, 2))
  const read = async (): Promise<void> => {
    for await (const _ of stream) continue
  }
  t.match(await failure(read()), { code: 'PRECONDITION' })
})

void t.test('bursts of server errors are outlasted by every operation', async t => {
  const { server, driver } = await startDriverHarness(t)
  const store = await driver()
  for (const [status, code] of [
    [500, 'InternalError'],
    [503, 'SlowDown'],
    [429, 'RequestRateLimitExceeded'],
  ] as const) {
    const active = server.faults.add({ count: 3, fault: { kind: 'error', status, code } })
    const burst = (): void => {
      active.remove()
      server.faults.clear()
      server.faults.add({ count: 3, fault: { kind: 'error', status, code } })
    }
    burst()
    await store.putContent('/dir/file', bytes(100, status))
    burst()
    t.same(await store.getContent('/dir/file'), bytes(100, status))
    burst()
    t.match(await store.stat('/dir/file'), { size: 100 })
    burst()
    t.same(await store.list('/dir'), ['/dir/file'])
    burst()
    await store.move('/dir/file', '/dir/moved')
    burst()
    const composition = await store.compose('/dir/composed')
    burst()
    const part = await composition.uploadPart(1, [bytes(10)])
    burst()
    await composition.complete([part])
    burst()
    await store.delete('/dir')
    t.same(await store.list('/'), [])
  }
})

void t.test('the pause that the service asks for is kept', async t => {
  const { server, driver } = await startDriverHarness(t)
  const pauses: number[] = []
  const clock = { ...systemClock, sleep: async (pause: number) => void pauses.push(pause) }
  const store = await driver({}, { clock, retry: { maxDelay: 100 } })
  const fault = { kind: 'error', status: 503, code: 'SlowDown', retryAfter: '7' } as const
  server.faults.add({ operation: 'PutObject', count: 1, fault })
  await store.putContent('/x', bytes(1))
  t.same(pauses, [7000])
  server.faults.add({ operation: 'PutObject', count: 1, fault: { ...fault, retryAfter: '3600' } })
  t.match(await failure(store.putContent('/x', bytes(1))), { code: 'THROTTLED' })
  t.same(pauses, [7000], 'an hour is more than the deadline: that is told at once')
})

void t.test('a failure that lasts is told with code and request', async t => {
  const { server, driver } = await startDriverHarness(t)
  const store = await driver()
  server.faults.add({ fault: { kind: 'error', status: 503, code: 'SlowDown' } })
  const error = await failure(store.putContent('/x', bytes(1)))
  t.match(error, { code: 'THROTTLED', serviceCode: 'SlowDown', requestId: /./, path: '/x' })
})

void t.test('an error inside a 200 is an error', async t => {
  const { server, driver } = await startDriverHarness(t)
  const store = await driver()
  const operation = ['CopyObject', 'UploadPartCopy', 'CompleteMultipartUpload'] as const
  const { etag } = await store.putContent('/source', bytes(1000, 1))
  const range = { path: '/source', etag, offset: 0, length: 1000 }
  const composition = await store.compose('/composed')
  const part = await composition.uploadPart(1, [bytes(10)])

  const lasting = server.faults.add({
    operation,
    fault: { kind: 'error-in-ok', code: 'InternalError' },
  })
  const moved = await failure(store.move('/source', '/target'))
  t.match(moved, { code: 'FAILED', serviceCode: 'InternalError' })
  t.same(await store.getContent('/source'), bytes(1000, 1), 'the source is not deleted')
  t.match(await failure(composition.copyPart(2, range)), { serviceCode: 'InternalError' })
  t.match(await failure(composition.complete([part])), { serviceCode: 'InternalError' })
  t.match(await failure(store.stat('/composed')), { code: 'PATH_NOT_FOUND' })
  lasting.remove()

  server.faults.add({ operation, count: 2, fault: { kind: 'error-in-ok', code: 'InternalError' } })
  await composition.complete([part])
  await store.move('/source', '/target')
  t.same(await store.getContent('/target'), bytes(1000, 1))
})

void t.test('a lost answer to a completion is found out about', async t => {
  const { server, driver, log } = await startDriverHarness(t)
  const store = await driver()
  const operation = 'CompleteMultipartUpload'
  for (const conditions of [{}, { ifNoneMatch: '*' }] as const) {
    const path = `/composed ${Object.keys(conditions).length}`
    const composition = await store.compose(path)
    const parts = [
      await composition.uploadPart(1, [bytes(PART, 1)]),
      await composition.uploadPart(2, [bytes(10, 2)]),
    ]
    server.faults.add({ operation, count: 1, fault: { kind: 'drop-response' } })
    const { etag } = await composition.complete(parts, conditions)
    t.equal((await store.stat(path)).etag, etag)
  }
  t.equal(log.filter(entry => entry.operation === operation).length, 4)

  const stolen = await store.compose('/stolen')
  const part = await stolen.uploadPart(1, [bytes(10, 3)])
  await store.abortUpload({ path: '/stolen', uploadId: stolen.uploadId, initiated: new Date() })
  t.match(await failure(stolen.complete([part])), { code: 'NOT_FOUND' }, 'no success is invented')
})

void t.test(
  'an upload whose beginning was not answered is dropped when the next one ends',
  async t => {
    const { server, driver } = await startDriverHarness(t)
    const store = await driver()
    const others = [await store.compose('/f'), await store.compose('/f-other')]
    await others[0]?.uploadPart(1, [bytes(10)])
    const fault = { kind: 'drop-response' } as const
    for (const end of ['complete', 'abort'] as const) {
      server.faults.add({ operation: 'InitiateMultipartUpload', count: 1, fault })
      const composition = await store.compose('/f')
      const part = await composition.uploadPart(1, [bytes(10, 3)])
      if (end === 'complete') await composition.complete([part])
      else await composition.abort()
      const left = []
      for await (const { uploadId } of store.uploads('/')) left.push(uploadId)
      t.same(left.toSorted(), others.map(({ uploadId }) => uploadId).toSorted(), end)
    }
  },
)

void t.test('a lost answer to a conditional put is found out about', async t => {
  const { server, driver } = await startDriverHarness(t)
  const store = await driver()
  const lose = (): void => {
    server.faults.add({ operation: 'PutObject', count: 1, fault: { kind: 'drop-response' } })
  }
  lose()
  const created = await store.putContent('/once', bytes(100, 1), { ifNoneMatch: '*' })
  t.equal((await store.stat('/once')).etag, created.etag)
  lose()
  const replaced = await store.putContent('/once', [bytes(100, 2)], { ifMatch: created.etag })
  t.same(await store.getContent('/once'), bytes(100, 2))
  t.equal((await store.stat('/once')).etag, replaced.etag)

  server.faults.add({ operation: 'PutObject', count: 1, fault: { kind: 'reset' } })
  const refused = store.putContent('/once', bytes(100, 3), { ifNoneMatch: '*' })
  t.match(await failure(refused), { code: 'PRECONDITION' }, "another's file is not taken for ours")
  t.same(await store.getContent('/once'), bytes(100, 2))
})

void t.test('a lost answer is found out about without retries too', async t => {
  const { server, driver } = await startDriverHarness(t)
  const store = await driver({ maxretries: 0 })
  const lose = (operation: 'PutObject' | 'CompleteMultipartUpload'): void => {
    server.faults.add({ operation, count: 1, fault: { kind: 'drop-response' } })
  }
  lose('PutObject')
  const created = await store.putContent('/once', bytes(100, 1), { ifNoneMatch: '*' })
  lose('PutObject')
  const replaced = await store.putContent('/once', bytes(100, 2), { ifMatch: created.etag })
  t.equal((await store.stat('/once')).etag, replaced.etag)
  const composition = await store.compose('/big')
  const part = await composition.uploadPart(1, [bytes(10, 3)])
  lose('CompleteMultipartUpload')
  await composition.complete([part], { ifNoneMatch: '*' })
  t.same(await store.getContent('/big'), bytes(10, 3))

  server.faults.add({ operation: 'PutObject', count: 1, fault: { kind: 'reset' } })
  const broken = store.putContent('/once', bytes(100, 3), { ifMatch: replaced.etag })
  t.match(await failure(broken), { code: 'FAILED' }, 'no success is invented')
})

void t.test(
  'a write whose answers are all lost says what it has made if it took effect',
  async t => {
    const { server, driver } = await startDriverHarness(t)
    const store = await driver({ totaltimeout: '4s', requesttimeout: '2s' })
    const lost = { operation: ['PutObject', 'CompleteMultipartUpload', 'HeadObject'] } as const
    const rule = server.faults.add({ ...lost, fault: { kind: 'hang-response' } })
    const composition = await store.compose('/big')
    const part = await composition.uploadPart(1, [bytes(10, 3)])
    const [put, completion] = await Promise.all([
      failure(store.putContent('/small', bytes(100, 1), { ifNoneMatch: '*' })),
      failure(composition.complete([part], { ifNoneMatch: '*' })),
    ])
    rule.remove()
    t.match(put, { attempted: (await store.stat('/small')).etag })
    t.match(completion, { attempted: (await store.stat('/big')).etag })
    const refused = await failure(store.putContent('/small', bytes(9), { ifNoneMatch: '*' }))
    t.match(refused, { code: 'PRECONDITION', attempted: undefined }, 'a refusal has made nothing')
  },
)

void t.test('what was tried before and is there counts as written', async t => {
  const { driver } = await startDriverHarness(t)
  const store = await driver()
  await store.putContent('/once', bytes(100, 1))
  const repeated = true
  await store.putContent('/once', bytes(100, 1), { ifNoneMatch: '*', repeated })
  const another = store.putContent('/once', bytes(100, 2), { ifNoneMatch: '*', repeated })
  t.match(await failure(another), { code: 'PRECONDITION' })
  const fresh = store.putContent('/once', bytes(100, 1), { ifNoneMatch: '*' })
  t.match(await failure(fresh), { code: 'PRECONDITION' }, 'unless it was not tried before')
})

void t.test('another writer at the same moment is waited for', async t => {
  const { server, driver } = await startDriverHarness(t)
  const store = await driver()
  const fault = { kind: 'error', status: 412, code: 'PreconditionFailed' } as const
  server.faults.add({ operation: 'PutObject', count: 2, fault })
  await store.putContent('/busy', bytes(10))
  t.same(await store.getContent('/busy'), bytes(10))
})

void t.test('a lost answer to a delete is no missing path', async t => {
  const { server, driver } = await startDriverHarness(t)
  const store = await driver()
  await store.putContent('/gone', bytes(10))
  server.faults.add({ operation: 'DeleteObject', count: 1, fault: { kind: 'drop-response' } })
  await store.delete('/gone')
  t.match(await failure(store.delete('/gone')), { code: 'PATH_NOT_FOUND' })
})

void t.test('an upload that breaks off is sent again from its start', async t => {
  const { server, driver } = await startDriverHarness(t)
  const store = await driver()
  const content = [bytes(MiB, 1), bytes(MiB, 2)]
  for (const fault of [
    { kind: 'reset-upload', after: 1_200_000 },
    { kind: 'drop-response' },
    { kind: 'reset' },
  ] as const) {
    server.faults.add({ operation: 'PutObject', count: 2, fault })
    await store.putContent('/sent', content)
    t.ok((await store.getContent('/sent')).equals(Buffer.concat(content)), fault.kind)
  }
})

void t.test('a part that cannot be sent fails the writer until it is cancelled', async t => {
  const { server, driver } = await startDriverHarness(t)
  const store = await driver({}, { retry: { attempts: 1 } })
  const fault = { kind: 'error', status: 500, code: 'InternalError' } as const
  server.faults.add({ operation: 'UploadPart', skip: 1, count: 1, fault })
  const writer = await store.writer('/broken')
  const written = await failure(writeIn(writer, bytes(4 * PART), MiB).then(() => writer.commit()))
  t.match(written, { code: 'FAILED', serviceCode: 'InternalError' })
  t.match(await failure(writer.commit()), { serviceCode: 'InternalError' }, 'it stays failed')
  t.match(await failure(writer.close()), { serviceCode: 'InternalError' })
  t.match(await failure(store.stat('/broken')), { code: 'PATH_NOT_FOUND' })
  await writer.cancel()
  for await (const upload of store.uploads('/')) t.fail(`left over: ${upload.uploadId}`)
})

void t.test('an interrupted move of a directory loses nothing and can be repeated', async t => {
  const { server, driver } = await startDriverHarness(t)
  const store = await driver({}, { copiesInFlight: 2, retry: { attempts: 1 } })
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  const fill = async (): Promise<void> => {
    for (const [i, name] of names.entries()) await store.putContent(`/dir/${name}`, bytes(100, i))
  }
  const isWhole = async (): Promise<void> => {
    await store.move('/dir', '/moved')
    t.same(await walked(store, '/'), ['/moved', ...names.map(name => `/moved/${name}`)])
    for (const [i, name] of names.entries()) {
      t.same(await store.getContent(`/moved/${name}`), bytes(100, i))
    }
    await store.delete('/moved')
  }
  const fault = { kind: 'error', status: 500, code: 'InternalError' } as const
  await fill()
  server.faults.add({ operation: 'CopyObject', skip: 3, count: 1, fault })
  t.match(await failure(store.move('/dir', '/moved')), { code: 'FAILED' })
  t.equal((await store.list('/dir')).length, names.length, 'all sources are still there')
  await isWhole()
  await fill()
  server.faults.add({ operation: 'DeleteMultipleObjects', count: 1, fault })
  t.match(await failure(store.move('/dir', '/moved')), { code: 'FAILED' })
  await isWhole()
})

void t.test('an abort during a move leaves the source', async t => {
  const { server, driver } = await startDriverHarness(t, { bodyTimeout: 500 })
  const store = await driver()
  await store.putContent('/source', bytes(100))
  const stop = new AbortController()
  const reason = new Error('interrupted')
  const fault = { kind: 'delay', delay: 2000 } as const
  const copy = server.faults.add({ operation: 'CopyObject', fault })
  const move = failure(store.move('/source', '/target', { signal: stop.signal }))
  while (copy.hits === 0) await turn()
  stop.abort(reason)
  t.equal(await move, reason)
  t.same(await store.getContent('/source'), bytes(100))
})
