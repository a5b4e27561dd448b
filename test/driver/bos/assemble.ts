/** Parameters reach the parts of the driver that they are for. */
import t from 'tap'
import { createBosDriver } from '../../../src/driver/bos/driver.js'
import { failure } from '../helpers.js'
import { startDriverHarness } from './harness.js'

void t.test('a request has as many attempts as maxretries allows', async t => {
  const { server, parameters } = await startDriverHarness(t)
  const fault = { kind: 'error', status: 503, code: 'ServiceUnavailable' } as const
  for (const maxretries of [0, 2]) {
    const store = createBosDriver(parameters({ maxretries }))
    t.teardown(() => store.close())
    const active = server.faults.add({ fault })
    t.match(await failure(store.getContent('/x')), { code: 'THROTTLED' })
    t.equal(active.hits, maxretries + 1)
    active.remove()
  }
})

void t.test('an attempt ends after requesttimeout, all of them after totaltimeout', async t => {
  const { server, parameters } = await startDriverHarness(t)
  const times = { requesttimeout: '1s', totaltimeout: '2500ms', maxretries: 100 }
  const store = createBosDriver(parameters(times))
  t.teardown(() => store.close())
  const active = server.faults.add({ fault: { kind: 'hang' } })
  t.match(await failure(store.getContent('/x')), { code: 'TIMEOUT', path: '/x' })
  t.ok(active.hits <= 3, `${active.hits} attempts`)
})
