/** A driver with a journal: what is sent, how often, and what is there after a death. */
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { StorageDriver } from '../../src/driver/driver.js'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import { DriverError } from '../../src/driver/errors.js'
import { JournaledDriver } from '../../src/journal/driver.js'
import { openJournal, refuseLeftovers } from '../../src/journal/open.js'
import { silentLogger } from '../../src/util/log.js'
import { KiB, MiB } from '../../src/util/units.js'
import { bytes, entriesOf, failure } from '../driver/helpers.js'
import { scratchFolder } from '../helpers/scratch.js'
import { hold, watched } from '../helpers/watched-driver.js'
import { lasting, openJournaled } from './subject.js'

const free = { isFree: true }

void t.test('made, renamed and deleted before it is sent: no request', async t => {
  const watch = watched(lasting())
  const driver = await openJournaled(t, watch.driver)
  await driver.putContent('/draft', bytes(4000), free)
  const { etag } = await driver.putContent('/draft', bytes(5000), free)
  const source = { path: '/draft', size: 5000, isDir: false, etag }
  const known = { source, isFree: true }
  await driver.move('/draft', '/final', { known })
  await driver.setMetadata('/final', { a: 'b' })
  await driver.copy('/final', '/copy', {})
  await driver.deleteFile('/final')
  await driver.makeDirectory('/d', free)
  await driver.removeDirectoryMarker('/d')
  t.equal(watch.count(), 0)
  t.same(driver.gauges.journalFiles, 1, 'the copy, of which nobody has said that it is new')
  await driver.drain()
  t.same(watch.requests, [
    { method: 'stat', path: '/copy' },
    { method: 'putContent', path: '/copy' },
  ])
})

void t.test('what is written again and moved is sent once, under its last name', async t => {
  const watch = watched(lasting())
  const driver = await openJournaled(t, watch.driver)
  for (let i = 1; i <= 5; i += 1) await driver.putContent('/a', bytes(i * 100, i), free)
  const composition = await driver.compose('/large')
  const parts = [
    await composition.uploadPart(1, [bytes(10 * MiB, 1)]),
    await composition.uploadPart(2, [bytes(MiB, 2)]),
  ]
  const { etag, size } = await composition.complete(parts, free)
  const known = { source: { path: '/large', size, isDir: false, etag }, isFree: true }
  await driver.move('/large', '/moved', { known })
  await driver.drain()
  t.same(watch.requests.map(({ method, path }) => `${method} ${path}`).toSorted(), [
    'complete /moved',
    'compose /moved',
    'putContent /a',
    'uploadPart /moved',
    'uploadPart /moved',
  ])
  t.ok(
    (await watch.driver.getContent('/moved')).equals(
      Buffer.concat([bytes(10 * MiB, 1), bytes(MiB, 2)]),
    ),
  )
})

void t.test('a move of what is being sent waits, and sends it no second time', async t => {
  const watch = watched(lasting())
  const driver = await openJournaled(t, watch.driver, { delay: 0 })
  const held = hold(watch, ({ method }) => method === 'putContent')
  const { etag } = await driver.putContent('/a', bytes(100), free)
  await held.reached
  const source = { path: '/a', size: 100, isDir: false, etag }
  const moving = driver.move('/a', '/b', { known: { source, isFree: true } })
  await sleep(20)
  held.release()
  t.match(await moving, { etag, size: 100 })
  t.equal(watch.count('putContent'), 1)
  t.equal(watch.count('move'), 1)
  t.same(await watch.driver.list('/'), ['/b'])
})

void t.test('what is deleted while it is on its way is deleted behind it', async t => {
  const watch = watched(lasting())
  const driver = await openJournaled(t, watch.driver, { delay: 0 })
  const held = hold(watch, ({ method }) => method === 'putContent', 'after')
  await driver.putContent('/a', bytes(100), free)
  await held.reached
  await driver.deleteFile('/a')
  t.match(await failure(driver.stat('/a')), { code: 'PATH_NOT_FOUND' })
  held.release()
  await driver.drain()
  t.same(await watch.driver.list('/'), [])
})

