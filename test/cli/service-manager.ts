import t from 'tap'
import { watchdogInterval } from '../../src/cli/service-manager.js'

void t.test('the watchdog is fed if it waits for this process', t => {
  t.equal(watchdogInterval({}, 7), undefined)
  t.equal(watchdogInterval({ WATCHDOG_USEC: '60000000' }, 7), 60_000)
  t.equal(watchdogInterval({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '7' }, 7), 60_000)
  t.equal(watchdogInterval({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '8' }, 7), undefined)
  t.equal(watchdogInterval({ WATCHDOG_USEC: '0' }, 7), undefined)
  t.equal(watchdogInterval({ WATCHDOG_USEC: 'soon' }, 7), undefined)
  t.end()
})
