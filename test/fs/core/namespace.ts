/** Names: lookup, mkdir, rmdir and unlink, and what they cost. */
import { ROOT_INO } from '../../../src/fs/operations.js'
import type { Ino } from '../../../src/fs/operations.js'
import { CoreOs, O_CREAT, O_RDWR, O_WRONLY } from '../../helpers/core-os.js'
import { fails, keys, scene, text } from '../../helpers/core-scene.js'
import { hold } from '../../helpers/watched-driver.js'

/** Looks a name up as the kernel does, and keeps the lookup. */
async function lookup(os: CoreOs, parent: Ino, name: string): Promise<Ino | undefined> {
  return (await os.fs.lookup(os.context, parent, name)).ino
}

scene('lookups are counted, and forgetting them frees the inode', async ({ t, os, bucket }) => {
  await bucket.putContent('/f', text('x'))
  const ino = await lookup(os, ROOT_INO, 'f')
  t.equal(await lookup(os, ROOT_INO, 'f'), ino, 'the same inode each time')
  t.equal(os.fs.counts.lookups, 2)
  t.equal(os.fs.counts.inodes, 2)
  os.fs.forget(ino as Ino, 1)
  t.equal(os.fs.counts.inodes, 2)
  os.fs.forget(ino as Ino, 1)
  t.equal(os.fs.counts.inodes, 1)
  await fails(
    t,
    'ESTALE',
    Promise.resolve().then(() => os.fs.getattr(os.context, ino as Ino)),
  )
})

scene('what a listing lacks is asked for itself, once', async ({ t, os, watch }) => {
  for (let i = 0; i < 10; i += 1) t.notOk(await os.exists('/absent'))
  t.same(
    watch.requests.map(({ method }) => method),
    ['entriesBelow', 'stat'],
  )
})

scene('one lookup answers for its neighbours', async ({ t, os, bucket, watch }) => {
  for (let i = 0; i < 20; i += 1) await bucket.putContent(`/d/f${i}`, text('x'))
  for (let i = 0; i < 20; i += 1) t.ok(await os.exists(`/d/f${i}`))
  t.equal(watch.count('entriesBelow'), 1)
  t.equal(watch.count(), 1)
})

scene('one lookup answers for all of a small tree', async ({ t, os, bucket, watch }) => {
  const paths = ['/a/b/c/d/e/f', '/a/b/c/g', '/a/h/i']
  for (const path of paths) await bucket.putContent(path, text('x'))
  for (const path of paths) t.equal((await os.stat(path)).size, 1)
  t.same(await os.readdir('/a/b/c'), ['d', 'g'])
  t.notOk(await os.exists('/a/h/j'))
  t.notOk(await os.exists('/a/b/c/d/e/g/h'))
  t.equal(watch.count(), 1)
})

scene(
  'in a large tree a directory costs one request',
  async ({ t, os, bucket, watch }) => {
    for (const name of ['a', 'm', 'z']) {
      for (let i = 0; i < 30; i += 1)
        await bucket.putContent(`/r/${name}/${i % 10}/${i}`, text('x'))
    }
    t.ok(await os.exists('/r/a/0/10'), 'which the first page shows, and the whole way to it')
    t.equal(watch.count(), 1)
    t.ok(await os.exists('/r/z/5/25'))
    t.same(
      watch.requests.map(({ method, path }) => `${method} ${path}`),
      ['entriesBelow /', 'entriesBelow /r', 'entriesBelow /r/z'],
    )
    t.ok(await os.exists('/r/z/9/19'))
    t.equal(watch.count(), 4)
    t.notOk(await os.exists('/r/z/x'))
    t.ok(await os.exists('/r/z/7/27'))
    t.equal(watch.count(), 4, 'and shows what is not there')
  },
  { pageSize: 12 },
)

scene('what the first page of a tree does not show is looked for', async s => {
  const { t, os, bucket } = s
  for (let i = 0; i < 1500; i += 1) await bucket.putContent(`/d/a${i}/f`, text('x'))
  await bucket.putContent('/e', text('xy'))
  t.equal((await os.stat('/e')).size, 2)
  t.notOk(await os.exists('/f'))
  t.ok(await os.exists('/d/a999/f'))
  t.notOk(await os.exists('/d/a999x/f'))
})

scene('in a crowded directory names are asked for one by one', async ({ t, os, bucket, watch }) => {
  for (let i = 0; i < 2500; i += 1) await bucket.putContent(`/d/f${i}`, text('x'))
  t.ok(await os.exists('/d/f1'))
  t.ok(await os.exists('/d/f2222'))
  watch.requests.length = 0
  t.notOk(await os.exists('/d/missing'))
  t.equal(watch.count('entries', 'entriesBelow'), 0)
  t.equal(watch.count('stat'), 1)
})

const clock = { now: 0 }