void t.test('many deletes are one request', async t => {
  const watch = watched(lasting())
  for (let i = 0; i < 200; i += 1) await watch.driver.putContent(`/d/f${i}`, bytes(1))
  watch.requests.length = 0
  const driver = await openJournaled(t, watch.driver)
  for (let i = 0; i < 200; i += 1) await driver.deleteFile(`/d/f${i}`)
  t.equal(watch.count(), 0)
  t.same(await entriesOf(driver, '/d'), [])
  await driver.drain()
  t.equal(watch.count('deleteMany'), 1)
  t.same(await watch.driver.list('/'), [])
})

void t.test('nothing changes for whoever knows a file when the store gets it', async t => {
  const store = lasting()
  const driver = await openJournaled(t, store)
  const composition = await driver.compose('/f')
  const part = await composition.uploadPart(1, [bytes(11 * MiB)])
  const { etag } = await composition.complete([part])
  const before = await driver.stat('/f')
  await driver.drain()
  t.not((await store.stat('/f')).etag, etag, 'the store has a name of its own for it')
  t.same(await driver.stat('/f', { expect: 'file' }), before)
  const [listed] = await entriesOf(driver, '/')
  t.match(listed, { etag, modTime: before.modTime })
  const target = Buffer.alloc(10)
  t.match(await driver.readInto('/f', target, { etag, offset: 5 }), { etag })
  const replaced = await driver.putContent('/f', bytes(10), { ifMatch: etag })
  await driver.drain()
  t.match(await failure(driver.readInto('/f', target, { etag })), { code: 'PRECONDITION' })
  await driver.setMetadata('/f', { a: 'b' }, { ifMatch: replaced.etag })
  t.match(await driver.move('/f', '/g'), { etag: replaced.etag })
  await store.putContent('/g', bytes(20))
  t.not((await driver.stat('/g')).etag, replaced.etag, 'what another host has stored is seen')
})

void t.test('a page that was asked for before an upload ended shows the file', async t => {
  const memory = lasting()
  await memory.putContent('/d/old', bytes(1))
  const isLate: Partial<StorageDriver> = {
    entries: (...request) => late(memory.entries(...request)),
    entriesBelow: (...request) => late(memory.entriesBelow(...request)),
  }
  const store = new Proxy(memory, {
    get: (target, property) =>
      (Reflect.get(isLate, property) ?? Reflect.get(target, property)) as unknown,
  })
  const driver = await openJournaled(t, store)
  await driver.putContent('/d/new', bytes(1), free)
  await driver.putContent('/d/sub/new', bytes(1), free)
  await driver.deleteFile('/d/old')
  // The store answers, and everything is sent before the answer arrives.
  const late = async function* <T>(pages: AsyncIterable<T>): AsyncGenerator<T> {
    const answer: T[] = []
    for await (const page of pages) answer.push(page)
    await driver.drain()
    yield* answer
  }
  t.same((await entriesOf(driver, '/d')).map(({ path }) => path).toSorted(), ['/d/new', '/d/sub'])
  t.equal(driver.gauges.journalFiles, 0)
  await driver.putContent('/d/newer', bytes(1), free)
  await driver.putContent('/d/last/f', bytes(1), free)
  const found: string[] = []
  for await (const { directories } of driver.entriesBelow('/d')) {
    for (const page of directories) found.push(...page.entries.map(({ path }) => path))
  }
  t.equal(driver.gauges.journalFiles, 0)
  t.same(
    found.toSorted(),
    ['/d/new', '/d/newer', '/d/sub', '/d/sub/new', '/d/last', '/d/last/f'].toSorted(),
  )
})

void t.test('what fails is tried again, and whoever drains is told', async t => {
  const watch = watched(lasting())
  const driver = await openJournaled(t, watch.driver)
  await driver.putContent('/good', bytes(10), free)
  await driver.putContent('/bad', bytes(10), free)
  watch.before = ({ path }) => {
    if (path === '/bad') throw new DriverError('refused')
  }
  const error = await failure(driver.drain())
  t.match(error, { code: 'PENDING', files: 1, message: /1 changes .* bosmount recover/ })
  t.same(await watch.driver.list('/'), ['/good'])
  t.same(await driver.getContent('/bad'), bytes(10))
  t.match(driver.gauges, { journalFiles: 1, journalFailuresTotal: 1 })
  watch.before = () => undefined
  await driver.drain()
  t.same((await watch.driver.list('/')).toSorted(), ['/bad', '/good'])
})

