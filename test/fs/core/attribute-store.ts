/** Attributes that are kept in the store: that they get there, what that costs, and what is believed. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { SetAttributes } from '../../../src/fs/operations.js'
import { MiB } from '../../../src/util/units.js'
import { fails, scene as derivedScene, text, type Scene } from '../../helpers/core-scene.js'
import type { SceneOptions } from '../../helpers/core-scene.js'
import { hold } from '../../helpers/watched-driver.js'
import { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, type CoreOs } from '../../helpers/core-os.js'

const MTIME = { seconds: 1_000_000_000, nanoseconds: 123_456_789 }

function scene(
  title: string,
  run: (scene: Scene) => Promise<void>,
  { config, ...options }: SceneOptions = {},
): void {
  derivedScene(title, run, { ...options, config: { attributes: 'stored', ...config } })
}

/** chmod, chown or utimensat by path. */
async function set(os: CoreOs, path: string, attributes: SetAttributes): Promise<void> {
  const { ino } = await os.lookup(path)
  await os.fs.setattr(os.context, ino, attributes)
  os.fs.forget(ino, 1)
}

scene('mode, owner and time are there on another host', async ({ t, os, other, bucket }) => {
  await os.writeFile('/f', text('content'))
  await set(os, '/f', { mode: 0o640, uid: 7, gid: 8 })
  await set(os, '/f', { mtime: MTIME })
  await os.fs.syncfs(os.context)
  const expected = { mode: 0o100640, uid: 7, gid: 8, mtime: MTIME }
  t.match(await other().stat('/f'), expected)
  t.equal(String(await bucket.getContent('/f')), 'content')
  t.match((await bucket.stat('/f')).metadata, {
    'bosfs-mode': String(0o100640),
    'bosfs-uid': '7',
    'bosfs-gid': '8',
    'bosfs-mtime': String(MTIME.seconds),
  })
})

scene('what is set while a file is written goes with its put', async ({ t, os, other, watch }) => {
  const file = await os.open('/f', O_WRONLY | O_CREAT)
  await file.write(0, text('content'))
  watch.requests.length = 0
  // As cp -p and tar do.
  await set(os, '/f', { mtime: MTIME })
  await set(os, '/f', { uid: 7, gid: 8 })
  await set(os, '/f', { mode: 0o600 })
  await file.close()
  t.same(
    watch.requests.map(({ method }) => method),
    ['putContent'],
  )
  t.match(await other().stat('/f'), { mode: 0o100600, uid: 7, gid: 8, mtime: MTIME })
})

scene(
  'what is set while an upload is under way goes with its completion',
  async ({ t, os, other, watch }) => {
    const file = await os.open('/f', O_WRONLY | O_CREAT)
    await file.write(0, Buffer.alloc(2.5 * MiB, 'x'))
    await set(os, '/f', { mode: 0o600, mtime: MTIME })
    await file.close()
    t.equal(watch.count('setMetadata'), 0)
    t.equal(watch.count('complete'), 1)
    t.match(await other().stat('/f'), { mode: 0o100600, mtime: MTIME, size: 2.5 * MiB })
  },
)

scene(
  'rsync: what is set after close goes with the rename',
  async ({ t, os, other, watch }) => {
    await os.writeFile('/.f.tmp', text('content'))
    watch.requests.length = 0
    await set(os, '/.f.tmp', { mtime: MTIME })
    await set(os, '/.f.tmp', { mode: 0o600 })
    await os.rename('/.f.tmp', '/f')
    t.equal(watch.count('setMetadata', 'putContent'), 0)
    t.equal(watch.count('move'), 1)
    t.match(await other().stat('/f'), { mode: 0o100600, mtime: MTIME })
    await os.fs.syncfs(os.context)
    t.equal(watch.count('setMetadata', 'putContent'), 0, 'and there is nothing left to do')
  },
  { config: { markerDelay: 10_000 } },
)

scene(
  'several changes of a stored file are one request',
  async ({ t, os, watch }) => {
    await os.writeFile('/f', text('content'))
    watch.requests.length = 0
    await set(os, '/f', { mode: 0o600 })
    await set(os, '/f', { uid: 3 })
    await set(os, '/f', { mtime: MTIME })
    await os.fs.syncfs(os.context)
    t.same(watch.requests, [{ method: 'setMetadata', path: '/f' }])
  },
  { config: { markerDelay: 10_000 } },
)

scene('what is set is stored after a moment by itself', async ({ t, os, other, watch, time }) => {
  await os.writeFile('/f', text('content'))
  await set(os, '/f', { mode: 0o600 })
  t.equal(watch.count('setMetadata'), 0)
  await time.pass(20)
  t.equal(watch.count('setMetadata'), 1)
  t.equal((await other().stat('/f')).mode, 0o100600)
})

