/** rename(2) of files and directories: what it refuses, what it leaves, and what goes on with open files. */
import { MiB } from '../../../src/util/units.js'
import { O_CREAT, O_RDWR, O_WRONLY } from '../../helpers/core-os.js'
import { fails, keys, scene, text, turns } from '../../helpers/core-scene.js'
import { hold } from '../../helpers/watched-driver.js'

const NOREPLACE = 1
const EXCHANGE = 2

interface RenameCase {
  readonly title: string
  readonly from: string
  readonly to: string
  readonly flags?: number
  readonly errno?: string
  /** All keys afterwards, with contents. */
  readonly leaves: Readonly<Record<string, string>>
}

/** What there is before each: two files, two full directories, an empty one. */
const BEFORE = { '/f': 'f', '/g': 'g', '/d/x': 'dx', '/e/y': 'ey', '/empty/': '' }

const RENAMES: readonly RenameCase[] = [
  {
    title: 'a file to a new name',
    from: '/f',
    to: '/new',
    leaves: { '/new': 'f', '/g': 'g', '/d/x': 'dx', '/e/y': 'ey', '/empty/': '' },
  },
  {
    title: 'a file over a file',
    from: '/f',
    to: '/g',
    leaves: { '/g': 'f', '/d/x': 'dx', '/e/y': 'ey', '/empty/': '' },
  },
  {
    title: 'a file into another directory',
    from: '/f',
    to: '/empty/f',
    leaves: { '/g': 'g', '/empty/f': 'f', '/d/x': 'dx', '/e/y': 'ey' },
  },
  { title: 'a file onto itself', from: '/f', to: '/f', leaves: BEFORE },
  { title: 'a file over a directory', from: '/f', to: '/empty', errno: 'EISDIR', leaves: BEFORE },
  { title: 'a directory over a file', from: '/d', to: '/f', errno: 'ENOTDIR', leaves: BEFORE },
  {
    title: 'a directory over a full one',
    from: '/d',
    to: '/e',
    errno: 'ENOTEMPTY',
    leaves: BEFORE,
  },
  {
    title: 'a directory over an empty one',
    from: '/d',
    to: '/empty',
    leaves: { '/f': 'f', '/g': 'g', '/empty/x': 'dx', '/e/y': 'ey' },
  },
  {
    title: 'an empty directory over an empty one',
    from: '/empty',
    to: '/empty2',
    leaves: { '/f': 'f', '/g': 'g', '/d/x': 'dx', '/e/y': 'ey', '/empty2/': '' },
  },
  {
    title: 'a directory to a new name below another',
    from: '/d',
    to: '/e/d',
    leaves: { '/f': 'f', '/g': 'g', '/e/d/x': 'dx', '/e/y': 'ey', '/empty/': '' },
  },
  { title: 'a directory into itself', from: '/d', to: '/d/sub', errno: 'EINVAL', leaves: BEFORE },
  { title: 'a directory onto itself', from: '/d', to: '/d', leaves: BEFORE },
  { title: 'what does not exist', from: '/absent', to: '/new', errno: 'ENOENT', leaves: BEFORE },
  {
    title: 'with NOREPLACE over a file',
    from: '/f',
    to: '/g',
    flags: NOREPLACE,
    errno: 'EEXIST',
    leaves: BEFORE,
  },
  {
    title: 'with NOREPLACE over an empty directory',
    from: '/d',
    to: '/empty',
    flags: NOREPLACE,
    errno: 'EEXIST',
    leaves: BEFORE,
  },
  {
    title: 'with NOREPLACE to a new name',
    from: '/f',
    to: '/new',
    flags: NOREPLACE,
    leaves: { '/new': 'f', '/g': 'g', '/d/x': 'dx', '/e/y': 'ey', '/empty/': '' },
  },
  {
    title: 'with EXCHANGE',
    from: '/f',
    to: '/g',
    flags: EXCHANGE,
    errno: 'EINVAL',
    leaves: BEFORE,
  },
]

/** The way in which what there is before came to be. */
const ORIGINS = ['by another host', 'here and stored', 'here, not stored yet'] as const

