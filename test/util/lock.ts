import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { Mutex, SharedLock } from '../../src/util/lock.js'

/** Work that goes on until it is told to end. */
function gate(): { readonly open: () => void; readonly passed: Promise<void> } {
  let open: () => void = () => undefined
  const passed = new Promise<void>(resolve => (open = resolve))
  return { open, passed }
}

void t.test('a mutex lets one in after the other, in the order they came', async t => {
  const mutex = new Mutex()
  const log: string[] = []
  const work = (name: string) => async (): Promise<string> => {
    log.push(`${name} in`)
    await turn()
    log.push(`${name} out`)
    return name
  }
  t.ok(mutex.isIdle)
  const all = Promise.all(['a', 'b', 'c'].map(name => mutex.run(work(name))))
  t.notOk(mutex.isIdle)
  t.same(await all, ['a', 'b', 'c'])
  t.same(log, ['a in', 'a out', 'b in', 'b out', 'c in', 'c out'])
  t.ok(mutex.isIdle)
})

void t.test('sharers are in together', async t => {
  const lock = new SharedLock()
  const first = gate()
  const second = gate()
  const both = Promise.all([
    lock.shared(async () => {
      second.open()
      await first.passed
    }),
    lock.shared(async () => {
      first.open()
      await second.passed
    }),
  ])
  await both
  t.ok(lock.isIdle)
})

void t.test('who waits for exclusive access keeps later sharers out', async t => {
  const lock = new SharedLock()
  const log: string[] = []
  const inside = gate()
  const sharer = lock.shared(async () => {
    log.push('sharer')
    await inside.passed
  })
  const exclusive = lock.exclusive(async () => {
    log.push('exclusive in')
    await turn()
    log.push('exclusive out')
  })
  const later = [1, 2].map(i => lock.shared(async () => void log.push(`later sharer ${i}`)))
  const last = lock.exclusive(async () => void log.push('last'))
  await turn()
  t.same(log, ['sharer'])
  inside.open()
  await Promise.all([sharer, exclusive, ...later, last])
  t.same(log, [
    'sharer',
    'exclusive in',
    'exclusive out',
    'later sharer 1',
    'later sharer 2',
    'last',
  ])
  t.ok(lock.isIdle)
})

void t.test('a lock is released when the work fails', async t => {
  const lock = new SharedLock()
  const fail = async (): Promise<never> => {
    await turn()
    throw new Error('broken')
  }
  const failed = lock.exclusive(fail)
  const next = lock.shared(async () => 'shared after it')
  await t.rejects(failed, { message: 'broken' })
  t.equal(await next, 'shared after it')
  await t.rejects(lock.shared(fail), { message: 'broken' })
  t.equal(await lock.exclusive(async () => 'exclusive after it'), 'exclusive after it')
  t.ok(lock.isIdle)
})

void t.test('nobody slips in between a holder and the one who waits', async t => {
  const mutex = new Mutex()
  const log: string[] = []
  const held = gate()
  const first = mutex.run(() => held.passed)
  const second = mutex.run(async () => void log.push('second'))
  held.open()
  await first
  const third = mutex.run(async () => void log.push('third'))
  await Promise.all([second, third])
  t.same(log, ['second', 'third'])
})

void t.test('whoever needs no lock can wait for an exclusive holder to leave', async t => {
  const lock = new SharedLock()
  const inside = gate()
  const sharer = lock.shared(() => inside.passed)
  await lock.settled()
  inside.open()
  await sharer
  const held = gate()
  const exclusive = lock.exclusive(() => held.passed)
  let settled = false
  const waiting = lock.settled().then(() => (settled = true))
  await turn()
  t.notOk(settled)
  held.open()
  await Promise.all([exclusive, waiting])
  t.ok(lock.isIdle)
})
