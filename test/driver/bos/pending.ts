import fc from 'fast-check'
import t from 'tap'
import { PendingBytes } from '../../../src/driver/bos/pending.js'
import { bytes } from '../helpers.js'

void t.test('bytes come out as they went in, however they are taken', async t => {
  const step = fc.oneof(
    fc.record({ append: fc.integer({ min: 0, max: 200_000 }) }),
    fc.record({ take: fc.integer({ min: 0, max: 250_000 }) }),
  )
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), steps => {
        const pending = new PendingBytes()
        let model = Buffer.alloc(0)
        let seed = 1
        for (const each of steps) {
          if ('append' in each) {
            const data = bytes(each.append, ++seed)
            pending.append(data)
            model = Buffer.concat([model, data])
            data.fill(0)
          } else {
            const taken = Buffer.concat(pending.take(each.take))
            if (!taken.equals(model.subarray(0, each.take))) return false
            model = model.subarray(each.take)
          }
          if (pending.length !== model.length) return false
          if (!Buffer.concat(pending.peek()).equals(model)) return false
        }
        return true
      }),
      { numRuns: 40 },
    ),
  )
})

void t.test('a small content takes little memory, a large one few pieces', async t => {
  const small = new PendingBytes()
  small.append(bytes(32))
  t.ok((small.peek()[0]?.buffer.byteLength ?? Infinity) <= 64 * 1024)
  const large = new PendingBytes()
  for (let i = 0; i < 10 * 1024; i++) large.append(bytes(1024))
  t.ok(large.peek().length < 20)
})
