/** What a ledger has confirmed is in its file, however its process ends. */
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { LedgerEntry } from '../../src/fs/core/ledger.js'
import { LedgerFile, readLedger } from '../../src/ledger/ledger-file.js'
import { ownIdentity } from '../../src/util/process-identity.js'
import { silentLogger } from '../../src/util/log.js'
import { scratchFolder } from '../helpers/scratch.js'

async function makeLedger(
  t: Test,
  compactAt?: number,
): Promise<{ ledger: LedgerFile; file: string }> {
  const file = join(scratchFolder(t), 'one.ledger')
  const owner = await ownIdentity()
  const size = compactAt === undefined ? {} : { compactAt }
  const ledger = new LedgerFile({ file, store: 'store', owner, log: silentLogger, ...size })
  t.teardown(() => ledger.close())
  return { ledger, file }
}

function entriesIn(file: string): readonly LedgerEntry[] | undefined {
  return readLedger(readFileSync(file, 'utf8'))?.entries
}

const object = (path: string): LedgerEntry => ({ kind: 'object', path })
const upload: LedgerEntry = { kind: 'upload', path: '/a\nb', uploadId: 'u 1' }

void t.test('a record that was confirmed is in the file, readable by its owner alone', async t => {
  const { ledger, file } = await makeLedger(t)
  await ledger.record(object('/x'))
  t.same(entriesIn(file), [object('/x')])
  t.equal(statSync(file).mode & 0o777, 0o600)
  await Promise.all([ledger.record(upload), ledger.record(object('/y'))])
  t.same(entriesIn(file), [object('/x'), upload, object('/y')])
  t.match(readLedger(readFileSync(file, 'utf8'))?.header, {
    store: 'store',
    owner: { pid: process.pid },
  })
})

void t.test('what was struck is not in it, and an empty ledger leaves no file', async t => {
  const { ledger, file } = await makeLedger(t)
  await ledger.record(object('/x'))
  await ledger.record(upload)
  ledger.strike(object('/x'))
  ledger.strike(object('/never'))
  await ledger.record(object('/y'))
  t.same(entriesIn(file), [upload, object('/y')])
  ledger.strike(upload)
  ledger.strike(object('/y'))
  await ledger.close()
  t.same(readdirSync(join(file, '..')), [])
})

void t.test('a ledger with something left stays for the next mount', async t => {
  const { ledger, file } = await makeLedger(t)
  await ledger.record(object('/x'))
  await ledger.close()
  t.same(entriesIn(file), [object('/x')])
})

void t.test('a ledger that nothing was recorded in has no file', async t => {
  const { ledger, file } = await makeLedger(t)
  ledger.strike(object('/x'))
  await ledger.close()
  t.same(readdirSync(join(file, '..')), [])
})

void t.test('a ledger in use for long does not grow', async t => {
  const { ledger, file } = await makeLedger(t, 2000)
  await ledger.record(upload)
  for (let i = 0; i < 300; i += 1) {
    await ledger.record(object(`/x${i}`))
    ledger.strike(object(`/x${i}`))
  }
  await ledger.record(object('/last'))
  t.ok(statSync(file).size < 5000, `${statSync(file).size} bytes`)
  t.same(entriesIn(file), [upload, object('/last')])
  t.equal(statSync(file).mode & 0o777, 0o600)
})

void t.test('what cannot be recorded is told', async t => {
  const file = join(scratchFolder(t), 'absent', 'one.ledger')
  const owner = await ownIdentity()
  const ledger = new LedgerFile({ file, store: 'store', owner, log: silentLogger })
  await t.rejects(ledger.record(object('/x')), { code: 'ENOENT' })
  await ledger.close()
})

void t.test('a ledger that was cut off says what it can', async t => {
  const { ledger, file } = await makeLedger(t)
  await ledger.record(object('/x'))
  await ledger.record(object('/y'))
  const text = readFileSync(file, 'utf8')
  for (let length = 0; length < text.length; length += 1) {
    const read = readLedger(text.slice(0, length))
    for (const entry of read?.entries ?? []) t.match(entry, { kind: 'object', path: /^.[xy]$/ })
  }
  writeFileSync(file, text)
  t.equal(readLedger('{"version":2}\n'), undefined)
})
