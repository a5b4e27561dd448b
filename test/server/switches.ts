import t from 'tap'
import { parseSwitch } from '../../src/server/switches.js'

void t.test('a switch is read in the type it has', t => {
  t.strictSame(parseSwitch('minPartSize=5m'), { minPartSize: 5 * 1024 * 1024 })
  t.strictSame(parseSwitch('pathStyle=false'), { pathStyle: false })
  t.strictSame(parseSwitch('renameObject'), { renameObject: true })
  t.strictSame(parseSwitch('rangeOnEmpty=416'), { rangeOnEmpty: 416 })
  t.end()
})

void t.test('what is no switch or no value of it is refused', t => {
  t.throws(() => parseSwitch('nothing=1'), /no switch 'nothing'; the switches are minPartSize/)
  t.throws(() => parseSwitch('pathStyle=no'), /pathStyle is true or false, not 'no'/)
  t.throws(() => parseSwitch('minPartSize=big'), /minPartSize is a number or size, not 'big'/)
  t.throws(() => parseSwitch('rangeOnEmpty=200'), /rangeOnEmpty is 400 or 416, not '200'/)
  t.throws(() => parseSwitch('toString=1'), /no switch/)
  t.end()
})