scene(
  'who fills a crowded directory has it listed now and then',
  async ({ t, os, bucket, watch }) => {
    for (let i = 0; i < 1500; i += 1) await bucket.putContent(`/d/f${i}`, text('x'))
    await os.readdir('/d')
    watch.requests.length = 0
    for (let i = 0; i < 100; i += 1) {
      clock.now += 40
      const file = await os.open(`/d/new${i}`, O_WRONLY | O_CREAT)
      await file.close()
    }
    t.equal(watch.count('putContent'), 100)
    t.ok(watch.count() <= 100 + 4 * 10, `${watch.count()} requests in 4 seconds`)
  },
  { monotonic: () => clock.now },
)

scene(
  'a listed directory answers for every name that it lacks',
  async ({ t, os, bucket, watch }) => {
    for (let i = 0; i < 20; i += 1) await bucket.putContent(`/d/f${i}`, text('x'))
    await os.readdir('/d')
    watch.requests.length = 0
    for (let i = 0; i < 100; i += 1) t.notOk(await os.exists(`/d/missing-${i}`))
    for (let i = 0; i < 20; i += 1) t.equal((await os.stat(`/d/f${i}`)).size, 1)
    t.equal(watch.count(), 0)
  },
)

scene(
  'with nothing believed, each lookup asks',
  async ({ t, os, bucket, watch }) => {
    await bucket.putContent('/f', text('x'))
    for (let i = 0; i < 3; i += 1) await os.exists('/f')
    t.equal(watch.count('stat'), 3)
    await bucket.delete('/f')
    t.notOk(await os.exists('/f'))
    await bucket.putContent('/f', text('xyz'))
    t.equal((await os.stat('/f')).size, 3)
  },
  { config: { metadataTtl: 0 }, monotonic: () => 0 },
)

scene(
  'those who look for a name at the same time share a request',
  async ({ t, os, bucket, watch }) => {
    await bucket.putContent('/f', text('x'))
    const all = await Promise.all(Array.from({ length: 10 }, () => lookup(os, ROOT_INO, 'f')))
    t.equal(watch.count(), 1)
    t.equal(new Set(all).size, 1)
    os.fs.forget(all[0] as Ino, 10)
  },
)

scene(
  'a lookup can be interrupted, and the next one succeeds',
  async ({ t, os, bucket, watch }) => {
    await bucket.putContent('/f', text('x'))
    const stop = new AbortController()
    const impatient = new CoreOs(os.fs, stop.signal)
    const held = hold(watch, ({ method }) => method === 'entriesBelow')
    const looking = impatient.stat('/f')
    await held.reached
    stop.abort()
    await fails(t, 'EINTR', looking)
    held.release()
    t.equal((await os.stat('/f')).size, 1)
  },
)

scene(
  'a lookup never takes an answer from before a change that was made here',
  async ({ t, os, bucket, watch }) => {
    await bucket.putContent('/f', text('x'))
    const ino = await lookup(os, ROOT_INO, 'f')
    const stop = new AbortController()
    const held = hold(watch, ({ method }) => method === 'stat', 'after')
    // The store has answered, the answer is under way, and who asked has given up.
    const looking = new CoreOs(os.fs, stop.signal).stat('/f')
    await held.reached
    stop.abort()
    await fails(t, 'EINTR', looking)
    await os.fs.unlink(os.context, ROOT_INO, 'f')
    const after = os.exists('/f')
    held.release()
    t.notOk(await after)
    os.fs.forget(ino as Ino, 1)
  },
  { config: { metadataTtl: 0 } },
)

scene('names that cannot be are refused', async ({ t, os }) => {
  const long = 'n'.repeat(256)
  const make = (path: string) => os.open(path, O_WRONLY | O_CREAT)
  await fails(t, 'ENAMETOOLONG', make(`/${long}`))
  await fails(t, 'ENAMETOOLONG', os.mkdir(`/${long}`))
  await fails(t, 'EINVAL', os.mkdir('/.bosmount'), 'the reserved name')
  await fails(t, 'EINVAL', make('/.bosmount'), 'the reserved name')
  await os.writeFile('/f', text('x'))
  await fails(t, 'ENAMETOOLONG', os.rename('/f', `/${'ü'.repeat(200)}`))
  await fails(t, 'EINVAL', os.rename('/f', '/.bosmount'))
  t.equal(String(await os.readFile('/f')), 'x')
  let deep = ''
  for (let i = 0; i < 4; i += 1) {
    deep += `/${'d'.repeat(200)}`
    await os.mkdir(deep)
  }
  await fails(t, 'ENAMETOOLONG', make(`${deep}/${'f'.repeat(250)}`), 'the whole key')
})

scene('what exists cannot be made', async ({ t, os, bucket }) => {
  await bucket.putContent('/far/f', text('x'))
  await os.writeFile('/f', text('x'))
  await os.mkdir('/d')
  for (const path of ['/f', '/d', '/far']) await fails(t, 'EEXIST', os.mkdir(path), path)
})

