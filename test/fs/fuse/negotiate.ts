import t from 'tap'
import { INIT_FLAG, INIT_FLAG2 } from '../../../src/fs/fuse/abi.js'
import { negotiate } from '../../../src/fs/fuse/negotiate.js'

const MiB = 1024 * 1024
const everything = { major: 7, minor: 45, maxReadahead: 131072, flags: -1, flags2: -1 }
const noSetuid = { noSetuid: true }

await t.test('a kernel of today gives all that is wanted', async t => {
  const reply = negotiate(everything, noSetuid)
  t.match(reply, { major: 7, minor: 38, maxWrite: MiB, maxPages: 256, maxReadahead: 131072 })
  for (const name of [
    'ASYNC_READ',
    'ATOMIC_O_TRUNC',
    'BIG_WRITES',
    'AUTO_INVAL_DATA',
    'DO_READDIRPLUS',
    'READDIRPLUS_AUTO',
    'PARALLEL_DIROPS',
    'MAX_PAGES',
    'HANDLE_KILLPRIV_V2',
  ] as const) {
    t.not(reply.flags & INIT_FLAG[name], 0, name)
  }
  for (const name of [
    'POSIX_LOCKS',
    'FLOCK_LOCKS',
    'DONT_MASK',
    'EXPORT_SUPPORT',
    'WRITEBACK_CACHE',
  ] as const) {
    t.equal(reply.flags & INIT_FLAG[name], 0, name)
  }
  t.equal(reply.flags2, INIT_FLAG2.DIRECT_IO_ALLOW_MMAP, 'and no more of the second word')
  t.ok(reply.congestionThreshold < reply.maxBackground)
})

await t.test('nothing is agreed that was not offered', async t => {
  const reply = negotiate({ ...everything, minor: 27, flags: INIT_FLAG.BIG_WRITES }, noSetuid)
  t.equal(reply.flags, INIT_FLAG.BIG_WRITES)
  t.equal(reply.flags2, 0, 'a second word that the first does not speak of')
  t.equal(reply.minor, 27)
  t.equal(reply.maxWrite, 128 * 1024, 'without MAX_PAGES requests are small')
  t.equal(reply.maxPages, 32)
})

await t.test('where set-user-id bits count, the kernel clears them', async t => {
  const reply = negotiate(everything, { noSetuid: false })
  t.equal(reply.flags & INIT_FLAG.HANDLE_KILLPRIV_V2, 0)
})

await t.test('smaller requests can be asked for, larger ones cannot', async t => {
  t.equal(negotiate(everything, { ...noSetuid, maxWrite: 65536 }).maxPages, 16)
  t.equal(negotiate(everything, { ...noSetuid, maxWrite: 8 * MiB }).maxWrite, MiB)
})

await t.test('a newer major version is told ours, an old kernel is refused', async t => {
  t.match(negotiate({ ...everything, major: 8, minor: 1, flags: 0 }, noSetuid), {
    major: 7,
    minor: 38,
  })
  t.throws(() => negotiate({ ...everything, minor: 22 }, noSetuid), { code: 'EPROTO' })
  t.throws(() => negotiate({ ...everything, major: 6 }, noSetuid), { code: 'EPROTO' })
})
