import fc from 'fast-check'
import t from 'tap'
import { landingSink, Touchdown } from '../../../../src/driver/bos/receive/landing.js'
import { bytes } from '../../helpers.js'

void t.test('bytes land in order in buffers of any size, and each is told of once full', t => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(20), { maxLength: 8 }),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 15 }), fc.boolean()), { minLength: 1 }),
      (sizes, steps) => {
        const buffers = sizes.map(size => Buffer.alloc(size))
        const total = sizes.reduce((sum, size) => sum + size, 0)
        const content = bytes(total)
        const filled: Uint8Array[] = []
        const touchdown = new Touchdown({ buffers, filled: buffer => void filled.push(buffer) })
        let position = 0
        for (let step = 0; touchdown.left > 0; step += 1) {
          const [length, isCopied] = steps[step % steps.length] ?? [1, true]
          if (isCopied) {
            const chunk = content.subarray(position, position + length)
            touchdown.copy(chunk)
            position += chunk.length
          } else {
            const rest = touchdown.rest()
            const written = Math.min(length, rest.length)
            rest.set(content.subarray(position, position + written))
            touchdown.advance(written)
            position += written
          }
          if (touchdown.left !== total - position) return false
          const full = buffers.slice(0, filled.length)
          if (!filled.every((buffer, i) => buffer === full[i])) return false
        }
        return Buffer.concat(buffers).equals(content) && filled.length === buffers.length
      },
    ),
  )
  t.end()
})

void t.test('more bytes than there is room for are an error', t => {
  const sink = landingSink({ buffers: [Buffer.alloc(3), Buffer.alloc(2)] })
  sink(Buffer.from('abcd'))
  t.throws(() => sink(Buffer.from('ef')), { message: /more bytes/ })
  sink(Buffer.from('e'))
  t.throws(() => sink(Buffer.from('f')), { message: /more bytes/ })
  t.end()
})
