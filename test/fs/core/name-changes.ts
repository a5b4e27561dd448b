/** Changes of names whose caller was interrupted: they go on, and whoever comes next finds what they leave. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { ROOT_INO } from '../../../src/fs/operations.js'
import type { Ino } from '../../../src/fs/operations.js'
import { silentLogger } from '../../../src/util/log.js'
import { CoreOs, O_CREAT, O_EXCL, O_RDONLY, O_RDWR } from '../../helpers/core-os.js'
import { fails, keys, scene, text, turns } from '../../helpers/core-scene.js'
import type { Scene } from '../../helpers/core-scene.js'
import { hold } from '../../helpers/watched-driver.js'

interface Held {
  readonly release: () => void
}

/** Makes a call whose request is held back, and interrupts it. */
async function interrupt(
  { t, os, watch }: Scene,
  method: string,
  call: (os: CoreOs) => Promise<unknown>,
): Promise<Held> {
  const stop = new AbortController()
  const held = hold(watch, request => request.method === method)
  const calling = call(new CoreOs(os.fs, stop.signal))
  await held.reached
  stop.abort()
  await fails(t, 'EINTR', calling)
  return held
}

/** The store answers again, and there was time for what it has answered. */
async function settle({ release }: Held): Promise<void> {
  release()
  await turns(20)
}

async function waits(t: Test, call: Promise<unknown>, what: string): Promise<void> {
  const state = await Promise.race([call.then(() => 'done'), sleep(30, 'waits')])
  t.equal(state, 'waits', what)
}

scene('an interrupted unlink takes effect when the store answers', async s => {
  const { t, os, bucket } = s
  await bucket.putContent('/f', text('x'))
  const held = await interrupt(s, 'deleteFile', impatient => impatient.unlink('/f'))
  t.ok(await os.exists('/f'), 'until then the name is there')
  t.same(await os.readdir('/', { plus: true }), ['f'])
  await settle(held)
  t.notOk(await os.exists('/f'))
  t.same(await keys(bucket), [])
  t.equal(os.fs.counts.inodes, 1, 'and nothing is retained')
})

scene('an interrupted rename takes effect when the store answers', async s => {
  const { t, os, bucket } = s
  await bucket.putContent('/d/f', text('x'))
  await bucket.putContent('/d/g', text('xy'))
  const held = await interrupt(s, 'move', impatient => impatient.rename('/d/f', '/d/g'))
  t.equal((await os.stat('/d/g')).size, 2, 'until then all is as it was')
  t.same(await os.readdir('/d', { plus: true }), ['f', 'g'])
  await settle(held)
  t.notOk(await os.exists('/d/f'))
  t.equal(String(await os.readFile('/d/g')), 'x')
  t.same(await keys(bucket), ['/d/g'])
})

const calls = {
  unlink: { method: 'deleteFile', call: (os: CoreOs) => os.unlink('/f') },
  rmdir: { method: 'removeDirectoryMarker', call: (os: CoreOs) => os.rmdir('/empty') },
  rename: { method: 'move', call: (os: CoreOs) => os.rename('/f', '/g') },
  'rename of a directory': { method: 'move', call: (os: CoreOs) => os.rename('/d', '/e') },
}

for (const [title, { method, call }] of Object.entries(calls)) {
  scene(`an interrupted ${title} that is called again succeeds once`, async s => {
    const { t, os, bucket, watch } = s
    await bucket.putContent('/f', text('x'))
    await bucket.putContent('/d/f', text('x'))
    await bucket.makeDirectory('/empty')
    const held = await interrupt(s, method, call)
    const again = call(os)
    await waits(t, again, 'the second waits for the first')
    held.release()
    await again
    t.equal(watch.count(method), 1)
    await fails(t, 'ENOENT', call(os), 'the third')
  })
}

scene('what is written to a name after an interrupted unlink stays', async s => {
  const { t, os, bucket } = s
  await bucket.putContent('/f', text('old'))
  const { ino } = await os.lookup('/f')
  const held = await interrupt(s, 'deleteFile', impatient => impatient.unlink('/f'))
  // The kernel knows the inode, and opens it; with ESTALE it looks the name up again, and creates it.
  const opening = Promise.resolve(os.fs.open(os.context, ino, O_RDWR))
  const creating = Promise.resolve(
    os.fs.create(os.context, ROOT_INO, { name: 'f', mode: 0o644, umask: 0, flags: O_RDWR }),
  )
  await waits(t, Promise.race([opening, creating]), 'both wait')
  held.release()
  await fails(t, 'ESTALE', opening)
  const { ino: made, fh } = await creating
  await os.fs.write(os.context, made, fh, { offset: 0, data: text('new'), fromPageCache: false })
  await os.fs.flush(os.context, made, fh)
  await os.fs.release(os.context, made, fh)
  for (const each of [ino, made]) os.fs.forget(each, 1)
  t.equal(String(await os.readFile('/f')), 'new')
  t.equal(String(await bucket.getContent('/f')), 'new')
})

