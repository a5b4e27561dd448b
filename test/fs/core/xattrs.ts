/** Extended attributes. */
import type { Ino } from '../../../src/fs/operations.js'
import type { CoreOs } from '../../helpers/core-os.js'
import { fails, scene, text } from '../../helpers/core-scene.js'

const STORED = { config: { attributes: 'stored' } } as const

interface XattrCalls {
  get(name: string): Promise<string>
  set(name: string, value: string, flags?: number): Promise<void>
  list(): Promise<readonly string[]>
  remove(name: string): Promise<void>
}

/** The calls on one path; each looks it up and forgets it again. */
function on(os: CoreOs, path: string): XattrCalls {
  const { fs, context } = os
  const at = async <T>(work: (ino: Ino) => T): Promise<Awaited<T>> => {
    const { ino } = await os.lookup(path)
    try {
      return await work(ino)
    } finally {
      fs.forget(ino, 1)
    }
  }
  return {
    get: name => at(async ino => String(Buffer.from(await fs.getxattr(context, ino, name)))),
    set: (name, value, flags = 0) =>
      at(async ino => fs.setxattr(context, ino, { name, value: text(value), flags })),
    list: () => at(async ino => fs.listxattr(context, ino)),
    remove: name => at(async ino => fs.removexattr(context, ino, name)),
  }
}

scene(
  'what a program sets is there on another host',
  async ({ t, os, other, bucket }) => {
    await os.writeFile('/f', text('x'))
    await os.mkdir('/d')
    for (const path of ['/f', '/d']) {
      await on(os, path).set('user.colour', 'red')
      await on(os, path).set('user.empty', '')
    }
    await os.fs.syncfs(os.context)
    const host = other()
    for (const path of ['/f', '/d']) {
      t.equal(await on(host, path).get('user.colour'), 'red')
      t.equal(await on(host, path).get('user.empty'), '')
      t.same(await on(host, path).list(), ['user.colour', 'user.empty'])
    }
    t.equal((await bucket.stat('/f')).metadata?.['bosfs-xattr'], 'user.colour:cmVk;user.empty:')
    await on(host, '/f').remove('user.colour')
    await host.fs.syncfs(host.context)
    t.same(await on(other(), '/f').list(), ['user.empty'])
  },
  STORED,
)

scene(
  'create and replace, and what is not there',
  async ({ t, os }) => {
    await os.writeFile('/f', text('x'))
    const file = on(os, '/f')
    await fails(t, 'ENODATA', file.get('user.a'))
    await fails(t, 'ENODATA', file.remove('user.a'))
    await fails(t, 'ENODATA', file.set('user.a', '1', 2))
    await file.set('user.a', '1', 1)
    await fails(t, 'EEXIST', file.set('user.a', '2', 1))
    await file.set('user.a', '3', 2)
    t.equal(await file.get('user.a'), '3')
  },
  STORED,
)

scene(
  'what does not fit into the metadata of an object is refused, and nothing is lost',
  async ({ t, os, other }) => {
    await os.writeFile('/f', text('x'))
    const file = on(os, '/f')
    await file.set('user.a', 'a'.repeat(1000))
    await fails(t, 'ENOSPC', file.set('user.b', 'b'.repeat(1000)))
    await fails(t, 'E2BIG', file.set('user.b', 'b'.repeat(4000)))
    await file.set('user.b', 'b')
    await os.fs.syncfs(os.context)
    t.same(await on(other(), '/f').list(), ['user.a', 'user.b'])
  },
  STORED,
)

scene('with derived attributes nothing is taken that would be lost', async ({ t, os }) => {
  await os.writeFile('/f', text('x'))
  const file = on(os, '/f')
  await fails(t, 'EOPNOTSUPP', file.set('user.a', '1'))
  await fails(t, 'ENODATA', file.get('user.a'))
  t.same(await file.list(), [])
})

scene('what BOS knows of a file can be read by name', async ({ t, os, bucket, watch }) => {
  await os.mkdir('/d')
  await os.writeFile('/d/f', text('x'))
  const file = on(os, '/d/f')
  const { etag, modTime } = await bucket.stat('/d/f')
  t.equal(await file.get('user.bos.etag'), etag)
  t.equal(await file.get('user.bos.key'), 'd/f')
  t.equal(await on(os, '/d').get('user.bos.key'), 'd/')
  t.equal(await file.get('user.bos.last-modified'), modTime?.toISOString())
  await fails(t, 'ENODATA', file.get('user.bos.url'), 'this store gives none')
  await fails(t, 'ENODATA', file.get('user.bos.colour'))
  await fails(t, 'ENODATA', on(os, '/d').get('user.bos.etag'))
  await fails(t, 'EPERM', file.set('user.bos.etag', 'x'))
  t.same(await file.list(), [], 'and is not listed')
  watch.requests.length = 0
  for (const name of ['security.capability', 'system.posix_acl_access', 'trusted.x']) {
    await fails(t, 'EOPNOTSUPP', file.get(name))
    await fails(t, 'EOPNOTSUPP', file.set(name, 'x'))
  }
  t.equal(watch.requests.length, 0, 'others are refused without asking anybody')
})
