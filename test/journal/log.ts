/** The journal's log: what was appended is there again, what was cut off is not, and damage is told. */
import { appendFileSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { OWN } from '../../src/journal/frame.js'
import { Log } from '../../src/journal/log.js'
import type { LogRecord } from '../../src/journal/record.js'
import { KiB } from '../../src/util/units.js'
import { bytes, failure } from '../driver/helpers.js'
import { scratchFolder } from '../helpers/scratch.js'

function put(seq: number, length = 0): LogRecord {
  return {
    kind: 'put',
    key: `/f${seq}`,
    seq,
    since: 1,
    changed: 1,
    modTime: 1,
    base: { is: 'any' },
    size: length,
    etag: `etag${seq}`,
    slices: length === 0 ? [] : [{ file: OWN, offset: 0, length }],
    metadata: {},
  }
}

async function reopen(folder: string): Promise<readonly LogRecord[]> {
  const { log, records } = await Log.open({ folder, fileSize: 64 * KiB })
  await log.close()
  return records
}

/** A log with three records, the second of which was dropped. */
async function filled(t: Test): Promise<string> {
  const folder = scratchFolder(t)
  const { log } = await Log.open({ folder, fileSize: 64 * KiB })
  for (const seq of [1, 2, 3]) {
    await log.append({ sets: [put(seq, 100)], contents: [bytes(100, seq)] })
  }
  await log.append({ drops: [{ key: '/f2', seq: 2 }] })
  await log.close()
  return folder
}

void t.test('what was appended is there again, but for what was dropped', async t => {
  const folder = await filled(t)
  const records = await reopen(folder)
  t.same(
    records.map(({ key }) => key),
    ['/f1', '/f3'],
  )
  const [first] = records
  const [slice] = first?.kind === 'put' ? first.slices : []
  const { file = '', offset = 0, length = 0 } = slice ?? {}
  const log = readFileSync(join(folder, file))
  t.same(log.subarray(offset, offset + length), bytes(100, 1), 'and so are contents')
})

void t.test('appends at the same time are each whole, empty contents among them', async t => {
  const folder = scratchFolder(t)
  const { log } = await Log.open({ folder, fileSize: 64 * KiB })
  const numbers = Array.from({ length: 50 }, (_, i) => i + 1)
  await Promise.all(
    numbers.map(seq => {
      const length = (seq % 5) * 1000
      return log.append({ sets: [put(seq, length)], contents: [Buffer.alloc(length)] })
    }),
  )
  await log.close()
  const records = await reopen(folder)
  t.same(
    records.map(({ seq }) => seq),
    numbers,
  )
})

void t.test('a frame that was cut off says nothing, and the log goes on behind it', async t => {
  const folder = await filled(t)
  const file = join(folder, 'log-00000001')
  const whole = readFileSync(file)
  const end = whole.lastIndexOf('BMJ1')
  for (const cut of [end, end + 3, end + 20, end + 40]) {
    writeFileSync(file, whole.subarray(0, cut))
    const keys = (await reopen(folder)).map(({ key }) => key)
    t.same(keys, ['/f1', '/f2', '/f3'], `cut at ${cut - end}`)
  }
  truncateSync(file, end)
  appendFileSync(file, 'rubbish that was never confirmed')
  const { log } = await Log.open({ folder, fileSize: 64 * KiB })
  await log.append({ sets: [put(9)] })
  await log.close()
  t.same(
    (await reopen(folder)).map(({ key }) => key),
    ['/f1', '/f2', '/f3', '/f9'],
  )
})

void t.test('damage to what was confirmed is told, and nothing is touched', async t => {
  const folder = await filled(t)
  const file = join(folder, 'log-00000001')
  const damaged = readFileSync(file)
  const at = damaged.indexOf('/f2')
  damaged[at] = (damaged[at] ?? 0) ^ 1
  writeFileSync(file, damaged)
  const error = await failure(Log.open({ folder, fileSize: 64 * KiB }))
  t.match(error, { code: 'JOURNAL', message: /log-00000001 is damaged at byte \d+/ })
  t.same(readFileSync(file), damaged)
})

void t.test('a file of the log that is missing, or shorter than it was, is told', async t => {
  const folder = scratchFolder(t)
  const { log } = await Log.open({ folder, fileSize: 1000 })
  for (let seq = 1; seq <= 30; seq += 1) await log.append({ sets: [put(seq)] })
  await log.close()
  const names = readdirSync(folder)
  t.ok(names.length >= 3)
  const [first = ''] = names
  const whole = readFileSync(join(folder, first))
  writeFileSync(join(folder, first), whole.subarray(0, 300))
  t.match(await failure(reopen(folder)), { code: 'JOURNAL', message: /is damaged at byte/ })
  writeFileSync(join(folder, first), whole)
  t.equal((await reopen(folder)).length, 30)
  writeFileSync(join(folder, 'log-00000019'), '')
  t.match(await failure(reopen(folder)), { message: /between .* is missing/ })
})

void t.test('files go when nothing lives in them, the oldest first', async t => {
  const folder = scratchFolder(t)
  const { log } = await Log.open({ folder, fileSize: 1000 })
  for (let seq = 1; seq <= 12; seq += 1) await log.append({ sets: [put(seq)] })
  const count = log.files.length
  for (let seq = 2; seq <= 11; seq += 1) log.forget(seq)
  await log.prune(() => false)
  t.equal(log.files.length, count, 'the first holds all of them')
  log.forget(1)
  await log.prune(file => file === 'log-00000002')
  t.equal(log.files[0], 'log-00000002', 'somebody uses it')
  await log.prune(() => false)
  t.equal(log.files.length, 1)
  const written = log.append({ sets: [put(12)] })
  log.forget(12)
  await written
  await log.rest()
  await log.prune(() => false)
  t.same(readdirSync(folder), [])
  await log.append({ sets: [put(13)] })
  await log.close()
  t.equal((await reopen(folder)).length, 1)
})
