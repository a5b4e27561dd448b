import { Buffer } from 'node:buffer'
import t from 'tap'
import type { Acceptance } from '../../../src/fs/fuse/channel.js'
import { Replies } from '../../../src/fs/fuse/reply.js'
import { Request } from '../../../src/fs/fuse/request.js'
import type { Ino } from '../../../src/fs/operations.js'
import { row } from '../../helpers/fake-kernel.js'

function aRequest(unique = 6): Request {
  return new Request({ length: 40, opcode: 15, unique, ino: 1 as Ino, uid: 0, gid: 0, pid: 1 })
}

function rig() {
  const sent: Buffer[] = []
  const pieces: number[] = []
  const state: { acceptance: Acceptance } = { acceptance: 'accepted' }
  const replies = new Replies({
    send: (bytes, length) => {
      sent.push(Buffer.from(bytes.subarray(0, length)))
      return state.acceptance
    },
    sendData: (header, slices) => {
      sent.push(Buffer.concat([header, ...slices]))
      pieces.push(slices.length)
      return state.acceptance
    },
  })
  return { sent, pieces, state, replies }
}

await t.test('a request is answered once', async t => {
  const { sent, replies } = rig()
  const request = aRequest()
  t.equal(replies.errno(request, 2), 'accepted')
  t.equal(replies.errno(request, 5), 'repeated')
  t.equal(replies.record(request, {}, undefined), 'repeated')
  t.equal(replies.data(request, [Buffer.alloc(50_000)]), 'repeated')
  t.strictSame(sent, [row([32, 16], [32, -2], [64, 6])])
})

await t.test('data goes as one piece while it is small, and uncopied when it is not', async t => {
  for (const [size, copied] of [
    [0, true],
    [16 * 1024, true],
    [16 * 1024 + 2, false],
  ] as const) {
    const { sent, pieces, replies } = rig()
    const half = Buffer.alloc(size / 2, 'x')
    replies.data(aRequest(8), [half, half])
    const expected = row([32, 16 + size], [32, 0], [64, 8], half, half)
    t.ok(sent[0]?.equals(expected), `${size} bytes`)
    t.strictSame(pieces, copied ? [] : [2])
  }
})

await t.test('a record that cannot be written leaves the request to be answered', async t => {
  const { sent, replies } = rig()
  const request = aRequest()
  const broken = (): never => {
    throw new RangeError('no such record')
  }
  t.throws(() => replies.record(request, { encode: broken }, undefined), RangeError)
  t.equal(sent.length, 0)
  t.equal(replies.errno(request, 5), 'accepted')
})

await t.test('what the kernel says of an answer is passed on', async t => {
  const { state, replies } = rig()
  for (const acceptance of ['accepted', 'gone', 'ended', 'refused'] as const) {
    state.acceptance = acceptance
    t.equal(replies.errno(aRequest(), 2), acceptance)
  }
})
