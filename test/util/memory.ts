import t from 'tap'
import { usableMemory } from '../../src/util/memory.js'
import { GiB, MiB } from '../../src/util/units.js'

void t.test('a limit of the cgroup counts if it is one', t => {
  t.equal(usableMemory(8 * GiB, 512 * MiB), 512 * MiB)
  t.equal(usableMemory(8 * GiB, 2 ** 63), 8 * GiB)
  t.equal(usableMemory(8 * GiB, 0), 8 * GiB)
  t.equal(usableMemory(8 * GiB, undefined), usableMemory(8 * GiB))
  t.ok(usableMemory() > 0)
  t.end()
})
