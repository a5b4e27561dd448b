/** Where the log of the process goes, and in which form. */
import { readFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openLog } from '../../src/cli/logger.js'
import { scratchFolder } from '../helpers/scratch.js'

function entries(file: string): Record<string, unknown>[] {
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
}

void t.test('a file gets JSON, is private, and is opened anew on demand', t => {
  const file = join(scratchFolder(t), 'deep', 'log')
  const { log, reopen } = openLog({ level: 'info', file })
  log.info({ path: '/a' }, 'one')
  log.debug({}, 'not told')
  t.equal(statSync(file).mode & 0o777, 0o600)
  renameSync(file, `${file}.1`)
  log.info({}, 'two')
  reopen()
  log.info({}, 'three')
  t.match(entries(`${file}.1`), [{ level: 'info', path: '/a', msg: 'one' }, { msg: 'two' }])
  t.match(entries(file), [{ msg: 'three' }])
  t.end()
})

void t.test('text can be asked for', t => {
  const file = join(scratchFolder(t), 'log')
  openLog({ level: 'info', file, format: 'text' }).log.warn({ path: '/a' }, 'it is slow')
  t.match(readFileSync(file, 'utf8'), /^\d\d:\d\d:\d\d\.\d{3} WARN {2}it is slow path=\/a\n$/)
  t.end()
})

void t.test('a warning that repeats is counted, an error never is', t => {
  const file = join(scratchFolder(t), 'log')
  const { log } = openLog({ level: 'info', file })
  for (let i = 0; i < 50; i += 1) log.warn({ i }, 'slow')
  for (let i = 0; i < 50; i += 1) log.error({ i }, 'lost')
  const told = entries(file)
  const warnings = told.filter(({ msg }) => msg === 'slow')
  t.ok(warnings.length < 50)
  t.match(warnings.at(-1), { next: /only counted/ })
  t.equal(told.filter(({ msg }) => msg === 'lost').length, 50)
  t.end()
})