scene('files and directories are told apart', async ({ t, os, bucket }) => {
  await bucket.putContent('/f', text('x'))
  await bucket.putContent('/d/f', text('x'))
  await fails(t, 'ENOENT', os.unlink('/absent'))
  await fails(t, 'ENOENT', os.rmdir('/absent'))
  await fails(t, 'EISDIR', os.unlink('/d'))
  await fails(t, 'ENOTDIR', os.rmdir('/f'))
  await fails(t, 'ENOTEMPTY', os.rmdir('/d'))
  await fails(t, 'ENOTDIR', os.stat('/f/below'))
  await fails(t, 'EISDIR', os.open('/d', O_RDWR))
  await fails(t, 'EISDIR', os.truncate('/d', 5))
  t.equal(os.fs.counts.inodes, 1, 'and nothing is retained by a refusal')
  await os.unlink('/d/f')
  await os.rmdir('/d')
  await os.unlink('/f')
  t.same(await keys(bucket), [])
})

scene('a directory is not empty while a file in it is being written', async ({ t, os }) => {
  await os.mkdir('/d')
  const file = await os.open('/d/f', O_WRONLY | O_CREAT)
  await fails(t, 'ENOTEMPTY', os.rmdir('/d'))
  await os.unlink('/d/f')
  await os.rmdir('/d')
  await file.close()
})

scene(
  'rmdir sees what another host has put there',
  async ({ t, os, other }) => {
    const there = other()
    await os.mkdir('/d')
    await os.fsyncDirectory('/d')
    await there.writeFile('/d/f', text('x'))
    await fails(t, 'ENOTEMPTY', os.rmdir('/d'))
  },
  { config: { metadataTtl: 0 } },
)

scene(
  'a made chain of directories with a file at its end is one object',
  async ({ t, os, bucket, watch }) => {
    for (const path of ['/a', '/a/b', '/a/b/c', '/a/b/c/d']) await os.mkdir(path)
    watch.requests.length = 0
    await os.writeFile('/a/b/c/d/f', text('x'))
    t.same(
      watch.requests.map(({ method }) => method),
      ['putContent'],
      'and costs one request',
    )
    await os.fs.syncfs(os.context)
    t.same(await keys(bucket), ['/a/b/c/d/f'])
  },
)

scene('in a directory made here nothing needs to be asked', async ({ t, os, watch }) => {
  await os.mkdir('/d')
  watch.requests.length = 0
  t.notOk(await os.exists('/d/f'))
  await os.mkdir('/d/e')
  await fails(t, 'EEXIST', os.mkdir('/d/e'))
  await os.rename('/d/e', '/d/f')
  await os.rmdir('/d/f')
  t.same(await os.readdir('/d'), [])
  await os.rmdir('/d')
  t.equal(watch.count(), 0)
})

scene(
  'a directory stays while something in it is not stored, whoever removes the rest',
  async ({ t, os, bucket }) => {
    await bucket.putContent('/uploads/theirs', text('x'))
    const mine = await os.open('/uploads/mine', O_WRONLY | O_CREAT)
    await mine.write(0, text('mine'))
    await bucket.delete('/uploads/theirs')
    t.ok(await os.exists('/uploads'))
    t.ok(await os.exists('/uploads/mine'))
    t.same(await os.readdir('/uploads'), ['mine'])
    await mine.close()
    t.equal(String(await bucket.getContent('/uploads/mine')), 'mine')
  },
  { config: { metadataTtl: 0 } },
)

scene(
  'a directory made in one that another host removes stays with it',
  async ({ t, os, bucket }) => {
    await bucket.putContent('/a/b/theirs', text('x'))
    await os.mkdir('/a/b/mine')
    await bucket.delete('/a')
    t.ok(await os.exists('/a/b/mine'))
    await os.fs.syncfs(os.context)
    t.same(await keys(bucket), ['/a/b/mine/'])
  },
  { config: { metadataTtl: 0 } },
)

scene(
  'what another host has made of a name is another inode',
  async ({ t, os, bucket }) => {
    await bucket.putContent('/n', text('x'))
    const file = await os.lookup('/n')
    await bucket.delete('/n')
    await bucket.putContent('/n/below', text('x'))
    const directory = await os.lookup('/n')
    t.not(directory.ino, file.ino)
    t.equal(directory.attributes.mode & 0o170000, 0o040000)
    await bucket.delete('/n')
    await bucket.putContent('/n', text('xyz'))
    const again = await os.lookup('/n')
    t.not(again.ino, directory.ino)
    t.equal(again.attributes.size, 3)
    for (const { ino } of [file, directory, again]) os.fs.forget(ino, 1)
  },
  { config: { metadataTtl: 0 } },
)
