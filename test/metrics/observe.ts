/** What is counted of calls. */
import t from 'tap'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import type { Operations } from '../../src/fs/operations.js'
import { observeDriver, observeOperations } from '../../src/metrics/observe.js'
import { several, Tally } from '../../src/metrics/tally.js'

void t.test('calls, bytes and errors are counted by name; results stay as they are', async t => {
  const tally = new Tally()
  const other = new Tally()
  const driver = observeDriver(createMemoryDriver(), several(tally, other))
  const content = Buffer.from('content')
  const { size } = await driver.putContent('/a/b', [content, content])
  t.equal(size, 14)
  t.equal((await driver.getContent('/a/b')).length, 14)
  const target = Buffer.alloc(5)
  t.match(await driver.readInto('/a/b', target), { bytesRead: 5 })
  await t.rejects(driver.stat('/absent'), { code: 'PATH_NOT_FOUND' })
  const composition = await driver.compose('/big')
  const part = await composition.uploadPart(1, [content])
  await composition.complete([part])
  const names: string[] = []
  for await (const { entries } of driver.entries('/'))
    names.push(...entries.map(({ path }) => path))
  t.same(names.sort(), ['/a', '/big'])
  t.equal(driver.name, 'memory')
  const { store, fuse } = tally.snapshot()
  t.match(store, {
    read: 19,
    written: 21,
    operations: {
      putContent: { count: 1, errors: 0 },
      stat: { count: 1, errors: 1 },
      uploadPart: { count: 1 },
      complete: { count: 1 },
      entries: { count: 1 },
    },
  })
  t.same(fuse, { operations: {}, read: 0, written: 0 })
  t.same(other.snapshot(), tally.snapshot())
})

void t.test('what is no method is asked of the target, and methods know their own', t => {
  class Counter {
    #count = 0
    limit = 3
    getattr(): number {
      for (const end = performance.now() + 2; performance.now() < end;);
      return (this.#count += 1)
    }
    get count(): number {
      return this.#count
    }
  }
  const counter = new Counter()
  const tally = new Tally()
  const observed = observeOperations(counter as unknown as Operations, tally) as unknown as Counter
  t.equal(observed.getattr(), 1)
  t.equal(observed.getattr(), 2)
  counter.limit = 4
  t.same([observed.count, observed.limit], [2, 4])
  t.match(tally.snapshot().fuse.operations, { getattr: { count: 2, errors: 0 } })
  t.ok(
    (tally.snapshot().fuse.operations['getattr']?.time ?? 0) >= 4,
    'what is answered at once has its time too',
  )
  t.end()
})