scene('nothing is made in a directory that an interrupted rmdir removes', async s => {
  const { t, os, bucket } = s
  await bucket.makeDirectory('/empty')
  const { ino } = await os.lookup('/empty')
  const held = await interrupt(s, 'removeDirectoryMarker', impatient => impatient.rmdir('/empty'))
  const request = { name: 'new', mode: 0o755, umask: 0 }
  const making = Promise.resolve(os.fs.mkdir(os.context, ino, request))
  await waits(t, making, 'who makes something in it waits')
  held.release()
  await fails(t, 'ENOENT', making)
  os.fs.forget(ino, 1)
  t.same(await keys(bucket), [])
})

scene('a directory is not removed before what goes on in it is over', async s => {
  const { t, os, bucket } = s
  await bucket.putContent('/d/f', text('x'))
  const held = await interrupt(s, 'deleteFile', impatient => impatient.unlink('/d/f'))
  const removing = os.rmdir('/d')
  await waits(t, removing, 'rmdir waits')
  held.release()
  await removing
  t.same(await keys(bucket), [])
})

scene('two directories never end up below each other', async s => {
  const { t, os, bucket } = s
  await bucket.putContent('/a/f', text('x'))
  await bucket.putContent('/b/f', text('x'))
  const held = await interrupt(s, 'move', impatient => impatient.rename('/a', '/b/a'))
  const across = os.rename('/b', '/a/b')
  await waits(t, across, 'the second rename waits')
  held.release()
  await fails(t, 'EINVAL', across, '/a is below /b now')
  t.same(await keys(bucket), ['/b/a/f', '/b/f'])
})

const told: string[] = []

scene(
  'an interrupted unlink that fails is told in the log',
  async s => {
    const { t, os, bucket, watch } = s
    await bucket.putContent('/f', text('x'))
    const held = await interrupt(s, 'deleteFile', impatient => impatient.unlink('/f'))
    const again = os.unlink('/f')
    await waits(t, again, 'the second waits')
    watch.after = () => Promise.reject(new Error('no answer'))
    held.release()
    await fails(t, 'EIO', again, 'who has called again is told')
    t.same(told, ['unlink has failed that was interrupted'])
    watch.after = () => undefined
    t.notOk(await os.exists('/f'), 'it had its effect')
  },
  { log: { ...silentLogger, warn: (_, message) => void told.push(message) } },
)

const makers = {
  mknod: (os: CoreOs) =>
    os.fs.mknod(os.context, ROOT_INO, { name: 'new', mode: 0o100644, umask: 0, rdev: 0 }),
  symlink: (os: CoreOs) => os.fs.symlink(os.context, ROOT_INO, 'new', 'target'),
  create: async (os: CoreOs) => {
    const flags = O_RDWR | O_CREAT | O_EXCL
    const request = { name: 'new', mode: 0o644, umask: 0, flags }
    const made = await os.fs.create(os.context, ROOT_INO, request)
    await os.fs.release(os.context, made.ino, made.fh)
    return made
  },
}

for (const [title, make] of Object.entries(makers)) {
  scene(
    `an interrupted ${title} leaves nothing, and succeeds when it is called again`,
    async s => {
      const { t, os, bucket } = s
      const held = await interrupt(s, 'putContent', async impatient => make(impatient))
      await settle(held)
      t.same(await keys(bucket), [])
      t.notOk(await os.exists('/new'))
      const other = await interrupt(s, 'putContent', async impatient => make(impatient))
      const again = Promise.resolve(make(os))
      await waits(t, again, 'the second waits for the first')
      other.release()
      const { ino } = await again
      t.equal((await os.fs.getattr(os.context, ino)).attributes.ino > 0, true)
      os.fs.forget(ino as Ino, 1)
      t.same(await keys(bucket), ['/new'])
    },
    { config: { attributes: 'stored', exclusiveCreate: 'open' } },
  )
}

scene('other names are not concerned', async s => {
  const { t, os, bucket } = s
  for (const name of ['f', 'g', 'h']) await bucket.putContent(`/${name}`, text(name))
  const held = await interrupt(s, 'deleteFile', impatient => impatient.unlink('/f'))
  await os.writeFile('/new', text('new'))
  await os.mkdir('/d')
  await os.rename('/g', '/d/g')
  t.equal(String(await os.readFile('/h')), 'h')
  await settle(held)
  t.same(await keys(bucket), ['/d/g', '/h', '/new'])
})

scene('unmounting waits for what goes on', async s => {
  const { t, os, bucket } = s
  await bucket.putContent('/f', text('x'))
  const held = await interrupt(s, 'deleteFile', impatient => impatient.unlink('/f'))
  const ending = os.fs.destroy()
  await waits(t, ending, 'the end waits')
  held.release()
  await ending
  t.same(await keys(bucket), [])
})

scene('who holds a file reads on while its interrupted rename goes on', async s => {
  const { t, os, bucket } = s
  await bucket.putContent('/f', text('content'))
  const file = await os.open('/f', O_RDONLY)
  const held = await interrupt(s, 'move', impatient => impatient.rename('/f', '/g'))
  t.equal(String(await file.read(0, 100)), 'content')
  await settle(held)
  t.equal(String(await file.read(0, 100)), 'content')
  await file.close()
  t.equal(String(await os.readFile('/g')), 'content')
})
