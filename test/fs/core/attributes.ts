import t from 'tap'
import { attributesOf, timestamp } from '../../../src/fs/core/attributes.js'
import { InodeTable } from '../../../src/fs/core/inode-table.js'
import { fails, scene, text } from '../../helpers/core-scene.js'
import { O_CREAT, O_RDWR } from '../../helpers/core-os.js'

const DEFAULTS = { uid: 7, gid: 8, fileMode: 0o640, directoryMode: 0o750 }

void t.test('times are cut into seconds and nanoseconds', t => {
  t.same(timestamp(0), { seconds: 0, nanoseconds: 0 })
  t.same(timestamp(1500.25), { seconds: 1, nanoseconds: 500_250_000 })
  t.same(timestamp(-1), { seconds: -1, nanoseconds: 999_000_000 })
  for (const time of [1_999.999_999_9, 999.999_999_99, 1_700_000_000_123.9998]) {
    const { nanoseconds } = timestamp(time)
    t.ok(nanoseconds >= 0 && nanoseconds < 1e9, `${nanoseconds} of ${time}`)
  }
  t.end()
})

void t.test('what nobody has set comes from the mount and the object', t => {
  const inodes = new InodeTable(() => 5000)
  const file = inodes.addFile(inodes.root, 'f')
  const modTime = new Date(9000)
  file.version = { path: '/f', size: 1025, isDir: false, etag: 'e', modTime }
  t.match(attributesOf(file, DEFAULTS), {
    ino: file.number,
    size: 1025,
    blocks: 3,
    mode: 0o100640,
    uid: 7,
    gid: 8,
    nlink: 1,
    mtime: { seconds: 9, nanoseconds: 0 },
    ctime: { seconds: 9, nanoseconds: 0 },
  })
  const directory = inodes.addDirectory(inodes.root, 'd')
  t.match(attributesOf(directory, DEFAULTS), {
    size: 4096,
    mode: 0o040750,
    nlink: 1,
    mtime: { seconds: 5, nanoseconds: 0 },
  })
  inodes.unlink(file)
  t.equal(attributesOf(file, DEFAULTS).nlink, 0)
  t.equal(attributesOf(inodes.root, DEFAULTS).nlink, 1)
  t.end()
})

scene('what a program sets holds while the inode lives', async ({ t, os }) => {
  const { context, fs } = os
  const file = await os.open('/f', O_RDWR | O_CREAT)
  const { ino } = await os.lookup('/f')
  await fs.setattr(context, ino, { mode: 0o100600, uid: 5, gid: 6 })
  await fs.setattr(context, ino, { mtime: { seconds: 12, nanoseconds: 34 }, atime: 'now' })
  t.match(await file.stat(), {
    mode: 0o100600,
    uid: 5,
    gid: 6,
    mtime: { seconds: 12, nanoseconds: 34 },
  })
  await file.fsync()
  t.match(await file.stat(), { mode: 0o100600, mtime: { seconds: 12 } }, 'stored or not')
  await file.write(0, text('later'))
  const { mtime } = await file.stat()
  t.ok(mtime.seconds > 12, 'a write changes the time of modification')
  await file.close()
  t.equal((await os.stat('/f')).mode, 0o100600, 'still remembered')
  fs.forget(ino, 1)
  t.equal((await os.stat('/f')).mode, 0o100644, 'forgotten')
})

scene(
  'that attributes are not stored is said once',
  async ({ t, os }) => {
    await os.mkdir('/d')
    const { ino } = await os.lookup('/d')
    await os.fs.setattr(os.context, ino, { mode: 0o700 })
    await os.fs.setattr(os.context, ino, { uid: 3 })
    t.equal((await os.stat('/d')).mode, 0o040700)
    t.equal(messages.filter(message => message.includes('not stored')).length, 1)
    os.fs.forget(ino, 1)
  },
  {
    log: {
      debug: () => undefined,
      info: (_, message) => void messages.push(message),
      warn: () => undefined,
      error: () => undefined,
    },
  },
)
const messages: string[] = []

scene('what makes a file owns it', async ({ t, os }) => {
  const context = { ...os.context, uid: 1000, gid: 100 }
  const request = { name: 'f', mode: 0o600, umask: 0, flags: O_RDWR | O_CREAT }
  const root = await os.lookup('/')
  const made = await os.fs.create(context, root.ino, request)
  t.match(made.attributes, { uid: 1000, gid: 100, mode: 0o100600 })
  await os.fs.flush(context, made.ino, made.fh)
  await os.fs.release(context, made.ino, made.fh)
  os.fs.forget(made.ino, 1)
})

scene('there are no links and no device nodes with derived attributes', async ({ t, os }) => {
  const { context, fs } = os
  const { ino } = await os.lookup('/')
  await fails(t, 'EPERM', Promise.resolve(fs.symlink(context, ino, 'l', 'target')))
  t.throws(() => fs.link(), { code: 'EPERM' })
  const fifo = { name: 'p', mode: 0o010644, umask: 0, rdev: 0 }
  await fails(t, 'EPERM', Promise.resolve(fs.mknod(context, ino, fifo)))
  const file = await fs.mknod(context, ino, { ...fifo, name: 'f', mode: 0o100644 })
  t.equal(file.attributes.size, 0)
  fs.forget(file.ino, 1)
  t.equal(String(await os.readFile('/f')), '', 'but a regular file can be made that way')
})

scene('statfs has room', async ({ t, os }) => {
  const { blocks, blocksFree, nameLength } = os.fs.statfs()
  t.ok(blocksFree > 0 && blocksFree <= blocks)
  t.equal(nameLength, 255)
})
