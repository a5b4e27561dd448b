/** What writers ask of the service, and what they leave to each other. */
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { contiguous } from '../../../src/driver/bos/resume.js'
import { MiB } from '../../../src/util/units.js'
import { bytes, failure, writeIn } from '../helpers.js'
import { startDriverHarness } from './harness.js'

const PART = 5 * MiB

void t.test('only parts without a gap can be gone on with', async t => {
  const part = (partNumber: number) => ({ partNumber, etag: 'e', size: 1 })
  t.same(contiguous([]), [])
  t.same(contiguous([part(1), part(2)]), [part(1), part(2)])
  t.same(contiguous([part(1), part(3)]), [part(1)])
  t.same(contiguous([part(2)]), [])
})

void t.test('content of up to one chunk is one PUT', async t => {
  const { driver, log } = await startDriverHarness(t)
  const store = await driver()
  for (const size of [0, 1000, PART]) {
    const writer = await store.writer('/small')
    await writeIn(writer, bytes(size))
    log.length = 0
    await writer.commit()
    await writer.close()
    t.same(
      log.map(entry => entry.operation),
      ['PutObject'],
      `${size} bytes`,
    )
  }
})

void t.test('larger content goes out in parts while it is written, within a bound', async t => {
  const { driver, log, server } = await startDriverHarness(t)
  const store = await driver({}, { partsInFlight: 2 })
  server.faults.add({ operation: 'UploadPart', fault: { kind: 'delay', delay: 20 } })
  const writer = await store.writer('/large')
  await writeIn(writer, bytes(6 * PART + 1), MiB)
  const operations = (name: string): number => log.filter(e => e.operation === name).length
  t.ok(operations('UploadPart') >= 4, 'write waited for parts to be sent')
  await writer.commit()
  await writer.close()
  t.equal(operations('InitiateMultipartUpload'), 1)
  t.equal(operations('UploadPart'), 7)
  t.equal(operations('CompleteMultipartUpload'), 1)
  t.equal((await store.stat('/large')).size, 6 * PART + 1)
})

void t.test('writes that are not waited for keep their order', async t => {
  const { driver } = await startDriverHarness(t)
  const store = await driver()
  const writer = await store.writer('/order')
  const pieces = Array.from({ length: 20 }, (_, i) => bytes(PART / 8, i + 1))
  const written = pieces.map(piece => writer.write(piece))
  const committed = writer.commit()
  await Promise.all([...written, committed])
  t.ok((await store.getContent('/order')).equals(Buffer.concat(pieces)))
})

void t.test('a write that was aborted half way breaks the writer', async t => {
  const { driver, server } = await startDriverHarness(t)
  const store = await driver({}, { partsInFlight: 1 })
  const part = server.faults.add({
    operation: 'UploadPart',
    fault: { kind: 'delay', delay: 1000 },
  })
  const writer = await store.writer('/aborted')
  const stop = new AbortController()
  const reason = new Error('interrupted')
  const written = failure(writer.write(bytes(4 * PART), { signal: stop.signal }))
  while (part.hits === 0) await turn()
  stop.abort(reason)
  t.equal(await written, reason)
  t.equal(await failure(writer.commit()), reason)
  await writer.cancel()
  for await (const upload of store.uploads('/')) t.fail(`left over: ${upload.uploadId}`)
})

void t.test('cancel aborts an upload although the wait for its beginning was given up', async t => {
  const { driver, server } = await startDriverHarness(t)
  const store = await driver()
  const fault = { kind: 'delay', delay: 1000 } as const
  const begin = server.faults.add({ operation: 'InitiateMultipartUpload', fault })
  const writer = await store.writer('/begun')
  const stop = new AbortController()
  const reason = new Error('interrupted')
  const written = failure(writer.write(bytes(2 * PART), { signal: stop.signal }))
  while (begin.hits === 0) await turn()
  stop.abort(reason)
  t.equal(await written, reason)
  await writer.cancel()
  const left: string[] = []
  for await (const { uploadId } of store.uploads('/')) left.push(uploadId)
  t.same(left, [])
})

void t.test('a closed writer leaves parts, and the rest beside them', async t => {
  const { driver, api } = await startDriverHarness(t)
  const store = await driver({ rootdirectory: 'root' })
  const writer = await store.writer('/left')
  await writeIn(writer, bytes(2 * PART + 1234), MiB)
  await writer.close()
  const keys = (await api().list({ prefix: '' })).objects.map(object => object.key)
  t.equal(keys.length, 1)
  t.match(keys[0], /^root\/\.bosmount\/tails\/./)
  const sidecar = await api().head(keys[0] ?? '')
  t.match(sidecar, { size: 1234, metadata: { offset: String(2 * PART) } })
  const next = await store.writer('/left', { append: true })
  await next.commit()
  await next.close()
  t.ok((await store.getContent('/left')).equals(bytes(2 * PART + 1234)))
  const left = (await api().list({ prefix: '' })).objects.map(object => object.key)
  t.same(left, ['root/left'], 'nothing but the file remains')
})

