/** More than a thousand of everything: pages are followed to their end, batches hold a thousand. */
import t from 'tap'
import { forEachParallel } from '../../../src/util/semaphore.js'
import { bytes, walked } from '../helpers.js'
import { startDriverHarness } from './harness.js'

async function many(count: number, work: (i: number) => Promise<unknown>): Promise<void> {
  const numbers = Array.from({ length: count }, (_, i) => i)
  await forEachParallel(numbers, async i => void (await work(i)), { limit: 16 })
}

void t.test('an upload of more than a thousand parts is found and completed', async t => {
  const { api, log } = await startDriverHarness(t, { strict: { minPartSize: 1 } })
  const calls = api()
  const { uploads } = calls
  const key = 'parts'
  const uploadId = await uploads.initiate(key)
  await many(1005, i => uploads.uploadPart({ key, uploadId, partNumber: i + 1 }, bytes(10, i + 1)))
  log.length = 0
  const parts = await uploads.listParts({ key, uploadId })
  t.same(
    log.map(entry => entry.operation),
    ['ListParts', 'ListParts'],
  )
  t.same(
    parts.map(part => part.partNumber),
    Array.from({ length: 1005 }, (_, i) => i + 1),
  )
  await uploads.complete({ key, uploadId }, parts)
  t.equal((await calls.head(key)).size, 10_050)
})

void t.test('more than a thousand unfinished uploads are all found', async t => {
  const { api, driver, log } = await startDriverHarness(t)
  const { uploads } = api()
  await many(1003, i => uploads.initiate(`dir/${i % 700}`))
  log.length = 0
  const found: string[] = []
  for await (const upload of (await driver()).uploads('/dir')) found.push(upload.uploadId)
  t.equal(new Set(found).size, 1003)
  t.ok(log.length >= 2, 'in more than one page')
})

void t.test('deletions go out in batches of a thousand', async t => {
  const { api, log } = await startDriverHarness(t)
  await api().put('key-2400', bytes(1))
  log.length = 0
  await api().deletions.objects(Array.from({ length: 2500 }, (_, i) => `key-${i}`))
  t.same(
    log.map(entry => entry.operation),
    ['DeleteMultipleObjects', 'DeleteMultipleObjects', 'DeleteMultipleObjects'],
  )
  t.equal(await api().find('key-2400'), undefined)
})

void t.test('a walk over many pages skips and starts where it is told', async t => {
  const { driver } = await startDriverHarness(t)
  const store = await driver({}, { listPageSize: 10 })
  const name = (i: number): string => `/tree/f${String(i).padStart(4, '0')}`
  await many(103, i => store.putContent(name(i), Buffer.alloc(0)))
  await many(5, i => store.putContent(`/tree/g/${i}`, Buffer.alloc(0)))
  const all = await walked(store, '/tree')
  t.equal(all.length, 109)
  t.same(await walked(store, '/tree', { startAfter: name(100) }), all.slice(101))
  const seen: string[] = []
  await store.walk('/tree', ({ path, isDir }) => {
    seen.push(path)
    return isDir ? 'skip-directory' : undefined
  })
  t.same(seen, all.slice(0, 104), 'nothing below a directory that was skipped')
})
