/** When directories get their markers, and when they need none. */
import { O_CREAT, O_WRONLY } from '../../helpers/core-os.js'
import { fails, keys, scene, text, turns } from '../../helpers/core-scene.js'
import type { Scene } from '../../helpers/core-scene.js'
import { hold } from '../../helpers/watched-driver.js'

async function hasMarker({ bucket }: Scene, path: string): Promise<boolean> {
  return (await keys(bucket)).includes(`${path}/`)
}

/** As the mounts of scenes have it unless told otherwise. */
const DELAY = 20

/** So long that nothing but the test writes a marker. */
const NEVER = { config: { markerDelay: 600_000 } }

scene('an empty directory has its marker after the delay', async s => {
  const { t, os, watch, time } = s
  await os.mkdir('/d')
  await time.pass(DELAY - 1)
  t.notOk(await hasMarker(s, '/d'))
  await time.pass(1)
  t.ok(await hasMarker(s, '/d'))
  t.equal(watch.count('makeDirectory'), 1)
})

scene(
  'an empty directory has its marker after fsync of it or of its parent',
  async s => {
    const { t, os } = s
    await os.mkdir('/d')
    await os.mkdir('/d/below')
    await os.mkdir('/e')
    await os.fsyncDirectory('/d/below')
    t.same(await keys(s.bucket), ['/d/below/'])
    await os.fsyncDirectory('/')
    t.same(await keys(s.bucket), ['/d/below/', '/e/'])
    await os.rmdir('/d/below')
    await os.fs.syncfs(os.context)
    t.same(await keys(s.bucket), ['/d/', '/e/'])
  },
  NEVER,
)

scene(
  'of a chain of empty directories the last one needs a marker',
  async ({ t, os, watch }) => {
    for (const path of ['/a', '/a/b', '/a/b/c']) await os.mkdir(path)
    await os.fs.syncfs(os.context)
    t.equal(watch.count('makeDirectory'), 1)
    t.same(await keys(watch.driver), ['/a/b/c/'])
  },
  NEVER,
)

scene(
  'a directory removed before its time costs nothing',
  async ({ t, os, watch }) => {
    await os.mkdir('/d')
    await os.rmdir('/d')
    await os.fs.syncfs(os.context)
    t.equal(watch.count('makeDirectory', 'removeDirectoryMarker'), 0)
  },
  NEVER,
)

scene(
  'a directory whose last child goes stays, whoever made it',
  async s => {
    const { t, os, bucket } = s
    await bucket.putContent('/foreign/deep/f', text('x'))
    await os.unlink('/foreign/deep/f')
    t.ok(await os.exists('/foreign/deep'))
    await os.fs.syncfs(os.context)
    t.same(await keys(bucket), ['/foreign/deep/'])
    await os.rmdir('/foreign/deep')
    t.ok(await os.exists('/foreign'))
    await os.fs.syncfs(os.context)
    t.same(await keys(bucket), ['/foreign/'])
  },
  NEVER,
)

scene(
  'so it does when the rest goes before the store was looked at',
  async s => {
    const { t, os, bucket } = s
    await bucket.putContent('/a/b/f', text('x'))
    await os.unlink('/a/b/f')
    await os.rmdir('/a/b')
    await os.fs.syncfs(os.context)
    t.same(await keys(bucket), ['/a/'])
  },
  NEVER,
)

scene(
  'so it does when the last child is moved away',
  async s => {
    const { t, os, bucket } = s
    await bucket.putContent('/a/f', text('x'))
    await bucket.putContent('/b/sub/f', text('x'))
    await os.rename('/a/f', '/f')
    await os.rename('/b/sub', '/sub')
    await os.fs.syncfs(os.context)
    t.same(await keys(bucket), ['/a/', '/b/', '/f', '/sub/f'])
  },
  NEVER,
)

scene(
  'a directory that other things show gets no marker',
  async s => {
    const { t, os, bucket, watch } = s
    await bucket.putContent('/d/a', text('x'))
    await bucket.putContent('/d/b', text('x'))
    await os.unlink('/d/a')
    await os.fs.syncfs(os.context)
    t.equal(watch.count('makeDirectory'), 0)
    t.same(await keys(bucket), ['/d/b'])
  },
  NEVER,
)

scene(
  'a directory with a marker stays, and gets no other',
  async s => {
    const { t, os, bucket, watch } = s
    await os.mkdir('/d')
    const { ino } = await os.lookup('/d')
    await os.fsyncDirectory('/d')
    await os.writeFile('/d/f', text('x'))
    await os.unlink('/d/f')
    await os.fs.syncfs(os.context)
    t.equal(watch.count('makeDirectory'), 1)
    t.same(await keys(bucket), ['/d/'])
    os.fs.forget(ino, 1)
  },
  NEVER,
)

scene(
  'a directory that another host has made anew stays as well',
  async s => {
    const { t, os, other, bucket } = s
    const there = other()
    await os.mkdir('/d')
    const { ino } = await os.lookup('/d')
    await os.fsyncDirectory('/d')
    await there.rmdir('/d')
    await there.mkdir('/d')
    await there.writeFile('/d/f', text('x'))
    await os.unlink('/d/f')
    await os.fs.syncfs(os.context)
    t.same(await keys(bucket), ['/d/'])
    os.fs.forget(ino, 1)
  },
  { config: { markerDelay: 600_000, metadataTtl: 0 } },
)

