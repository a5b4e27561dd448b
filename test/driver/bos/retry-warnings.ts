/** What the log says while requests are tried again. */
import t from 'tap'
import { BosError } from '../../../src/driver/bos/error.js'
import { warnOfRetries } from '../../../src/driver/bos/retry-warnings.js'
import { silentLogger, type Logger } from '../../../src/util/log.js'
import { bytes } from '../helpers.js'
import { startDriverHarness } from './harness.js'

function collecting(): { readonly log: Logger; readonly warnings: object[] } {
  const warnings: object[] = []
  return { log: { ...silentLogger, warn: fields => void warnings.push(fields) }, warnings }
}

const BUSY = { status: 503, code: 'SlowDown', requestId: 'id-1' }

void t.test('the third failure of a request is told, the first two are not', async t => {
  const { log, warnings } = collecting()
  const watch = warnOfRetries(log, { now: () => 0 })
  const error = new BosError('slow down', { kind: 'response', ...BUSY })
  for (const number of [1, 2]) watch({ method: 'GET', key: 'a' }, { number, error, delay: 5 })
  t.same(warnings, [])
  watch({ method: 'GET', key: 'a' }, { number: 3, error, delay: 7 })
  const told = { method: 'GET', key: 'a', attempt: 3, reason: 'slow down', ...BUSY }
  t.same(warnings, [{ ...told, delay: 7, untold: 0 }])
})

void t.test(
  'a storm of failures is one warning in ten seconds, which counts the others',
  async t => {
    const { log, warnings } = collecting()
    let now = 0
    const watch = warnOfRetries(log, { now: () => now })
    const error = new Error('broken')
    for (let i = 0; i < 100; i++)
      watch({ method: 'PUT', key: `${i}` }, { number: 3, error, delay: 0 })
    now = 10_000
    watch({ method: 'PUT', key: 'last' }, { number: 4, error, delay: 0 })
    t.match(warnings, [
      { key: '0', untold: 0, reason: 'broken' },
      { key: 'last', untold: 99 },
    ])
    t.equal(warnings.length, 2)
  },
)

void t.test('a driver warns while it waits for a service in trouble', async t => {
  const { server, driver } = await startDriverHarness(t)
  const { log, warnings } = collecting()
  const store = await driver({ rootdirectory: 'root' }, { log })
  const fault = { kind: 'error', status: 500, code: 'InternalError' } as const
  server.faults.add({ operation: 'PutObject', count: 2, fault })
  await store.putContent('/a', bytes(1))
  t.same(warnings, [])
  server.faults.add({ operation: 'PutObject', count: 4, fault })
  await store.putContent('/a', bytes(1))
  t.match(warnings, [{ method: 'PUT', key: 'root/a', code: 'InternalError', requestId: /./ }])
  t.equal(warnings.length, 1)
})
