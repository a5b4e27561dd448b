/** Files that must be new at their names, and files whose base another host has taken away. */
import t from 'tap'
import { MiB } from '../../../src/util/units.js'
import { startDriverHarness } from '../../driver/bos/harness.js'
import { createCore } from '../../helpers/core.js'
import { CoreOs, O_CREAT, O_EXCL, O_RDWR, O_WRONLY } from '../../helpers/core-os.js'
import { fails, keys, scene, text } from '../../helpers/core-scene.js'

const NOREPLACE = 1
const EXCLUSIVE = O_WRONLY | O_CREAT | O_EXCL

scene('of two mounts that create a file with O_EXCL one is told at close', async s => {
  const { t, os, other, bucket, watch } = s
  const two = other()
  const mine = await os.open('/lock', EXCLUSIVE)
  const theirs = await two.open('/lock', EXCLUSIVE)
  await theirs.write(0, text('theirs'))
  await theirs.close()
  await mine.write(0, text('mine'))
  await fails(t, 'EEXIST', mine.fsync())
  await fails(t, 'EEXIST', mine.close())
  t.equal(String(await bucket.getContent('/lock')), 'theirs')
  t.equal(String(await os.readFile('/lock')), 'theirs', 'what the other has stored is seen')
  watch.requests.length = 0
})

scene('so is one whose file is sent in parts', async ({ t, os, other, bucket }) => {
  const two = other()
  const mine = await os.open('/big', EXCLUSIVE)
  await mine.write(0, Buffer.alloc(3 * MiB, 'm'))
  await two.writeFile('/big', text('theirs'))
  await fails(t, 'EEXIST', mine.close())
  t.equal(String(await bucket.getContent('/big')), 'theirs')
})

scene('O_EXCL costs nothing when nobody is in the way', async ({ t, os, watch }) => {
  await os.readdir('/')
  const file = await os.open('/a', EXCLUSIVE)
  watch.requests.length = 0
  await file.write(0, text('x'))
  await file.close()
  t.same(
    watch.requests.map(({ method }) => method),
    ['putContent'],
  )
  const again = await os.open('/a', O_RDWR)
  await again.write(0, text('again'))
  await again.close()
  t.equal(String(await os.readFile('/a')), 'again')
})

scene(
  'where it is asked for, one of two mounts is told at open',
  async ({ t, os, other, bucket }) => {
    const two = other()
    await two.readdir('/')
    const mine = await os.open('/lock', EXCLUSIVE)
    t.same(await keys(bucket), ['/lock'])
    await fails(t, 'EEXIST', two.open('/lock', EXCLUSIVE))
    t.equal(two.fs.counts.handles, 0)
    await mine.write(0, text('mine'))
    await mine.close()
    t.equal(String(await bucket.getContent('/lock')), 'mine')
    await os.unlink('/lock')
    const theirs = await two.open('/lock', EXCLUSIVE)
    await theirs.close()
  },
  { config: { exclusiveCreate: 'open', metadataTtl: 600_000 } },
)

scene('a file moved over another before it was stored replaces it', async ({ t, os, bucket }) => {
  await bucket.putContent('/f', text('old'))
  const file = await os.open('/new', EXCLUSIVE)
  await file.write(0, text('new'))
  await os.rename('/new', '/f')
  await file.close()
  t.equal(String(await bucket.getContent('/f')), 'new')
})

for (const isStored of [true, false]) {
  const what = isStored ? 'a stored file' : 'a file that is stored later'
  scene(
    `RENAME_NOREPLACE of ${what} does not replace what another host has made`,
    async ({ t, os, bucket }) => {
      await os.readdir('/')
      const file = await os.open('/mine', O_WRONLY | O_CREAT)
      await file.write(0, text('mine'))
      if (isStored) await file.close()
      t.notOk(await os.exists('/f'))
      await bucket.putContent('/f', text('theirs'))
      if (isStored) await fails(t, 'EEXIST', os.rename('/mine', '/f', NOREPLACE))
      else {
        await os.rename('/mine', '/f', NOREPLACE)
        await fails(t, 'EEXIST', file.close())
      }
      t.equal(String(await bucket.getContent('/f')), 'theirs')
      if (isStored) t.equal(String(await os.readFile('/mine')), 'mine')
    },
    { config: { metadataTtl: 600_000 } },
  )
}

