import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ERRNO } from '../../../src/util/errno.js'
import { silentLogger } from '../../../src/util/log.js'
import { KernelNotifier, type Activity } from '../../../src/fs/fuse/notify.js'
import type { Ino } from '../../../src/fs/operations.js'
import { FakeKernel, row } from '../../helpers/fake-kernel.js'

const IDLE: Activity = { inodes: new Set(), acrossDirectories: false }

function ino(value: number): Ino {
  return value as Ino
}

/** Time for what waits for a timer, and for a turn of the event loop, however late the timer comes. */
async function turn(): Promise<void> {
  await sleep(5)
  for (let i = 0; i < 20; i += 1) await nextTurn()
}

function rig() {
  const kernel = new FakeKernel()
  const warnings: object[] = []
  const state = { activity: IDLE, now: 0 }
  const notifier = new KernelNotifier({
    device: kernel,
    activity: () => state.activity,
    log: { ...silentLogger, warn: fields => warnings.push(fields) },
    now: () => state.now,
  })
  return { kernel, warnings, state, notifier }
}

await t.test('notifications are written as the kernel reads them, in a later turn', async t => {
  const { kernel, notifier } = rig()
  notifier.invalidateInode(ino(9), 4096, 8192)
  notifier.invalidateEntry(ino(1), 'name')
  t.equal(kernel.notifications.length, 0)
  await turn()
  t.strictSame(kernel.notifications, [
    row([32, 40], [32, 2], [64, 0], [64, 9], [64, 4096], [64, 8192]),
    row([32, 37], [32, 3], [64, 0], [64, 1], [32, 4], [32, 0], 'name'),
  ])
})

await t.test('one is written at a time', async t => {
  const { kernel, notifier } = rig()
  let finish = (): void => {}
  kernel.notificationResult = () => new Promise(resolve => (finish = () => resolve(0)))
  for (const number of [2, 3]) notifier.invalidateInode(ino(number), 0, 0)
  await turn()
  t.equal(kernel.notifications.length, 1)
  finish()
  await turn()
  t.equal(kernel.notifications.length, 2)
  const closed = notifier.close()
  finish()
  await closed
})

await t.test('what a request under way may lock waits for its answer, the others pass', async t => {
  const { kernel, state, notifier } = rig()
  state.activity = { inodes: new Set([2]), acrossDirectories: true }
  notifier.invalidateInode(ino(2), 0, 0)
  notifier.invalidateEntry(ino(3), 'moved')
  notifier.invalidateInode(ino(4), 0, 0)
  await turn()
  t.strictSame(
    kernel.notifications.map(bytes => bytes.readUInt32LE(16)),
    [4],
  )
  state.activity = { inodes: new Set([2]), acrossDirectories: false }
  notifier.requestSettled()
  await turn()
  t.equal(kernel.notifications.length, 2)
  state.activity = IDLE
  notifier.requestSettled()
  await turn()
  t.equal(kernel.notifications.length, 3)
})

await t.test('patience ends', async t => {
  const { kernel, state, notifier } = rig()
  state.activity = { inodes: new Set([2]), acrossDirectories: false }
  notifier.invalidateInode(ino(2), 0, 0)
  await turn()
  state.now = 1999
  notifier.requestSettled()
  await turn()
  t.equal(kernel.notifications.length, 0)
  state.now = 2000
  notifier.requestSettled()
  await turn()
  t.equal(kernel.notifications.length, 1)
})

await t.test('the queue is bounded, and what is dropped is logged', async t => {
  const { kernel, warnings, notifier } = rig()
  for (let i = 0; i < 4100; i++) notifier.invalidateInode(ino(2 + i), 0, 0)
  t.strictSame(
    warnings,
    Array.from({ length: 4 }, () => ({ limit: 4096 })),
  )
  while (kernel.notifications.length < 4096) await turn()
})

await t.test('only what matters of the results is logged', async t => {
  const { kernel, warnings, notifier } = rig()
  const results = [-ERRNO.ENOENT, -ERRNO.ENODEV, -ERRNO.EINVAL]
  kernel.notificationResult = () => Promise.resolve(results.shift() ?? 0)
  for (let i = 0; i < 3; i++) notifier.invalidateInode(ino(2), 0, 0)
  await turn()
  t.strictSame(warnings, [{ errno: ERRNO.EINVAL }])
})

await t.test('after close nothing is written', async t => {
  const { kernel, state, notifier } = rig()
  state.activity = { inodes: new Set([2]), acrossDirectories: false }
  notifier.invalidateInode(ino(2), 0, 0)
  await turn()
  await notifier.close()
  notifier.invalidateInode(ino(3), 0, 0)
  await turn()
  t.equal(kernel.notifications.length, 0)
})