scene(
  'a directory goes with the marker that another host has given it',
  async s => {
    const { t, os, other, bucket } = s
    const there = other()
    await os.mkdir('/d')
    const { ino } = await os.lookup('/d')
    await os.writeFile('/d/f', text('x'))
    await there.unlink('/d/f')
    await there.fs.syncfs(there.context)
    t.same(await keys(bucket), ['/d/'])
    await os.rmdir('/d')
    t.same(await keys(bucket), [])
    os.fs.forget(ino, 1)
  },
  { config: { markerDelay: 600_000, metadataTtl: 0 } },
)

scene(
  'a directory removed while its marker is under way does not come back',
  async s => {
    const { t, os, bucket, watch } = s
    for (const when of ['before', 'after'] as const) {
      await os.mkdir('/d')
      const held = hold(watch, ({ method }) => method === 'makeDirectory', when)
      const sync = os.fsyncDirectory('/d')
      await held.reached
      const removal = os.rmdir('/d')
      await turns(20)
      held.release()
      await Promise.all([sync, removal])
      t.same(await keys(bucket), [], when)
      t.notOk(await os.exists('/d'))
    }
  },
  NEVER,
)

scene(
  'a directory removed while it is looked at does not come back',
  async s => {
    const { t, os, bucket, watch } = s
    await bucket.putContent('/d/f', text('x'))
    await os.unlink('/d/f')
    const held = hold(watch, ({ method }) => method === 'removeDirectoryMarker', 'after')
    const removal = os.rmdir('/d')
    await held.reached
    const sync = os.fs.syncfs(os.context)
    await turns(20)
    held.release()
    await Promise.all([removal, sync])
    t.same(await keys(bucket), [])
  },
  NEVER,
)

scene(
  'a directory renamed while its marker is under way has it at the new place',
  async s => {
    const { t, os, bucket, watch } = s
    await os.mkdir('/d')
    const held = hold(watch, ({ method }) => method === 'makeDirectory')
    const sync = os.fsyncDirectory('/d')
    await held.reached
    const renaming = os.rename('/d', '/e')
    await turns(20)
    held.release()
    await Promise.all([sync, renaming])
    t.same(await keys(bucket), ['/e/'])
  },
  NEVER,
)

scene('a marker that fails is tried again, and fsync reports it', async s => {
  const { t, os, watch, time } = s
  watch.before = ({ method }) => {
    if (method === 'makeDirectory') throw new Error('no')
  }
  await os.mkdir('/d')
  await fails(t, 'EIO', os.fsyncDirectory('/d'))
  for (let i = 0; i < 2; i += 1) await time.pass(DELAY)
  t.equal(watch.count('makeDirectory'), 3)
  t.ok(await os.exists('/d'))
  watch.before = () => undefined
  await time.pass(DELAY)
  t.ok(await hasMarker(s, '/d'))
})

scene(
  'a rmdir that fails leaves the directory',
  async s => {
    const { t, os, bucket, watch } = s
    await os.mkdir('/d')
    await os.fsyncDirectory('/d')
    watch.before = ({ method }) => {
      if (method === 'removeDirectoryMarker') throw new Error('no')
    }
    await fails(t, 'EIO', os.rmdir('/d'))
    watch.before = () => undefined
    t.ok(await os.exists('/d'))
    t.same(await keys(bucket), ['/d/'])
    await os.rmdir('/d')
    t.same(await keys(bucket), [])
  },
  NEVER,
)

scene(
  'the end of a mount writes what is missing',
  async s => {
    const { t, os, bucket } = s
    await os.mkdir('/d')
    const file = await os.open('/d/f', O_WRONLY | O_CREAT)
    await os.unlink('/d/f')
    await file.close()
    await os.fs.destroy()
    t.same(await keys(bucket), ['/d/'])
  },
  NEVER,
)

scene(
  'a marker that cannot be written at the end is not tried for ever',
  async ({ t, os, watch, time }) => {
    await os.mkdir('/d')
    watch.before = ({ method }) => {
      if (method === 'makeDirectory') throw new Error('the store is gone')
    }
    await fails(t, 'EIO', os.fs.destroy())
    const tried = watch.count('makeDirectory')
    await time.pass(5 * DELAY)
    t.equal(watch.count('makeDirectory'), tried)
  },
  { endsBadly: true },
)

scene(
  'a directory in which removing goes on is looked at when that is over',
  async s => {
    const { t, os, bucket, watch, time } = s
    for (let i = 0; i < 12; i += 1) await bucket.putContent(`/d/e/f${i}`, text('x'))
    await os.readdir('/d/e')
    watch.requests.length = 0
    for (let i = 0; i < 12; i += 1) {
      await os.unlink(`/d/e/f${i}`)
      await time.pass(DELAY / 2)
    }
    t.equal(watch.count('stat', 'makeDirectory'), 0)
    await time.pass(2 * DELAY)
    t.ok(await hasMarker(s, '/d/e'))
  },
  { isStill: true },
)