void t.test('a sidecar that the parts have overtaken is ignored', async t => {
  const { driver, api } = await startDriverHarness(t)
  const store = await driver()
  const content = bytes(4 * PART, 7)
  const first = await store.writer('/stale')
  await writeIn(first, content.subarray(0, PART + 1000), MiB)
  await first.close()
  // A second writer goes on, sends whole parts, and dies.
  const dying = await driver()
  const second = await dying.writer('/stale', { append: true })
  await writeIn(second, content.subarray(PART + 1000, 3 * PART + 10), MiB)
  const { value: upload } = await api().uploads.listUploads('stale').next()
  if (upload === undefined) throw new Error('no upload')
  const partsSent = async (): Promise<number> => (await api().uploads.listParts(upload)).length
  while ((await partsSent()) < 3) await new Promise(resolve => setTimeout(resolve, 10))
  const third = await store.writer('/stale', { append: true })
  t.equal(third.size, 3 * PART)
  await third.write(content.subarray(3 * PART))
  await third.commit()
  await third.close()
  t.ok((await store.getContent('/stale')).equals(content))
})

void t.test('a fresh writer leaves uploads alone that somebody works on', async t => {
  const { driver } = await startDriverHarness(t)
  const store = await driver()
  const composition = await store.compose('/shared')
  const part = await composition.uploadPart(1, [bytes(10, 1)])
  const writer = await store.writer('/shared')
  await writer.write(bytes(20, 2))
  await writer.commit()
  await writer.close()
  await composition.complete([part])
  t.same(await store.getContent('/shared'), bytes(10, 1), 'the last to finish wins')
  t.match(await failure(store.writer('/none', { append: true })), { code: 'PATH_NOT_FOUND' })
})

void t.test('an append copies the old content inside the store', async t => {
  const { driver, log } = await startDriverHarness(t)
  const store = await driver()
  await store.putContent('/grown', bytes(PART + 5, 1))
  log.length = 0
  const writer = await store.writer('/grown', { append: true })
  await writer.write(bytes(10, 2))
  await writer.commit()
  await writer.close()
  t.ok(log.every(entry => entry.bytesOut < 10_000 && entry.bytesIn < 10_000))
  t.ok((await store.getContent('/grown')).equals(Buffer.concat([bytes(PART + 5, 1), bytes(10, 2)])))
})

void t.test('a large file is appended to by copying its parts at once, within a bound', async t => {
  const { driver, log, server } = await startDriverHarness(t)
  const copies = { copyThreshold: PART, copyPartSize: PART, copiesInFlight: 3 }
  const store = await driver({}, copies)
  const content = bytes(8 * PART + 5, 1)
  await store.putContent('/grown', content)
  server.faults.add({ operation: 'UploadPartCopy', fault: { kind: 'delay', delay: 50 } })
  const writer = await store.writer('/grown', { append: true })
  const spans = log
    .filter(({ operation }) => operation === 'UploadPartCopy')
    .map(({ time, milliseconds }) => [Date.parse(time), Date.parse(time) + milliseconds] as const)
  const atOnce = spans.map(([at]) => spans.filter(([from, to]) => from <= at && at < to).length)
  t.equal(spans.length, 8, 'what is too small for a part goes with the one before it')
  t.ok(Math.max(...atOnce) > 1 && Math.max(...atOnce) <= 3, `${Math.max(...atOnce)} at once`)
  t.equal(writer.size, content.length)
  await writer.write(bytes(10, 2))
  await writer.commit()
  await writer.close()
  t.ok((await store.getContent('/grown')).equals(Buffer.concat([content, bytes(10, 2)])))
})

void t.test('an append that cannot copy the old content leaves no upload behind', async t => {
  const { driver, server } = await startDriverHarness(t)
  const store = await driver({}, { copyThreshold: PART, copyPartSize: PART })
  await store.putContent('/kept', bytes(3 * PART, 1))
  const fault = { kind: 'error', status: 403, code: 'AccessDenied' } as const
  server.faults.add({ operation: 'UploadPartCopy', skip: 1, fault })
  const refused = await failure(store.writer('/kept', { append: true }))
  t.match(refused, { code: 'ACCESS_DENIED', path: '/kept' })
  for await (const upload of store.uploads('/')) t.fail(`left over: ${upload.uploadId}`)
})