void t.test('a store that does not answer at all ends a drain soon', async t => {
  const watch = watched(lasting())
  const driver = await openJournaled(t, watch.driver)
  for (let i = 0; i < 100; i += 1) await driver.putContent(`/f${i}`, bytes(10), free)
  watch.before = () => {
    throw new DriverError('nobody there')
  }
  t.match(await failure(driver.drain()), { code: 'PENDING', files: 100 })
  t.ok(watch.count() < 30, `${watch.count()} requests`)
})

void t.test('when it is full a writer waits for uploads, and is told at last', async t => {
  const watch = watched(lasting())
  const options = { size: 400 * KiB, patience: 200 }
  const driver = await openJournaled(t, watch.driver, options)
  for (let i = 0; i < 20; i += 1) await driver.putContent(`/f${i}`, bytes(90 * KiB, i), free)
  t.ok(watch.count('putContent') >= 15, 'what did not fit was sent before its time')
  watch.before = () => {
    throw new DriverError('nobody there')
  }
  const late = async (): Promise<void> => {
    for (let i = 20; i < 30; i += 1) await driver.putContent(`/f${i}`, bytes(90 * KiB, i), free)
  }
  t.match(await failure(late()), { code: 'QUOTA' })
  await driver.deleteFile('/f0')
  watch.before = () => undefined
  await driver.drain()
  for (let i = 1; i < 20; i += 1) t.same(await driver.getContent(`/f${i}`), bytes(90 * KiB, i))
})

void t.test('what would fill the journal goes to the store at once', async t => {
  const watch = watched(lasting(createMemoryDriver({ partSize: MiB, minPartSize: MiB })))
  const driver = await openJournaled(t, watch.driver, { size: 8 * MiB })
  await driver.putContent('/f', bytes(100), free)
  await driver.putContent('/f', bytes(3 * MiB))
  t.ok((await watch.driver.getContent('/f')).equals(bytes(3 * MiB)))
  const composition = await driver.compose('/g')
  const parts = []
  for (let i = 1; i <= 5; i += 1) parts.push(await composition.uploadPart(i, [bytes(MiB, i)]))
  const { etag } = await composition.complete(parts)
  t.equal((await watch.driver.stat('/g')).size, 5 * MiB)
  t.equal((await driver.stat('/g')).etag, etag)
  t.equal(driver.gauges.journalBytes, 0)
})

void t.test('a full disk is told to the writer and changes nothing', async t => {
  let space = Infinity
  const free_ = async (): Promise<number> => space
  const driver = await openJournaled(t, lasting(), { free: free_, patience: 50 })
  await driver.putContent('/f', bytes(100, 1))
  space = 0
  await sleep(600)
  t.match(await failure(driver.putContent('/f', bytes(100, 2))), { code: 'QUOTA' })
  const composition = await driver.compose('/g')
  t.match(await failure(composition.uploadPart(1, [bytes(100)])), { code: 'QUOTA' })
  t.same(await driver.getContent('/f'), bytes(100, 1))
  await driver.deleteFile('/f')
  t.match(await failure(driver.stat('/f')), { code: 'PATH_NOT_FOUND' })
})

