/** Names that go in bulk: what it costs, what depends on them, and what happens when it fails. */
import { setTimeout as sleep } from 'node:timers/promises'
import { AccessDeniedError } from '../../../src/driver/errors.js'
import { CoreOs } from '../../helpers/core-os.js'
import { fails, keys, scene, text, turns } from '../../helpers/core-scene.js'
import type { Scene } from '../../helpers/core-scene.js'
import { hold } from '../../helpers/watched-driver.js'

const DELETES = ['deleteFile', 'deleteMany', 'removeDirectoryMarker', 'delete']

async function fill({ bucket }: Scene, count: number, directory = '/d'): Promise<string[]> {
  const paths = Array.from(
    { length: count },
    (_, i) => `${directory}/f${String(i).padStart(4, '0')}`,
  )
  for (const path of paths) await bucket.putContent(path, text('x'))
  return paths
}

/** As `rm -r`. */
async function removeAll(os: CoreOs, path: string): Promise<void> {
  for (const name of await os.readdir(path)) {
    const child = `${path}/${name}`
    if (name.startsWith('d')) await removeAll(os, child)
    else await os.unlink(child)
  }
  await os.rmdir(path)
}

/** So far away that only what is asked for happens. */
const LATER = { config: { metadataTtl: 600_000, markerDelay: 600_000 }, isStill: true }

scene('a tree of 2000 files in 200 directories goes by a few requests', async s => {
  const { t, os, bucket, watch } = s
  for (let i = 0; i < 200; i += 1) await fill(s, 10, `/tree/d${i}`)
  watch.requests.length = 0
  await removeAll(os, '/tree')
  t.same(await os.readdir('/'), [])
  await os.fs.syncfs(os.context)
  t.same(await keys(bucket), [])
  const deletes = watch.count(...DELETES)
  t.ok(deletes <= 15, `${deletes} requests`)
})

scene('what is unlinked alone is gone when unlink returns', async s => {
  const { t, os, bucket, watch } = s
  const paths = await fill(s, 3)
  for (const path of paths) {
    await os.unlink(path)
    await t.rejects(bucket.stat(path), { code: 'PATH_NOT_FOUND' })
  }
  t.equal(watch.count('deleteFile'), 3)
  t.equal(watch.count('deleteMany'), 0)
})

scene(
  'names removed in bulk are gone here at once, and in the store soon',
  async s => {
    const { t, os, bucket, time } = s
    const paths = await fill(s, 20)
    for (const path of paths) {
      await os.unlink(path)
      t.notOk(await os.exists(path))
    }
    t.same(await os.readdir('/d'), [])
    t.equal((await keys(bucket)).length, 16)
    await time.pass(1000)
    t.same(await keys(bucket), [])
  },
  LATER,
)

scene(
  'nothing that depends on a delete overtakes it',
  async s => {
    const { t, os, bucket, watch } = s
    const act: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
      'a new file of the name': path => os.writeFile(path, text('new')),
      'a file that is moved there': path => os.rename('/other', path),
      'another directory of the name': async path => {
        await os.mkdir(path)
        await os.fs.syncfs(os.context)
      },
    }
    for (const [what, work] of Object.entries(act)) {
      const paths = await fill(s, 10, `/${what}`)
      await bucket.putContent('/other', text('other'))
      await os.readdir(`/${what}`)
      await os.exists('/other')
      for (const path of paths) await os.unlink(path)
      const last = paths.at(-1) ?? ''
      t.ok(await bucket.stat(last), `${what}: is waiting`)
      watch.requests.length = 0
      await work(last)
      const methods = watch.requests.map(({ method }) => method)
      const sent = methods.findIndex(method =>
        ['putContent', 'move', 'makeDirectory'].includes(method),
      )
      t.ok(methods.indexOf('deleteMany') >= 0 && methods.indexOf('deleteMany') < sent, what)
      await os.fs.syncfs(os.context)
      t.ok(await bucket.stat(last), `${what}: is there`)
    }
  },
  { config: { metadataTtl: 0, markerDelay: 600_000 }, isStill: true },
)

