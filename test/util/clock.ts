import t from 'tap'
import { systemClock } from '../../src/util/clock.js'

void t.test('a sleep ends by itself or by its signal', async t => {
  const before = systemClock.now()
  await systemClock.sleep(5)
  t.ok(systemClock.now() >= before)
  const stop = new AbortController()
  const sleeping = systemClock.sleep(60_000, stop.signal)
  stop.abort(new Error('awake'))
  await t.rejects(sleeping, { message: 'awake' })
  await t.rejects(systemClock.sleep(1, stop.signal), { message: 'awake' })
})
