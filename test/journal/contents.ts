/** Large contents in the journal: what is damaged is neither served nor sent, and never lost in silence. */
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { StorageDriver } from '../../src/driver/driver.js'
import { Contents } from '../../src/journal/contents.js'
import { cutSlices } from '../../src/journal/record.js'
import type { Logger } from '../../src/util/log.js'
import { silentLogger } from '../../src/util/log.js'
import { KiB, MiB } from '../../src/util/units.js'
import { bytes, failure } from '../driver/helpers.js'
import { scratchFolder } from '../helpers/scratch.js'
import { hold, watched } from '../helpers/watched-driver.js'
import { lasting, openJournaled } from './subject.js'

const free = { isFree: true }

/** Damages the one content of a journal. */
function damage(folder: string, how: (file: string) => void): void {
  const [name = '', ...others] = readdirSync(join(folder, 'content'))
  if (others.length > 0) throw new Error('there is more than one')
  how(join(folder, 'content', name))
}

function flip(at: number): (file: string) => void {
  return file => {
    const content = readFileSync(file)
    content[at] = (content[at] ?? 0) ^ 0x40
    writeFileSync(file, content)
  }
}

void t.test('any part of a content can be read, and is checked', async t => {
  const folder = scratchFolder(t)
  const first = new Contents(folder)
  const file = await first.create()
  const parts = [bytes(300 * KiB, 1), bytes(100, 2), bytes(128 * KiB, 3)]
  const slices = await Promise.all(parts.map(part => file.append([part])))
  await file.sync()
  await file.close()
  await first.close()
  const whole = Buffer.concat(parts)
  const contents = new Contents(folder)
  for (const [offset, length] of [
    [0, whole.length],
    [1, 1],
    [127 * KiB, 2 * KiB],
    [300 * KiB - 1, 102],
    [300 * KiB + 50, 20],
    [whole.length - 1, 1],
    [299 * KiB, 129 * KiB],
  ] as const) {
    const target = Buffer.alloc(length)
    await contents.read(slices, offset, [target])
    t.ok(target.equals(whole.subarray(offset, offset + length)), `${length} at ${offset}`)
  }
  const [slice] = slices
  const beyond = slice && [{ ...slice, length: slice.length + 1 }]
  t.match(await failure(contents.read(beyond ?? [], 0, [Buffer.alloc(300 * KiB + 1)])), {
    code: 'INTEGRITY',
  })
  await contents.close()
  damage(folder, flip(200 * KiB))
  const again = new Contents(folder)
  const read = (offset: number, length: number): Promise<unknown> => {
    const cut = cutSlices(slices, offset, length)
    return failure(again.read(cut, 0, [Buffer.alloc(length)]))
  }
  for (const [offset, length] of [
    [200 * KiB, 1],
    [130 * KiB, 1],
    [0, 200 * KiB],
    [0, whole.length],
  ] as const) {
    t.match(await read(offset, length), { code: 'INTEGRITY', message: /damaged between bytes/ })
  }
  await again.read(cutSlices(slices, 300 * KiB, 100), 0, [Buffer.alloc(100)])
  await again.close()
})

interface Stage {
  readonly store: StorageDriver
  readonly folder: string
  readonly errors: string[]
  readonly log: Logger
}

/** A journal whose process has died, with a large content and a small one, neither of which was sent. */
async function setStage(t: Test): Promise<Stage> {
  const store = lasting()
  const watch = watched(store)
  const folder = join(scratchFolder(t), 'journal')
  const driver = await openJournaled(t, watch.driver, { folder })
  await driver.putContent('/large', bytes(700 * KiB, 1), free)
  await driver.putContent('/small', bytes(100, 2), free)
  const copy = `${folder}-copy`
  cpSync(folder, copy, { recursive: true })
  rmSync(join(copy, 'owner'))
  hold(watch, () => true)
  const errors: string[] = []
  const error = (fields: object, message: string): void => {
    errors.push('path' in fields ? `${String(fields.path)}: ${message}` : message)
  }
  return { store, folder: copy, errors, log: { ...silentLogger, error } }
}

for (const [name, how] of Object.entries({
  'one wrong bit': flip(300 * KiB),
  'an end that is missing': (file: string) => truncateSync(file, 500 * KiB),
  'a wrong bit in its checksums': (file: string) => flip(readFileSync(file).length - 20)(file),
  'no bytes at all': (file: string) => truncateSync(file, 0),
  'no file': (file: string) => rmSync(file),
})) {
  void t.test(`a content with ${name} is set aside`, async t => {
    const { store, folder, errors, log } = await setStage(t)
    damage(folder, how)
    const driver = await openJournaled(t, store, { folder, log })
    t.match(await failure(driver.getContent('/large')), { code: 'INTEGRITY' }, 'not served')
    t.equal((await driver.stat('/large')).size, 700 * KiB, 'though the name is there')
    const drained = await failure(driver.drain())
    t.match(drained, { message: /1 changes .* not in BOS/, cause: { code: 'INTEGRITY' } })
    t.match(errors, [/^\/large: a file in the journal is damaged: .* until it is replaced/])
    t.same(await store.list('/'), ['/small'], 'it holds up nothing, and nothing of it is sent')
    await driver.close()
    const next = await openJournaled(t, store, { folder, log })
    t.equal(next.recovered, 1, 'it is there still')
    await next.putContent('/large', bytes(10, 3))
    await next.drain()
    t.same(await store.getContent('/large'), bytes(10, 3), 'until it is replaced')
    t.equal(next.gauges.journalFiles, 0)
  })
}

void t.test('what is removed is given up, however damaged', async t => {
  const { store, folder, log } = await setStage(t)
  damage(folder, flip(MiB / 2))
  const driver = await openJournaled(t, store, { folder, log })
  await failure(driver.drain())
  await driver.move('/large', '/moved')
  t.match(await failure(driver.getContent('/moved')), { code: 'INTEGRITY' }, 'a move mends nothing')
  await driver.deleteFile('/moved')
  await driver.drain()
  t.same(await store.list('/'), ['/small'])
  await driver.close()
  t.same(readdirSync(join(folder, 'content')), [])
})