void t.test('a journal that was left is served, sent and empty then', async t => {
  const store = lasting()
  const folder = join(scratchFolder(t), 'journal')
  const options = { folder, store: 'bos://tests', size: 16 * MiB, delay: 60_000, log: silentLogger }
  const first = await JournaledDriver.open(store, options)
  await store.putContent('/gone', bytes(1))
  await first.putContent('/a/f', bytes(1000, 1), { metadata: { owner: 'me' } })
  await first.putContent('/a/large', bytes(700 * KiB, 2))
  await first.deleteFile('/gone')
  await first.close()
  writeFileSync(join(folder, 'content', 'of-an-unfinished-write'), 'x')
  const refused = { folder, store: 'bos://tests' }
  t.match(await failure(refuseLeftovers(refused, false, silentLogger)), {
    code: 'JOURNAL',
    message: /3 changes .* bosmount recover/,
  })
  await refuseLeftovers(refused, true, silentLogger)
  await refuseLeftovers({ folder, store: 'bos://other' }, false, silentLogger)
  const second = await JournaledDriver.open(store, options)
  t.equal(second.recovered, 3)
  t.match(await second.stat('/a/f'), { size: 1000, metadata: { owner: 'me' } })
  t.ok((await second.getContent('/a/large')).equals(bytes(700 * KiB, 2)))
  t.same(await second.list('/'), ['/a'])
  t.same(readdirSync(join(folder, 'content')).length, 1, 'what nothing refers to was removed')
  await second.close()
  const third = await openJournal(store, { ...options, exclusive: 'journal' })
  t.equal(third.gauges.journalFiles, 0, 'it was sent before anybody asked')
  t.same(await store.list('/'), ['/a'])
  t.match(await store.stat('/a/f'), { metadata: { owner: 'me' } })
  await third.close()
  t.same(readdirSync(folder).toSorted(), ['content', 'journal.json'])
  await refuseLeftovers(refused, false, silentLogger)
})

void t.test(
  'what was sent before the store was told directly is not sent again after it',
  async t => {
    const store = lasting()
    const watch = watched(store)
    const folder = join(scratchFolder(t), 'journal')
    const driver = await openJournaled(t, watch.driver, { folder })
    await store.putContent('/source', bytes(10, 1))
    await driver.putContent('/target', bytes(10, 2))
    const copy = join(folder, '..', 'copy')
    watch.before = ({ method }) => {
      if (method === 'move') cpSync(folder, copy, { recursive: true })
    }
    await driver.move('/source', '/target')
    rmSync(join(copy, 'owner'))
    const next = await openJournaled(t, store, { folder: copy })
    t.equal(next.recovered, 0)
    await next.drain()
    t.same(await store.getContent('/target'), bytes(10, 1))
    t.same(await store.list('/'), ['/target'])
  },
)

void t.test('an upload that a dead process has left is aborted', async t => {
  const store = lasting()
  const watch = watched(store)
  const folder = join(scratchFolder(t), 'journal')
  const driver = await openJournaled(t, watch.driver, { folder, delay: 0 })
  const held = hold(watch, ({ method }) => method === 'complete')
  const composition = await driver.compose('/f')
  await composition.complete([await composition.uploadPart(1, [bytes(11 * MiB)])])
  await held.reached
  const copy = join(folder, '..', 'copy')
  mkdirSync(copy)
  cpSync(folder, copy, { recursive: true })
  rmSync(join(copy, 'owner'))
  const left = async (): Promise<number> => {
    let count = 0
    for await (const _ of store.uploads('/')) count += 1
    return count
  }
  t.equal(await left(), 1)
  const next = await openJournaled(t, store, { folder: copy })
  await next.drain()
  t.equal(await left(), 0)
  t.ok((await store.getContent('/f')).equals(bytes(11 * MiB)))
  held.release()
})

void t.test('what may have got to the store is deleted there, however often replaced', async t => {
  const store = lasting()
  const watch = watched(store)
  const driver = await openJournaled(t, watch.driver)
  watch.after = ({ method }) => {
    if (method === 'putContent') throw new DriverError('lost')
  }
  for (const path of ['/deleted', '/moved']) await driver.putContent(path, bytes(10, 1), free)
  await failure(driver.drain())
  t.same((await store.list('/')).toSorted(), ['/deleted', '/moved'])
  watch.after = () => undefined
  for (const path of ['/deleted', '/moved']) await driver.putContent(path, bytes(20, 2), free)
  await driver.deleteFile('/deleted')
  await driver.move('/moved', '/target')
  await driver.drain()
  t.same(await store.list('/'), ['/target'])
})
