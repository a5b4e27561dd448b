import t from 'tap'
import { Faults, type FaultRequest } from '../../src/server/faults.js'

const PUT: FaultRequest = { operation: 'PutObject', bucket: 'bkt', key: 'a/b' }
const RESET = { kind: 'reset' } as const

void t.test('a rule without conditions acts on every request', async t => {
  const faults = new Faults()
  t.strictSame(faults.take(PUT), [])
  const active = faults.add({ fault: RESET })
  t.strictSame(faults.take(PUT), [RESET])
  t.strictSame(faults.take({ ...PUT, operation: 'ListObjects', key: '' }), [RESET])
  t.equal(active.hits, 2)
})

void t.test('operation, bucket and key narrow a rule down', async t => {
  const faults = new Faults()
  faults.add({ operation: ['GetObject', 'PutObject'], bucket: 'bkt', key: /^a\//g, fault: RESET })
  t.equal(faults.take(PUT).length, 1)
  t.equal(faults.take(PUT).length, 1, 'a global pattern keeps no state')
  t.equal(faults.take({ ...PUT, operation: 'HeadObject' }).length, 0)
  t.equal(faults.take({ ...PUT, bucket: 'other' }).length, 0)
  t.equal(faults.take({ ...PUT, key: 'b/a/' }).length, 0)
  faults.clear()
  faults.add({ key: 'a/b', operation: 'PutObject', fault: RESET })
  t.equal(faults.take(PUT).length, 1)
  t.equal(faults.take({ ...PUT, key: 'a/bc' }).length, 0)
})

void t.test('skip and count choose which of the matching requests', async t => {
  const faults = new Faults()
  const active = faults.add({ skip: 1, count: 2, fault: RESET })
  const counts = [1, 2, 3, 4, 5].map(() => faults.take(PUT).length)
  t.strictSame(counts, [0, 1, 1, 0, 0])
  t.equal(active.hits, 2)
})

void t.test('rules add up, and go one by one or all at once', async t => {
  const faults = new Faults([{ fault: RESET }])
  const delay = faults.add({ fault: { kind: 'delay', delay: 1 } })
  t.equal(faults.take(PUT).length, 2)
  delay.remove()
  t.equal(faults.take(PUT).length, 1)
  faults.clear()
  t.equal(faults.take(PUT).length, 0)
})