scene(
  'close and fsync return when attributes are stored',
  async ({ t, os, other }) => {
    await os.writeFile('/f', text('content'))
    const file = await os.open('/f', O_RDWR)
    await set(os, '/f', { mode: 0o600 })
    await file.fsync()
    t.equal((await other().stat('/f')).mode, 0o100600)
    await set(os, '/f', { mode: 0o604 })
    await file.close()
    t.equal((await other().stat('/f')).mode, 0o100604)
    const reader = await os.open('/f', O_RDONLY)
    await set(os, '/f', { mode: 0o640 })
    await reader.close()
    t.equal((await other().stat('/f')).mode, 0o100604, 'a reader does not wait')
    const another = await os.open('/f', O_RDONLY)
    await another.fsync()
    await another.close()
    t.equal((await other().stat('/f')).mode, 0o100640, 'unless he asks')
  },
  { config: { markerDelay: 10_000 } },
)

scene('changing attributes does not disturb who reads or writes', async ({ t, os, other }) => {
  await os.writeFile('/f', Buffer.alloc(3 * MiB, 'a'))
  const reader = await os.open('/f', O_RDONLY)
  const writer = await os.open('/f', O_RDWR)
  await reader.read(0, 10)
  await set(os, '/f', { mode: 0o600 })
  await os.fs.syncfs(os.context)
  t.equal(String(await reader.read(2 * MiB, 3)), 'aaa')
  await writer.write(5, text('bbb'))
  await writer.close()
  t.equal(String(await reader.read(4, 5)), 'abbba')
  await reader.close()
  t.match(await other().stat('/f'), { mode: 0o100600, size: 3 * MiB })
})

scene(
  'an overwritten file keeps its attributes, and the metadata of others',
  async ({ t, os, bucket }) => {
    const metadata = { 'bosfs-mode': String(0o100604), 'bosfs-mtime': '77', colour: 'red' }
    await bucket.putContent('/f', text('before'), { metadata })
    const file = await os.open('/f', O_RDWR)
    await file.write(0, text('B'))
    await file.close()
    const info = await bucket.stat('/f')
    t.match(info.metadata, { 'bosfs-mode': String(0o100604), colour: 'red' })
    t.not(info.metadata?.['bosfs-mtime'], '77', 'the time is that of the write')
    await set(os, '/f', { mode: 0o600 })
    await os.fs.syncfs(os.context)
    t.match((await bucket.stat('/f')).metadata, { colour: 'red' })
  },
)

scene(
  'with derived attributes the metadata of others stays as well',
  async ({ t, os, bucket }) => {
    await bucket.putContent('/f', text('before'), {
      metadata: { 'bosfs-mtime': '77', colour: 'red' },
    })
    const file = await os.open('/f', O_RDWR)
    await file.write(0, text('B'))
    await file.close()
    t.same(
      (await bucket.stat('/f')).metadata,
      { colour: 'red' },
      'but for a time that is not true now',
    )
  },
  { config: { attributes: 'derived' } },
)

scene(
  'with derived attributes the metadata of others stays if the file was read just before',
  async ({ t, os, bucket }) => {
    const files = [
      ['/changed', O_RDWR],
      ['/cut', O_RDWR | O_TRUNC],
    ] as const
    const metadata = { colour: 'red' }
    for (const [path] of files) await bucket.putContent(path, text('before'), { metadata })
    for (const [path, flags] of files) {
      // As the kernel does, that remembers it.
      const { ino } = await os.lookup(path)
      t.equal(String(await os.readFile(path)), 'before')
      const file = await os.open(path, flags)
      await file.write(0, text('B'))
      await file.close()
      os.fs.forget(ino, 1)
      t.same((await bucket.stat(path)).metadata, metadata, path)
    }
  },
  { config: { attributes: 'derived' }, isStill: true },
)

scene('a chmod does not change the time of modification', async ({ t, os, bucket, other }) => {
  await bucket.putContent('/f', text('content'))
  const { mtime } = await os.stat('/f')
  await sleep(20)
  await set(os, '/f', { mode: 0o600 })
  await os.fs.syncfs(os.context)
  t.same((await other().stat('/f')).mtime, mtime)
})

scene(
  'another host sees a chmod when it looks anew',
  async ({ t, os, other }) => {
    const host = other()
    await os.writeFile('/f', text('content'))
    t.equal((await host.stat('/f')).mode, 0o100644)
    await set(os, '/f', { mode: 0o600 })
    await os.fs.syncfs(os.context)
    const file = await host.open('/f', O_RDONLY)
    t.equal((await file.stat()).mode, 0o100600)
    await file.close()
  },
  { config: { metadataTtl: 0 } },
)

