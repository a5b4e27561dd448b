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

void t.test('a rule acts by chance, and its seed decides on which requests', async t => {
  const play = (seed?: number) => {
    const rule = { probability: 0.3, fault: RESET, ...(seed === undefined ? {} : { seed }) }
    const faults = new Faults([rule])
    return Array.from({ length: 1000 }, () => faults.take(PUT).length)
  }
  const hits = play(7).filter(length => length === 1).length
  t.ok(hits > 250 && hits < 350, `${hits} of 1000`)
  t.strictSame(play(7), play(7))
  t.notSame(play(7), play(8))
  t.strictSame(play(), play(1))
})

void t.test('a count limits what happens by chance too', async t => {
  const faults = new Faults()
  const active = faults.add({ probability: 0.5, count: 3, fault: RESET })
  for (let index = 0; index < 100; index += 1) faults.take(PUT)
  t.equal(active.hits, 3)
})