for (const origin of ORIGINS) {
  for (const { title, from, to, flags = 0, errno, leaves } of RENAMES) {
    scene(`rename ${title}, made ${origin}`, async ({ t, os, bucket }) => {
      const open = []
      for (const [path, content] of Object.entries(BEFORE)) {
        if (origin === 'by another host') {
          if (path.endsWith('/')) await bucket.makeDirectory(path.slice(0, -1))
          else await bucket.putContent(path, text(content))
          continue
        }
        const directory = path.slice(0, path.lastIndexOf('/'))
        if (directory !== '' && !(await os.exists(directory))) await os.mkdir(directory)
        if (path.endsWith('/')) continue
        const file = await os.open(path, O_RDWR | O_CREAT)
        await file.write(0, text(content))
        if (origin === 'here and stored') await file.close()
        else open.push(file)
      }
      if (errno === undefined) await os.rename(from, to, flags)
      else await fails(t, errno, os.rename(from, to, flags))
      os.fs.checkInvariants()
      for (const file of open) await file.close()
      await os.fs.syncfs(os.context)
      t.same(await keys(bucket), Object.keys(leaves).toSorted())
      for (const [path, content] of Object.entries(leaves)) {
        if (path.endsWith('/')) continue
        t.equal(String(await bucket.getContent(path)), content, path)
        t.equal(String(await os.readFile(path)), content, path)
      }
      if (errno === undefined && from !== to) t.notOk(await os.exists(from))
    })
  }
}

scene(
  'a file that was never stored is stored once, under its new name',
  async ({ t, os, bucket, watch }) => {
    const file = await os.open('/old', O_WRONLY | O_CREAT)
    await file.write(0, text('x'))
    await os.rename('/old', '/new')
    t.equal(watch.count('putContent', 'move'), 0)
    await file.close()
    t.equal(watch.count('putContent'), 1)
    t.same(await keys(bucket), ['/new'])
  },
)

scene('an open file follows its rename', async ({ t, os, bucket }) => {
  const file = await os.open('/old', O_RDWR | O_CREAT)
  await file.write(0, text('first'))
  await file.fsync()
  await os.rename('/old', '/new')
  t.equal(String(await file.read(0, 10)), 'first')
  await file.write(5, text(' second'))
  await file.close()
  t.same(await keys(bucket), ['/new'])
  t.equal(String(await bucket.getContent('/new')), 'first second')
})

scene('files open below a directory follow its rename', async ({ t, os, bucket }) => {
  await os.mkdir('/d')
  await os.writeFile('/d/stored', text('stored'))
  const stored = await os.open('/d/stored', O_RDWR)
  const unsent = await os.open('/d/unsent', O_RDWR | O_CREAT)
  await unsent.write(0, text('unsent'))
  await stored.write(6, text(' and changed'))
  await os.rename('/d', '/e')
  t.equal(String(await stored.read(0, 100)), 'stored and changed')
  t.equal(String(await unsent.read(0, 100)), 'unsent')
  await stored.write(0, text('S'))
  await stored.close()
  await unsent.close()
  t.same(await keys(bucket), ['/e/stored', '/e/unsent'])
  t.equal(String(await bucket.getContent('/e/stored')), 'Stored and changed')
})

scene(
  'what was replaced stays readable for its holders until it is closed',
  async ({ t, os, bucket }) => {
    await os.writeFile('/f', text('new'))
    const replaced = await os.open('/g', O_RDWR | O_CREAT)
    await replaced.write(0, text('replaced'))
    await os.rename('/f', '/g')
    t.equal(String(await replaced.read(0, 100)), 'replaced')
    t.equal((await replaced.stat()).nlink, 0)
    await replaced.close()
    t.equal(String(await bucket.getContent('/g')), 'new')
  },
)