scene(
  'RENAME_NOREPLACE looks again where it did not just look, and tells the store what it saw',
  async ({ t, os, bucket, watch, time }) => {
    const told: unknown[] = []
    const move = bucket.move.bind(bucket)
    bucket.move = (from, to, options) => {
      told.push(options?.known?.isFree)
      return move(from, to, options)
    }
    const looks = (): number => watch.count('stat', 'entries')
    for (const name of ['a', 'b', 'c']) await bucket.putContent(`/${name}`, text(name))
    await os.readdir('/')
    for (const name of ['a', 'b', 'c']) t.ok(await os.exists(`/${name}`))
    t.notOk(await os.exists('/x'))
    const before = looks()
    await os.rename('/a', '/x', NOREPLACE)
    t.equal(looks(), before, 'seen a moment ago')
    await time.pass(2000)
    await os.rename('/b', '/y', NOREPLACE)
    t.equal(looks(), before + 1)
    await bucket.putContent('/z', text('theirs'))
    await fails(t, 'EEXIST', os.rename('/c', '/z', NOREPLACE))
    t.equal(String(await bucket.getContent('/z')), 'theirs')
    t.same(told, [true, true])
  },
  { config: { metadataTtl: 600_000 }, isStill: true },
)

scene(
  'RENAME_NOREPLACE of a directory does not mix it with one that another host has made',
  async ({ t, os, bucket }) => {
    await bucket.putContent('/mine/a', text('mine'))
    t.ok(await os.exists('/mine'))
    t.notOk(await os.exists('/d'))
    await bucket.putContent('/d/b', text('theirs'))
    await fails(t, 'EEXIST', os.rename('/mine', '/d', NOREPLACE))
    t.same(await keys(bucket), ['/d/b', '/mine/a'])
  },
  { config: { metadataTtl: 600_000 } },
)

scene('a base that another host has removed is ESTALE at close', async ({ t, os, bucket }) => {
  const sizes = [100, 3 * MiB]
  for (const size of sizes) await bucket.putContent(`/f${size}`, Buffer.alloc(size, 'o'))
  for (const size of sizes) {
    const path = `/f${size}`
    const file = await os.open(path, O_RDWR)
    await file.write(10, text('changed'))
    await bucket.deleteFile(path)
    await fails(t, 'ESTALE', file.close(), `${size} bytes`)
    await t.rejects(bucket.stat(path), { code: 'PATH_NOT_FOUND' })
  }
})

for (const isNew of [true, false]) {
  const what = isNew ? 'a file that was made with O_EXCL' : 'a change of a stored file'
  void t.test(`${what}, stored by a request that was not answered, is our own`, async t => {
    const { server, driver } = await startDriverHarness(t)
    const store = await driver({ maxretries: 0 })
    const os = new CoreOs(createCore(store))
    if (!isNew) await os.writeFile('/f', text('a content of some length'))
    const file = await os.open('/f', isNew ? EXCLUSIVE : O_RDWR)
    await file.read(0, 5).catch(() => undefined)
    await file.write(0, text('mine'))
    server.faults.add({ operation: 'PutObject', count: 1, fault: { kind: 'drop-response' } })
    server.faults.add({ operation: 'HeadObject', count: 1, fault: { kind: 'reset' } })
    await fails(t, 'EIO', file.fsync(), 'nobody knows')
    await file.fsync()
    await file.close()
    const expected = isNew ? 'mine' : `mine${'a content of some length'.slice(4)}`
    t.equal(String(await store.getContent('/f')), expected)
    await os.fs.destroy()
  })
}
