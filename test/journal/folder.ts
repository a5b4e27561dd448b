/** The folder of a journal: whose it is, and that one process alone uses it. */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isInUse, JournalFolder } from '../../src/journal/folder.js'
import { silentLogger } from '../../src/util/log.js'
import { ownIdentity } from '../../src/util/process-identity.js'
import { failure } from '../driver/helpers.js'
import { scratchFolder } from '../helpers/scratch.js'

const log = silentLogger

void t.test('a folder is made for its owner alone, and belongs to one bucket', async t => {
  const folder = join(scratchFolder(t), 'deep', 'journal')
  const claimed = await JournalFolder.claim({ folder, store: 'bos://one', log })
  t.equal(statSync(folder).mode & 0o777, 0o700)
  for (const name of readdirSync(folder)) t.equal(statSync(join(folder, name)).mode & 0o077, 0)
  await claimed.release()
  const before = readFileSync(join(folder, 'journal.json'), 'utf8')
  const error = await failure(JournalFolder.claim({ folder, store: 'bos://two', log }))
  t.match(error, { code: 'JOURNAL', message: /belongs to bos:\/\/one, not to bos:\/\/two: give/ })
  t.equal(readFileSync(join(folder, 'journal.json'), 'utf8'), before)
  await (await JournalFolder.claim({ folder, store: 'bos://one', log })).release()
})

void t.test('a second one is kept out while the first has it', async t => {
  const folder = join(scratchFolder(t), 'journal')
  const first = await JournalFolder.claim({ folder, store: 'bos://one', log })
  const error = await failure(JournalFolder.claim({ folder, store: 'bos://one', log }))
  t.match(error, { code: 'JOURNAL', message: /is used by process \d+: unmount that first/ })
  await first.release()
  const second = await JournalFolder.claim({ folder, store: 'bos://one', log })
  await second.release()
})

void t.test(
  'what a dead process has left keeps nobody out; one that cannot be seen does',
  async t => {
    const folder = join(scratchFolder(t), 'journal')
    mkdirSync(folder)
    const self = await ownIdentity()
    const owner = join(folder, 'owner')
    writeFileSync(owner, JSON.stringify({ ...self, started: '1' }))
    t.notOk(await isInUse(folder), 'another process has its number now')
    writeFileSync(owner, JSON.stringify({ ...self, boot: 'another' }))
    t.notOk(await isInUse(folder), 'the machine was started anew')
    writeFileSync(owner, JSON.stringify({ ...self, namespace: 'of a container' }))
    t.ok(await isInUse(folder), 'it may live in a container')
    t.match(await failure(JournalFolder.claim({ folder, store: 's', log })), { code: 'JOURNAL' })
    const old = new Date(Date.now() - 120_000)
    utimesSync(owner, old, old)
    t.notOk(await isInUse(folder), 'but has not said so for two minutes')
    await (await JournalFolder.claim({ folder, store: 's', log })).release()
  },
)

void t.test('a folder that others can write to is not used', async t => {
  const folder = join(scratchFolder(t), 'journal')
  mkdirSync(folder)
  chmodSync(folder, 0o770)
  const error = await failure(JournalFolder.claim({ folder, store: 's', log }))
  t.match(error, { code: 'JOURNAL', message: /others can write to it: give a --journal-dir/ })
  t.same(readdirSync(folder), [])
})

void t.test('an identity of another version is left alone', async t => {
  const folder = scratchFolder(t)
  for (const text of ['', 'no JSON', '{"version":2,"store":"s"}']) {
    writeFileSync(join(folder, 'journal.json'), text)
    const error = await failure(JournalFolder.claim({ folder, store: 's', log }))
    t.match(error, { code: 'JOURNAL', message: /nothing was touched/ })
    t.equal(readFileSync(join(folder, 'journal.json'), 'utf8'), text)
  }
})
