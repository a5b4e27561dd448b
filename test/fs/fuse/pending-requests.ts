import t from 'tap'
import { OPCODE } from '../../../src/fs/fuse/abi.js'
import { PendingRequests } from '../../../src/fs/fuse/pending-requests.js'
import { Request } from '../../../src/fs/fuse/request.js'
import type { Ino } from '../../../src/fs/operations.js'

function request(unique: number, opcode: number, ino: number): Request {
  return new Request({ length: 40, opcode, unique, ino: ino as Ino, uid: 0, gid: 0, pid: 1 })
}

void t.test('what the kernel may hold locks for is told', t => {
  const pending = new PendingRequests()
  const [read, rename] = [request(1, OPCODE.READ, 5), request(2, OPCODE.RENAME2, 6)]
  pending.add(read)
  t.same(pending.activity(), { inodes: new Set([5]), acrossDirectories: false })
  pending.add(rename)
  t.same(pending.activity(), { inodes: new Set([5, 6]), acrossDirectories: true })
  t.equal(pending.find(2), rename)
  pending.remove(rename)
  t.equal(pending.find(2), undefined)
  t.equal(pending.size, 1)
  t.end()
})

void t.test('a drain ends when all have settled', async t => {
  const pending = new PendingRequests()
  t.same(await pending.drain(60_000), [])
  const [one, other] = [request(1, OPCODE.READ, 5), request(2, OPCODE.READ, 5)]
  pending.add(one)
  pending.add(other)
  const drained = pending.drain(60_000)
  pending.remove(one)
  pending.remove(other)
  t.same(await drained, [])
})

void t.test('a drain that takes too long tells what is left', async t => {
  const pending = new PendingRequests()
  const one = request(1, OPCODE.READ, 5)
  pending.add(one)
  const [left] = await pending.drain(1)
  t.equal(left, one)
  pending.abort()
  t.ok(one.signal.aborted)
})
