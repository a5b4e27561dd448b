/** Symbolic links, pipes, sockets and device nodes. */
import { S_IFLNK } from '../../../src/fs/core/attributes.js'
import type { ErrnoError } from '../../../src/util/errno.js'
import { O_RDONLY, type CoreOs } from '../../helpers/core-os.js'
import { fails, scene, text } from '../../helpers/core-scene.js'

const STORED = { config: { attributes: 'stored' } } as const

async function symlink(os: CoreOs, name: string, target: string): Promise<void> {
  const { ino } = await os.lookup('/')
  const made = await os.fs.symlink(os.context, ino, name, target)
  os.fs.forget(made.ino, 1)
}

async function readlink(os: CoreOs, path: string): Promise<string> {
  const { ino } = await os.lookup(path)
  try {
    return await os.fs.readlink(os.context, ino)
  } finally {
    os.fs.forget(ino, 1)
  }
}

async function typesIn(os: CoreOs, path: string, plus: boolean): Promise<Record<string, number>> {
  const { ino } = await os.lookup(path)
  const { fh } = os.fs.opendir(os.context, ino)
  const types: Record<string, number> = {}
  await os.fs.readdir(os.context, ino, fh, {
    offset: 0,
    plus,
    add: ({ name, type, entry }) => {
      types[name] = type
      if (entry !== undefined) os.fs.forget(entry.ino, 1)
      return true
    },
  })
  await os.fs.releasedir(os.context, ino, fh)
  return types
}

scene(
  'a link is there on another host, as bosfs keeps it, and costs one request',
  async ({ t, os, other, bucket, watch }) => {
    await os.exists('/l')
    watch.requests.length = 0
    await symlink(os, 'l', '../some where/汉字')
    t.equal(watch.count('putContent', 'setMetadata', 'stat'), 1)
    t.equal(String(await bucket.getContent('/l')), '../some where/汉字')
    t.equal((await bucket.stat('/l')).metadata?.['bosfs-mode'], String(S_IFLNK | 0o777))
    for (const host of [os, other()]) {
      t.match(await host.stat('/l'), { mode: S_IFLNK | 0o777, size: 20 })
      t.equal(await readlink(host, '/l'), '../some where/汉字')
    }
    t.equal(watch.count('getContent'), 0, 'the target comes with the attributes')
  },
  STORED,
)

scene(
  'a link that bosfs made is read',
  async ({ t, os, bucket }) => {
    const metadata = { 'bosfs-mode': String(S_IFLNK | 0o777) }
    await bucket.putContent('/l', text('/elsewhere'), { metadata })
    t.equal((await os.stat('/l')).mode, S_IFLNK | 0o777)
    t.equal(await readlink(os, '/l'), '/elsewhere')
    await os.writeFile('/f', text('x'))
    await fails(t, 'EINVAL', readlink(os, '/f'))
  },
  STORED,
)

scene(
  'a long target is kept as content alone',
  async ({ t, os, other }) => {
    const target = 'x/'.repeat(2000)
    await symlink(os, 'l', target)
    t.equal(await readlink(other(), '/l'), target)
  },
  STORED,
)

scene(
  'links are renamed, replaced and removed like files',
  async ({ t, os, other, bucket }) => {
    await symlink(os, 'l', 'one')
    await symlink(os, 'm', 'two')
    await fails(t, 'EEXIST', symlink(os, 'm', 'three'))
    await os.rename('/l', '/m')
    t.equal(await readlink(other(), '/m'), 'one')
    await os.unlink('/m')
    t.same(await bucket.list('/'), [])
  },
  STORED,
)

scene(
  'a link that another host makes at the same time is not replaced',
  async ({ t, os, bucket }) => {
    await os.exists('/l')
    await bucket.putContent('/l', text('theirs'))
    await fails(t, 'EEXIST', symlink(os, 'l', 'ours'))
    t.equal(String(await bucket.getContent('/l')), 'theirs')
  },
  STORED,
)

scene(
  'pipes, sockets and devices are kept with their numbers',
  async ({ t, os, other }) => {
    const { ino } = await os.lookup('/')
    const rows: [name: string, mode: number, rdev: number][] = [
      ['pipe', 0o010640, 0],
      ['socket', 0o140755, 0],
      ['block', 0o060600, 0x801],
      ['character', 0o020666, 0x12345678],
    ]
    for (const [name, mode, rdev] of rows) {
      const made = await os.fs.mknod(os.context, ino, { name, mode, rdev, umask: 0 })
      t.match(made.attributes, { mode, rdev })
      os.fs.forget(made.ino, 1)
    }
    const host = other()
    for (const [name, mode, rdev] of rows) t.match(await host.stat(`/${name}`), { mode, rdev })
  },
  STORED,
)

scene(
  'a listing shows each for what it is, or leaves it open',
  async ({ t, os, other }) => {
    await symlink(os, 'l', 'target')
    await os.writeFile('/f', text('x'))
    await os.mkdir('/d')
    await os.fs.syncfs(os.context)
    const expected = { f: 0o100000, l: S_IFLNK, d: 0o040000 }
    t.match(await typesIn(other(), '/', true), expected)
    t.match(await typesIn(other(), '/', false), { f: 0, l: 0, d: 0o040000 }, 'not asked for')
    t.match(await typesIn(os, '/', false), { d: 0o040000 })
  },
  STORED,
)

scene(
  'with derived attributes links work where listings tell them',
  async ({ t, os, other, watch }) => {
    await symlink(os, 'l', 'target')
    await symlink(os, 'm', 'target')
    watch.requests.length = 0
    const host = other()
    t.match(await typesIn(host, '/', true), { l: S_IFLNK })
    t.equal(await readlink(host, '/l'), 'target')
    t.equal(watch.count('stat'), 0)
  },
  { listsMetadata: true },
)

scene('with derived attributes links are refused elsewhere, and nothing is left', async scene => {
  const { t, os, bucket, watch } = scene
  await fails(t, 'EPERM', symlink(os, 'l', 'target'))
  t.same(await bucket.list('/'), [])
  watch.requests.length = 0
  await fails(t, 'EPERM', symlink(os, 'l', 'target'))
  t.equal(watch.requests.length, 0, 'once known, without a request')
})

scene('a link that a listing showed as a file is never read as one', async ({ t, os, bucket }) => {
  const metadata = { 'bosfs-mode': String(S_IFLNK | 0o777) }
  await bucket.putContent('/l', text('target'), { metadata })
  const { ino } = await os.lookup('/l')
  const opened = os.fs.open(os.context, ino, O_RDONLY)
  t.equal(await Promise.resolve(opened).catch((error: ErrnoError) => error.code), 'ESTALE')
  t.equal((await os.stat('/l')).mode, S_IFLNK | 0o777, 'looked up again it is what it is')
  os.fs.forget(ino, 1)
})