scene(
  'a file that was replaced elsewhere is not given the attributes of the old one',
  async ({ t, os, bucket }) => {
    await os.writeFile('/f', text('content'))
    const file = await os.open('/f', O_RDONLY)
    await set(os, '/f', { mode: 0o600 })
    await bucket.putContent('/f', text('another'))
    await fails(t, 'ESTALE', file.fsync())
    await file.close()
    t.same((await bucket.stat('/f')).metadata, {})
  },
  { config: { markerDelay: 10_000 } },
)

scene(
  'a listing with attributes asks for those it does not know, in parallel',
  async ({ t, os, bucket, watch }) => {
    for (let i = 0; i < 40; i += 1) {
      await bucket.putContent(`/d/f${i}`, text('x'), { metadata: { 'bosfs-uid': String(i) } })
    }
    await os.lookup('/d').then(({ ino }) => os.fs.forget(ino, 1))
    watch.requests.length = 0
    let [underWay, most] = [0, 0]
    watch.before = async ({ method }) => {
      if (method !== 'stat') return
      most = Math.max(most, (underWay += 1))
      await sleep(1)
    }
    watch.after = ({ method }) => void (underWay -= Number(method === 'stat'))
    t.equal((await os.readdir('/d', { plus: true })).length, 40)
    const files = watch.requests.filter(({ method, path }) => method === 'stat' && path !== '/d')
    t.equal(files.length, 40)
    t.ok(most > 4 && most <= 16, `${most} at once`)
    watch.requests.length = 0
    t.equal((await os.stat('/d/f7')).uid, 7)
    t.equal(watch.count('stat'), 0, 'and remembers what it was told')
  },
)

scene(
  'where listings tell metadata, no file is asked for',
  async ({ t, os, bucket, watch }) => {
    await bucket.makeDirectory('/d', { metadata: { 'bosfs-uid': '5' } })
    await bucket.putContent('/d/f', text('x'), { metadata: { 'bosfs-uid': '6' } })
    t.equal((await os.stat('/d')).uid, 5)
    await os.readdir('/d', { plus: true })
    t.equal((await os.stat('/d/f')).uid, 6)
    const asked = watch.requests.filter(({ method }) => method === 'stat')
    t.same(
      asked.filter(({ path }) => path !== '/d'),
      [],
    )
  },
  { listsMetadata: true },
)

scene(
  'with derived attributes nothing is ever asked for',
  async ({ t, os, bucket, watch }) => {
    await bucket.putContent('/d/f', text('x'), { metadata: { 'bosfs-uid': '6' } })
    t.equal((await os.stat('/d/f')).uid, 0)
    await os.readdir('/d', { plus: true })
    t.equal(watch.count('stat'), 0)
    await set(os, '/d/f', { uid: 9 })
    await os.fs.syncfs(os.context)
    t.equal(watch.count('setMetadata'), 0)
  },
  { config: { attributes: 'derived' } },
)

scene('a directory with usual attributes needs no marker', async ({ t, os, bucket, watch }) => {
  await os.mkdir('/a')
  await os.mkdir('/a/b')
  await os.writeFile('/a/b/f', text('x'))
  await os.fs.syncfs(os.context)
  t.equal(watch.count('makeDirectory'), 0)
  await fails(t, 'ENOENT', os.stat('/absent'))
  t.ok((await bucket.stat('/a/b')).isDir)
})

scene('attributes of a directory lie on its marker', async ({ t, os, other, bucket, watch }) => {
  await os.mkdir('/d')
  await os.writeFile('/d/f', text('x'))
  await set(os, '/d', { mode: 0o1770, uid: 4, gid: 5 })
  await set(os, '/d', { mtime: MTIME })
  await os.fs.syncfs(os.context)
  t.equal(watch.count('makeDirectory'), 1)
  t.match(await other().stat('/d'), { mode: 0o041770, uid: 4, gid: 5, mtime: MTIME })
  await os.rename('/d', '/e')
  t.match(await other().stat('/e'), { mode: 0o041770, uid: 4, gid: 5, mtime: MTIME })
  await os.writeFile('/e/g', text('x'))
  await os.fs.syncfs(os.context)
  t.match(await other().stat('/e'), { mode: 0o041770, uid: 4 })
  const { metadata } = await bucket.stat('/e', { expect: 'marker' })
  t.equal(metadata?.['bosfs-mtime'], undefined, 'a time that was set is over with the next name')
})

scene(
  'a directory is removed with its attributes on the way',
  async ({ t, os, bucket }) => {
    await os.mkdir('/d')
    await set(os, '/d', { mode: 0o700 })
    await os.rmdir('/d')
    await os.fs.syncfs(os.context)
    t.same(await bucket.list('/'), [])
  },
  { config: { markerDelay: 10_000 } },
)