scene(
  'a file that is being stored does not come back over what replaced it',
  async ({ t, os, bucket, watch }) => {
    await os.writeFile('/new', text('new'))
    const replaced = await os.open('/f', O_WRONLY | O_CREAT)
    await replaced.write(0, text('replaced'))
    const held = hold(watch, ({ method, path }) => method === 'putContent' && path === '/f')
    const closing = replaced.close()
    await held.reached
    const renaming = os.rename('/new', '/f')
    await turns()
    held.release()
    await Promise.all([closing, renaming])
    t.equal(String(await bucket.getContent('/f')), 'new')
    t.equal(String(await os.readFile('/f')), 'new')
  },
)

scene(
  'a name that was replaced unsent shows nothing of what it covered',
  async ({ t, os, bucket }) => {
    await bucket.putContent('/d/f', text('old'))
    const file = await os.open('/new', O_WRONLY | O_CREAT)
    await os.rename('/new', '/d/f')
    await os.rename('/d/f', '/elsewhere')
    t.notOk(await os.exists('/d/f'))
    await file.close()
    await os.fs.syncfs(os.context)
    t.same(await keys(bucket), ['/d/', '/elsewhere'], 'and its directory stays')
  },
)

scene('a failed move leaves everything as it was', async ({ t, os, bucket, watch }) => {
  await os.writeFile('/f', text('f'))
  watch.before = ({ method }) => {
    if (method === 'move') throw new Error('no')
  }
  await fails(t, 'EIO', os.rename('/f', '/g'))
  watch.before = () => undefined
  t.equal(String(await os.readFile('/f')), 'f')
  t.notOk(await os.exists('/g'))
  await os.rename('/f', '/g')
  t.equal(String(await bucket.getContent('/g')), 'f')
})

scene(
  'a lookup that crosses the rename of a directory above does not lose the file',
  async ({ t, os, bucket, watch }) => {
    await bucket.putContent('/d/sub/f', text('first'))
    const file = await os.open('/d/sub/f', O_RDWR)
    const sub = await os.lookup('/d/sub')
    for (const when of ['before', 'after'] as const) {
      const [from, to] = when === 'before' ? ['/d', '/e'] : ['/e', '/d']
      const held = hold(watch, ({ method, path }) => method === 'stat' && path === `${from}/sub/f`)
      const looking = os.fs.lookup(os.context, sub.ino, 'f')
      await held.reached
      if (when === 'before') {
        // Answered after the rename is over.
        await os.rename(from, to)
        held.release()
      } else {
        // Answered when the store has moved everything and the mount has not heard of it.
        const moving = hold(watch, ({ method }) => method === 'move', 'after')
        const renaming = os.rename(from, to)
        await moving.reached
        held.release()
        await turns()
        moving.release()
        await renaming
      }
      const found = await looking
      t.ok(found.ino !== undefined, `found when the answer came ${when}`)
      if (found.ino !== undefined) os.fs.forget(found.ino, 1)
      t.equal((await file.stat()).nlink, 1)
    }
    os.fs.forget(sub.ino, 1)
    await file.write(0, text('FIRST'))
    await file.close()
    t.equal(String(await bucket.getContent('/d/sub/f')), 'FIRST')
  },
  { config: { metadataTtl: 0 } },
)

scene(
  'a file found before its directory was renamed is read although the copy has another etag',
  async ({ t, os, bucket, watch }) => {
    const content = Buffer.alloc(2 * MiB, 'x')
    await bucket.putContent('/d/f', content)
    watch.after = async ({ method }) => {
      if (method !== 'move') return
      // In parts, as a store copies what is large: its etag is not the MD5 of the content.
      const copy = await bucket.compose('/e/f')
      const parts = [
        await copy.uploadPart(1, [content.subarray(0, MiB)]),
        await copy.uploadPart(2, [content.subarray(MiB)]),
      ]
      await copy.complete(parts)
    }
    const { ino } = await os.lookup('/d/f')
    await os.rename('/d', '/e')
    const { fh } = await os.fs.open(os.context, ino, 0)
    const slices = await os.fs.read(os.context, ino, fh, MiB, 3)
    t.equal(String(Buffer.concat(slices)), 'xxx')
    await os.fs.release(os.context, ino, fh)
    os.fs.forget(ino, 1)
  },
  { config: { metadataTtl: 0 } },
)
