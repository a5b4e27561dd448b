import t from 'tap'
import { conflictName } from '../../src/journal/conflict-name.js'

const TIME = Date.UTC(2026, 0, 2, 3, 4, 5)

void t.test('a name is cut where it would be too long, never within a character', t => {
  const options = { host: 'a host.name', time: TIME, number: 3 }
  t.equal(conflictName('/d/f', options), '/d/f.conflict-a-host-name-20260102T030405Z-3')
  const long = conflictName(`/d/${'汉'.repeat(85)}`, options).slice(3)
  t.ok(Buffer.byteLength(long) <= 255)
  t.match(long, /^汉+\.conflict-a-host-name-20260102T030405Z-3$/)
  t.end()
})