scene(
  'whoever asks the store does not see what is being deleted',
  async s => {
    const { t, os } = s
    const paths = await fill(s, 30)
    for (const path of paths) {
      await os.unlink(path)
      t.notOk(await os.exists(path))
    }
    t.same(await os.readdir('/d'), [])
    t.ok(await os.exists('/d'))
  },
  { config: { metadataTtl: 0 } },
)

scene(
  'fsync of the directory sends what is waiting, and so do syncfs and rename',
  async s => {
    const { t, os, bucket } = s
    await bucket.putContent('/a', text('a'))
    const force: readonly (() => Promise<void>)[] = [
      () => os.fsyncDirectory('/d'),
      async () => os.fs.syncfs(os.context),
      () => os.rename('/a', '/b'),
    ]
    for (const now of force) {
      const paths = await fill(s, 8)
      await os.readdir('/')
      await os.readdir('/d')
      for (const path of paths) await os.unlink(path)
      t.ok(await bucket.stat(paths.at(-1) ?? ''), 'is waiting')
      await now()
      await t.rejects(bucket.stat(paths.at(-1) ?? ''), { code: 'PATH_NOT_FOUND' })
    }
  },
  { config: { metadataTtl: 0, markerDelay: 600_000 }, isStill: true },
)

scene(
  'a name that cannot be deleted comes back, and fsync of the directory says so once',
  async s => {
    const { t, os, bucket, watch } = s
    const paths = await fill(s, 10)
    watch.before = ({ method }) => {
      if (method === 'deleteMany') throw new AccessDeniedError('no', { path: '/d' })
    }
    for (const path of paths) await os.unlink(path)
    await fails(t, 'EACCES', os.fsyncDirectory('/d'))
    await os.fsyncDirectory('/d')
    const left = paths.slice(4).map(path => path.slice(3))
    t.same((await os.readdir('/d')).toSorted(), left)
    t.equal(String(await os.readFile(paths[9] ?? '')), 'x')
    watch.before = () => undefined
    for (const path of paths.slice(4)) await os.unlink(path)
    await os.fs.syncfs(os.context)
    t.same(await keys(bucket), ['/d/'])
  },
  LATER,
)

scene('a delete that is refused alone is the error of unlink', async s => {
  const { t, os, watch } = s
  const [path = ''] = await fill(s, 1)
  watch.before = ({ method }) => {
    if (method === 'deleteFile') throw new AccessDeniedError('no', { path })
  }
  await fails(t, 'EACCES', os.unlink(path))
  t.ok(await os.exists(path))
})

scene(
  'at most two batches wait for a slow store',
  async s => {
    const { t, os, watch } = s
    const paths = await fill(s, 2300)
    await os.readdir('/d')
    const held = hold(watch, ({ method }) => method === 'deleteMany')
    let gone = 0
    const removing = (async () => {
      for (const path of paths) {
        await os.unlink(path)
        gone += 1
      }
    })()
    await held.reached
    await sleep(100)
    t.ok(gone < 2100, `${gone} are gone`)
    held.release()
    await removing
    t.equal(gone, 2300)
  },
  LATER,
)

scene(
  'what was unlinked in bulk is deleted at unmount',
  async s => {
    const { t, os, bucket } = s
    for (const path of await fill(s, 50)) await os.unlink(path)
    t.ok((await keys(bucket)).length > 0)
    await os.fs.destroy()
    t.same(await keys(bucket), ['/d/'])
  },
  { ...LATER, endsBadly: true },
)

scene(
  'an fsync that is interrupted leaves the report of what failed to the next one',
  async s => {
    const { t, os, bucket, watch } = s
    for (const path of await fill(s, 20)) await os.unlink(path)
    const held = hold(watch, ({ method }) => method === 'deleteMany')
    const stop = new AbortController()
    const syncing = new CoreOs(os.fs, stop.signal).fsyncDirectory('/d')
    await held.reached
    watch.after = ({ method, path }) => {
      if (method === 'deleteMany') throw new AccessDeniedError('no', { path })
    }
    stop.abort()
    await fails(t, 'EINTR', syncing)
    held.release()
    await turns()
    await fails(t, 'EACCES', os.fsyncDirectory('/d'), 'the next one is told')
    watch.after = () => undefined
    await os.fsyncDirectory('/d')
    t.same(await keys(bucket), ['/d/'])
  },
  LATER,
)
