import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { credentialsFromFile } from '../../../src/driver/credentials/from-file.js'
import { silentLogger } from '../../../src/util/log.js'
import { startDriverHarness } from '../bos/harness.js'
import { FakeClock } from '../fake-clock.js'
import { bytes, failure } from '../helpers.js'

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'bos-credentials-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function write(path: string, id: string, secret: string, more = ''): void {
  writeFileSync(path, `[defaults]\nAk=${id}\nSk=${secret}\n${more}`, { mode: 0o600 })
}

void t.test('the file is read again when it has changed, and not before its time', async t => {
  const path = join(folder(t), 'credentials')
  const clock = new FakeClock()
  const provider = credentialsFromFile({ path, clock, interval: 1000 })
  write(path, 'one', 'secret')
  const first = await provider()
  t.equal(first.accessKeyId, 'one')
  t.equal(provider(), first, 'the answer is there at once')
  write(path, 'second', 'secret')
  clock.pass(999)
  t.equal((await provider()).accessKeyId, 'one')
  clock.pass(1)
  t.equal((await provider()).accessKeyId, 'second')
})

void t.test('a relative path means the same file wherever the process goes', async t => {
  const at = folder(t)
  const before = process.cwd()
  t.teardown(() => process.chdir(before))
  process.chdir(at)
  const provider = credentialsFromFile({ path: 'credentials', clock: new FakeClock() })
  write(join(at, 'credentials'), 'one', 'secret')
  const first = await provider()
  process.chdir('/')
  write(join(at, 'credentials'), 'other', 'secret')
  t.equal((await provider(first)).accessKeyId, 'other')
})

void t.test('refused credentials make it look at once', async t => {
  const path = join(folder(t), 'credentials')
  const provider = credentialsFromFile({ path, clock: new FakeClock() })
  write(path, 'one', 'secret', 'reload_interval_s = 3600\n')
  const first = await provider()
  t.equal(await provider(first), first, 'the same while the file is the same')
  write(path, 'other', 'secret')
  t.equal((await provider(first)).accessKeyId, 'other')
})

void t.test('the interval that the file names counts', async t => {
  const path = join(folder(t), 'credentials')
  const clock = new FakeClock()
  const provider = credentialsFromFile({ path, clock })
  write(path, 'one', 'secret', 'reload_interval_s = 60\n')
  await provider()
  write(path, 'other', 'secret')
  clock.pass(59_999)
  t.equal((await provider()).accessKeyId, 'one')
  clock.pass(1)
  t.equal((await provider()).accessKeyId, 'other')
})

void t.test('a file that goes bad keeps what was there, and is complained of', async t => {
  const path = join(folder(t), 'credentials')
  const clock = new FakeClock()
  const warnings: object[] = []
  const log = { ...silentLogger, warn: (fields: object) => void warnings.push(fields) }
  const provider = credentialsFromFile({ path, clock, log })
  write(path, 'one', 'secret')
  await provider()
  writeFileSync(path, '[defaults]\nveryhidden')
  clock.pass(10_000)
  t.equal((await provider()).accessKeyId, 'one')
  rmSync(path)
  clock.pass(10_000)
  t.equal((await provider()).accessKeyId, 'one')
  t.match(warnings, [{ problem: /line 2: neither/ }, { problem: /ENOENT/ }])
  t.notMatch(inspect(warnings), /veryhidden/)
})

void t.test('a file that was never good fails each request, and says why', async t => {
  const path = join(folder(t), 'credentials')
  const provider = credentialsFromFile({ path })
  t.match(await failure(Promise.resolve(provider())), {
    code: 'ACCESS_DENIED',
    message: `cannot read the credentials file ${path}: ENOENT`,
  })
  writeFileSync(path, '[defaults]\nAk=x\n')
  t.match(await failure(Promise.resolve(provider())), { message: /: no secret/ })
  write(path, 'x', 'y')
  t.equal((await provider()).accessKeyId, 'x')
})

void t.test('a file that others can read is warned about once', async t => {
  const path = join(folder(t), 'credentials')
  const warnings: string[] = []
  const log = { ...silentLogger, warn: (_: object, message: string) => void warnings.push(message) }
  const clock = new FakeClock()
  const provider = credentialsFromFile({ path, clock, log })
  write(path, 'one', 'secret')
  chmodSync(path, 0o644)
  await provider()
  write(path, 'other', 'secret')
  clock.pass(10_000)
  await provider()
  t.same(warnings, ['a credentials file can be read by others: chmod 600'])
})

void t.test('a driver goes on through a rotation without being opened again', async t => {
  const path = join(folder(t), 'credentials')
  write(path, 'driver-key', 'driver-secret')
  const harness = await startDriverHarness(t)
  const none = { accesskeyid: undefined, accesskeysecret: undefined }
  const driver = await harness.driver({ ...none, credentialsfile: path })
  await driver.putContent('/kept', bytes(10))
  write(path, 'driver-key', 'wrong')
  const broken = await harness.driver({ ...none, credentialsfile: path })
  t.match(await failure(broken.getContent('/kept')), { code: 'ACCESS_DENIED' })
  write(path, 'driver-key', 'driver-secret', 'reload_interval_s = 1\n')
  t.same(await broken.getContent('/kept'), bytes(10), 'the refusal made it look again')
  t.same(await driver.getContent('/kept'), bytes(10))
})
