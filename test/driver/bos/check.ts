/** The check at start says what to change. */
import t from 'tap'
import { openBosDriver } from '../../../src/driver/bos/driver.js'
import { failure } from '../helpers.js'
import { startDriverHarness } from './harness.js'

const RETRY = { retry: { baseDelay: 1, maxDelay: 2, attempts: 2 } }

void t.test('a bucket that can be used opens', async t => {
  const { parameters, log } = await startDriverHarness(t)
  const driver = await openBosDriver(parameters(), RETRY)
  t.same(await driver.list('/'), [])
  t.equal(log[0]?.operation, 'HeadBucket')
  await driver.close()
})

const TROUBLE: readonly (readonly [Record<string, unknown>, string, RegExp])[] = [
  [
    { bucket: 'no-such-bucket' },
    'NOT_FOUND',
    /bucket no-such-bucket does not exist at .*create it/,
  ],
  [{ accesskeyid: 'nobody' }, 'ACCESS_DENIED', /access key id nobody is not known/],
  [{ accesskeysecret: 'wrong-secret' }, 'ACCESS_DENIED', /accesskeysecret does not belong to/],
]

void t.test('each kind of trouble has its own message, without the secret', async t => {
  const { parameters } = await startDriverHarness(t)
  for (const [changes, code, message] of TROUBLE) {
    const error = await failure(openBosDriver(parameters(changes), RETRY))
    t.match(error, { code, message, driver: 'bos' })
    t.notMatch(String((error as Error).stack), /wrong-secret|driver-secret/)
  }
})

void t.test('a server that is not there is told from one that refuses', async t => {
  const { parameters, server } = await startDriverHarness(t)
  const { url } = server
  await server.close()
  const error = await failure(openBosDriver(parameters(), RETRY))
  t.match(error, { code: 'FAILED', message: /cannot reach http.*ECONNREFUSED.*check endpoint/ })
  t.match(String(error), url)
})

void t.test('a policy that forbids it is told as such', async t => {
  const { parameters, server } = await startDriverHarness(t)
  const fault = { kind: 'error', status: 403, code: 'AccessDenied' } as const
  const rule = server.faults.add({ fault })
  const error = await failure(openBosDriver(parameters(), RETRY))
  t.match(error, { code: 'ACCESS_DENIED', message: /may not use bucket driver-test/ })
  rule.remove()
  server.faults.add({ operation: 'HeadBucket', fault })
  const driver = await openBosDriver(parameters(), RETRY)
  await driver.close()
})

void t.test('an abort ends the check', async t => {
  const { parameters } = await startDriverHarness(t)
  const reason = new Error('stop')
  const open = openBosDriver(parameters(), { ...RETRY, signal: AbortSignal.abort(reason) })
  t.equal(await failure(open), reason)
})
