/** What of a log is written when one thing goes wrong again and again. */
import t from 'tap'
import { Repeats } from '../../src/cli/repeats.js'

void t.test('of each sentence so many are told in a span, and the rest is counted', t => {
  let now = 0
  const repeats = new Repeats({ most: 3, span: 1000, now: () => now })
  const ask = (sentence: string): string => {
    const { isTold, isLast, missed } = repeats.ask(sentence)
    return `${isTold ? 'told' : 'counted'}${isLast ? ', last' : ''}${missed > 0 ? `, ${missed}` : ''}`
  }
  t.same(
    [1, 2, 3, 4, 5].map(() => ask('slow')),
    ['told', 'told', 'told, last', 'counted', 'counted'],
  )
  t.equal(ask('other'), 'told', 'each sentence by itself')
  now = 999
  t.equal(ask('slow'), 'counted')
  now = 1000
  t.equal(ask('slow'), 'told, 3', 'the next span begins with what was missed')
  t.equal(ask('slow'), 'told')
  t.end()
})

void t.test('however many sentences there are, the first of each is told', t => {
  const repeats = new Repeats()
  let told = 0
  for (let i = 0; i < 5000; i += 1) told += repeats.ask(`sentence ${i}`).isTold ? 1 : 0
  t.equal(told, 5000)
  t.end()
})