scene(
  'a file that is removed while its attributes are stored stays away',
  async ({ t, os, bucket, watch }) => {
    await os.writeFile('/f', text('x'))
    await set(os, '/f', { mode: 0o600 })
    const copying = hold(watch, ({ method }) => method === 'setMetadata')
    const synced = os.fs.syncfs(os.context)
    await copying.reached
    const removed = os.unlink('/f')
    await sleep(5)
    copying.release()
    await Promise.all([synced, removed])
    t.same(await bucket.list('/'), [])
  },
  { config: { markerDelay: 10_000 } },
)

scene(
  'what could not be stored is tried again, and is not forgotten meanwhile',
  async ({ t, os, other, watch, time }) => {
    await os.writeFile('/f', text('x'))
    await set(os, '/f', { mode: 0o600 })
    let failures = 0
    watch.before = ({ method }) => {
      if (method !== 'setMetadata' || failures === 2) return
      failures += 1
      throw new Error('the store is away')
    }
    await fails(t, 'EIO', Promise.resolve(os.fs.syncfs(os.context)))
    t.equal((await os.stat('/f')).mode, 0o100600)
    for (let i = 0; i < 2; i += 1) await time.pass(20)
    t.equal(watch.count('setMetadata'), 3)
    t.equal((await other().stat('/f')).mode, 0o100600)
  },
)

scene(
  'unmounting stores what is left',
  async ({ t, os, bucket }) => {
    await os.writeFile('/f', text('x'))
    await os.mkdir('/d')
    await set(os, '/f', { mode: 0o600 })
    await set(os, '/d', { mode: 0o700 })
    await os.fs.destroy()
    t.equal((await bucket.stat('/f')).metadata?.['bosfs-mode'], String(0o100600))
    t.equal(
      (await bucket.stat('/d', { expect: 'marker' })).metadata?.['bosfs-mode'],
      String(0o040700),
    )
  },
  { config: { markerDelay: 10_000 } },
)

scene(
  'who makes a file owns it, and a set-group-id directory gives its group',
  async ({ t, os, other }) => {
    const context = { ...os.context, uid: 1000, gid: 100 }
    await os.mkdir('/d')
    await set(os, '/d', { mode: 0o2777, gid: 50 })
    const { ino } = await os.lookup('/d')
    const file = await os.fs.create(context, ino, {
      name: 'f',
      mode: 0o640,
      umask: 0,
      flags: O_WRONLY,
    })
    await os.fs.flush(context, file.ino, file.fh)
    await os.fs.release(context, file.ino, file.fh)
    const made = await os.fs.mknod(context, ino, { name: 'g', mode: 0o100600, umask: 0, rdev: 0 })
    const below = await os.fs.mkdir(context, ino, { name: 's', mode: 0o755, umask: 0 })
    await os.fs.syncfs(os.context)
    const host = other()
    t.match(await host.stat('/d/f'), { mode: 0o100640, uid: 1000, gid: 50 })
    t.match(await host.stat('/d/g'), { mode: 0o100600, uid: 1000, gid: 50 })
    t.match(await host.stat('/d/s'), { mode: 0o042755, uid: 1000, gid: 50 })
    for (const each of [ino, file.ino, made.ino, below.ino]) os.fs.forget(each, 1)
  },
)

scene(
  'set-user-id goes when the file is given away or written to by another',
  async ({ t, os }) => {
    await os.writeFile('/f', text('x'))
    const { ino } = await os.lookup('/f')
    const modeAfter = async (before: number, change: SetAttributes): Promise<number> => {
      await os.fs.setattr(os.context, ino, { mode: before })
      return (await os.fs.setattr(os.context, ino, change)).attributes.mode & 0o7777
    }
    t.equal(await modeAfter(0o6755, { uid: 5 }), 0o755)
    t.equal(
      await modeAfter(0o6745, { gid: 5 }),
      0o2745,
      'without the right to execute it is a lock',
    )
    t.equal(await modeAfter(0o4755, { size: 0, killPrivileges: true }), 0o755)
    t.equal(await modeAfter(0o4755, { mtime: MTIME }), 0o4755)
    await os.fs.setattr(os.context, ino, { mode: 0o4755 })
    const { fh } = await os.fs.open(os.context, ino, O_WRONLY)
    const request = { offset: 0, data: text('y'), fromPageCache: false }
    await os.fs.write(os.context, ino, fh, { ...request, killPrivileges: true })
    t.equal((await os.fs.getattr(os.context, ino)).attributes.mode, 0o100755)
    await os.fs.flush(os.context, ino, fh)
    await os.fs.release(os.context, ino, fh)
    os.fs.forget(ino, 1)
  },
)
