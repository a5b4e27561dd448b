/**
 * The examples of docs/SEMANTICS.md, each as a test of the same sentence, on the core over the memory
 * driver, which shows what is in the bucket. A sentence without a test fails, and so does a test
 * without its sentence.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { StorageDriver } from '../../src/driver/driver.js'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import { MiB } from '../../src/util/units.js'
import { createCore } from '../helpers/core.js'
import { CoreOs, O_CREAT, O_DSYNC, O_EXCL, O_RDONLY, O_RDWR, O_WRONLY } from '../helpers/core-os.js'
import { projectPath } from '../helpers/project.js'
import { StillTime } from '../helpers/still-time.js'
import { hold, watched } from '../helpers/watched-driver.js'

interface Scene {
  readonly t: Test
  /** What is really in the bucket. */
  readonly bucket: StorageDriver
  /** Of the mounts, after which their delayed work is done. */
  readonly time: StillTime
  /** A mount of the bucket. */
  readonly os: CoreOs
  /** Another mount of the same bucket. */
  readonly other: CoreOs
  /** Two mounts of the same bucket with stored attributes. */
  readonly stored: readonly [CoreOs, CoreOs]
}

const text = (content: string): Buffer => Buffer.from(content)

async function xattr(os: CoreOs, path: string, name: string): Promise<string> {
  const { ino } = await os.lookup(path)
  try {
    return String(Buffer.from(await os.fs.getxattr(os.context, ino, name)))
  } finally {
    os.fs.forget(ino, 1)
  }
}

/** What `bosmount sync` asks for. */
async function sync({ fs, context }: CoreOs): Promise<void> {
  await fs.syncfs(context)
}

const EXAMPLES: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  'Closing a descriptor that only reads stores nothing.': async ({ t, bucket, os }) => {
    const writer = await os.open('/file', O_WRONLY | O_CREAT)
    await writer.write(0, text('unfinished'))
    const reader = await os.open('/file', O_RDONLY)
    t.equal(String(await reader.read(0, 100)), 'unfinished')
    await reader.close()
    t.same(await bucket.list('/'), [])
    await writer.close()
    t.equal(String(await bucket.getContent('/file')), 'unfinished')
  },
  'A file is not in the bucket before it is closed, and is there, whole, when `close()` has returned.':
    async ({ t, bucket, os }) => {
      const file = await os.open('/file', O_WRONLY | O_CREAT)
      const content = Buffer.alloc(3.5 * MiB, 'x')
      await file.write(0, content)
      t.same(await bucket.list('/'), [])
      await file.close()
      t.ok((await bucket.getContent('/file')).equals(content))
    },
  'After `fsync()` the bucket has what was written so far, and the descriptor goes on.': async ({
    t,
    bucket,
    os,
  }) => {
    const file = await os.open('/file', O_WRONLY | O_CREAT)
    await file.write(0, text('first'))
    await file.fsync()
    t.equal(String(await bucket.getContent('/file')), 'first')
    await file.write(5, text(', second'))
    await file.close()
    t.equal(String(await bucket.getContent('/file')), 'first, second')
  },
  'A hole that is punched reads as zeros, and the file keeps its size.': async ({ t, os }) => {
    await os.writeFile('/file', text('0123456789'))
    const file = await os.open('/file', O_RDWR)
    // FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
    await file.allocate(3, 2, 3)
    await file.close()
    t.equal(String(await os.readFile('/file')), `01${'\0'.repeat(3)}56789`)
  },
  'A copy made with `copy_file_range` is what the source was, though the source is removed before the copy is closed.':
    async ({ t, bucket, os }) => {
      const content = Buffer.alloc(2 * MiB, 'content')
      await os.writeFile('/source', content)
      const source = await os.open('/source', O_RDONLY)
      const copy = await os.open('/copy', O_WRONLY | O_CREAT)
      await source.copyTo(copy, 0, 0, content.length)
      await source.close()
      await os.unlink('/source')
      await copy.close()
      t.ok((await bucket.getContent('/copy')).equals(content))
    },
  'With `O_DSYNC` the bucket has the bytes when `write()` returns.': async ({ t, bucket, os }) => {
    const file = await os.open('/file', O_WRONLY | O_CREAT | O_DSYNC)
    await file.write(0, text('at once'))
    t.equal(String(await bucket.getContent('/file')), 'at once')
    await file.close()
  },
  'An upload that fails is told to each descriptor once, and a later `fsync()` stores everything.':
    async ({ t, bucket, os }) => {
      const file = await os.open('/taken', O_WRONLY | O_CREAT)
      const other = await os.open('/taken', O_WRONLY)
      await file.write(0, text('bytes'))
      const put = bucket.putContent.bind(bucket)
      bucket.putContent = async () => {
        throw new Error('BOS is away')
      }
      await t.rejects(file.fsync(), { code: 'EIO' })
      await t.rejects(other.write(5, text('!')), { code: 'EIO' })
      await other.write(5, text('!'))
      bucket.putContent = put
      await file.fsync()
      t.equal(String(await bucket.getContent('/taken')), 'bytes!')
      await file.close()
      await other.close()
    },
  'Overwriting four bytes in the middle of a stored file changes those bytes and no others.':
    async ({ t, bucket, os }) => {
      const content = Buffer.alloc(5 * MiB, 'abcdefg')
      await os.writeFile('/file', content)
      const file = await os.open('/file', O_RDWR)
      await file.write(2 * MiB + 7, text('1234'))
      await file.close()
      content.write('1234', 2 * MiB + 7)
      t.ok((await bucket.getContent('/file')).equals(content))
      t.ok((await os.readFile('/file')).equals(content))
    },
  'A file that grows by `truncate` reads as zeros where nothing was written.': async ({
    t,
    bucket,
    os,
  }) => {
    await os.writeFile('/file', text('data'))
    await os.truncate('/file', 8)
    t.equal(String(await os.readFile('/file')), 'data\0\0\0\0')
    t.equal(String(await bucket.getContent('/file')), 'data\0\0\0\0')
  },
  'What one mount closes, another mount reads when it opens it afterwards.': async ({
    t,
    os,
    other,
  }) => {
    await os.writeFile('/file', text('old'))
    t.equal(String(await other.readFile('/file')), 'old')
    await sleep(30)
    await os.writeFile('/file', text('new and longer'))
    await sleep(30)
    t.equal(String(await other.readFile('/file')), 'new and longer')
  },
  'A descriptor whose file was replaced by another mount fails with ESTALE instead of mixing two versions.':
    async ({ t, os, other }) => {
      const old = Buffer.alloc(3 * MiB, 'o')
      await os.writeFile('/file', old)
      const file = await other.open('/file', O_RDONLY)
      t.ok((await file.read(0, MiB)).equals(old.subarray(0, MiB)))
      await os.writeFile('/file', Buffer.alloc(3 * MiB, 'n'))
      await sleep(30)
      await t.resolves(other.readFile('/file'), 'who opens it now gets the new version')
      await t.rejects(file.read(2 * MiB, MiB), { code: 'ESTALE' })
      await file.close()
    },
  'A directory made with `mkdir` that stays empty has its marker in the bucket after `fsync`.':
    async ({ t, bucket, os }) => {
      await os.mkdir('/empty')
      t.same(await bucket.list('/'), [])
      await os.fsyncDirectory('/empty')
      t.same(await bucket.list('/'), ['/empty'])
    },
  '`bosmount sync` stores empty directories and what is open.': async ({ t, bucket, os }) => {
    await os.mkdir('/empty')
    const file = await os.open('/file', O_WRONLY | O_CREAT)
    await file.write(0, text('content'))
    t.same(await bucket.list('/'), [])
    await sync(os)
    t.ok((await bucket.stat('/empty')).isDir)
    t.equal(String(await bucket.getContent('/file')), 'content')
    await file.close()
  },
  'Unmounting stores what is still open, and directories that stay empty.': async ({
    t,
    bucket,
    os,
  }) => {
    await os.mkdir('/empty')
    const file = await os.open('/file', O_WRONLY | O_CREAT)
    await file.write(0, text('content'))
    await os.fs.destroy()
    t.ok((await bucket.stat('/empty')).isDir)
    t.equal(String(await bucket.getContent('/file')), 'content')
    await file.close()
  },
  'Unmounting names what could not be stored.': async ({ t, bucket }) => {
    const watch = watched(bucket)
    const os = new CoreOs(createCore(watch.driver))
    const file = await os.open('/file', O_WRONLY | O_CREAT)
    await file.write(0, text('content'))
    watch.before = () => Promise.reject(new Error('no answer'))
    await t.rejects(os.fs.destroy(), /\/file/)
    await file.close()
  },
  'An `unlink()` that is interrupted while BOS hangs ends with EINTR, and succeeds when it is called again.':
    async ({ t, bucket }) => {
      await bucket.putContent('/file', text('content'))
      const watch = watched(bucket)
      const os = new CoreOs(createCore(watch.driver))
      const held = hold(watch, ({ method }) => method === 'deleteFile')
      const stop = new AbortController()
      const unlinking = new CoreOs(os.fs, stop.signal).unlink('/file')
      await held.reached
      stop.abort()
      await t.rejects(unlinking, { code: 'EINTR' })
      const again = os.unlink('/file')
      held.release()
      await again
      t.same(await bucket.list('/'), [])
      await os.fs.destroy()
    },
  'A file keeps its inode number when it is renamed, and when its content is stored anew.': async ({
    t,
    os,
  }) => {
    await os.writeFile('/file', text('one'))
    const { ino } = await os.lookup('/file')
    const { ino: number } = await os.stat('/file')
    await os.writeFile('/file', text('two'))
    t.equal((await os.stat('/file')).ino, number)
    await os.rename('/file', '/renamed')
    t.equal((await os.stat('/renamed')).ino, number)
    os.fs.forget(ino, 1)
  },
  'A deep chain of directories with a file at its end costs one object.': async ({
    t,
    bucket,
    os,
    time,
  }) => {
    for (const path of ['/a', '/a/b', '/a/b/c']) await os.mkdir(path)
    await os.writeFile('/a/b/c/file', text('x'))
    await time.pass(100)
    await bucket.deleteFile('/a/b/c/file')
    t.same(await bucket.list('/'), [], 'nothing but the file was there')
  },
  'A directory stays when its last child is removed.': async ({ t, bucket, os }) => {
    await bucket.putContent('/foreign/file', text('x'))
    await os.unlink('/foreign/file')
    t.same(await os.readdir('/'), ['foreign'])
    await os.fsyncDirectory('/foreign')
    t.same(await bucket.list('/'), ['/foreign'])
  },
  'Of two mounts that create one file with O_EXCL, the second to close it gets EEXIST and the file of the first stays.':
    async ({ t, bucket, os, other }) => {
      const first = await os.open('/file', O_WRONLY | O_CREAT | O_EXCL)
      const second = await other.open('/file', O_WRONLY | O_CREAT | O_EXCL)
      await first.write(0, text('first'))
      await first.close()
      await t.rejects(second.close(), { code: 'EEXIST' })
      t.equal(String(await bucket.getContent('/file')), 'first')
    },
  'With `exclusive-create=open` the second to open it gets EEXIST.': async ({ t, bucket }) => {
    const config = { exclusiveCreate: 'open' as const, metadataTtl: 600_000 }
    const [os, other] = [bucket, bucket].map(each => new CoreOs(createCore(each, { config })))
    if (os === undefined || other === undefined) return
    await other.readdir('/')
    const first = await os.open('/lock', O_WRONLY | O_CREAT | O_EXCL)
    await t.rejects(other.open('/lock', O_WRONLY | O_CREAT | O_EXCL), { code: 'EEXIST' })
    await first.close()
    for (const { fs } of [os, other]) await fs.destroy()
  },
  'A file that is unlinked alone is gone from the bucket when `unlink()` returns.': async ({
    t,
    bucket,
    os,
  }) => {
    await os.writeFile('/file', text('x'))
    await os.unlink('/file')
    t.same(await bucket.list('/'), [])
  },
  'Files that are removed in bulk are gone from the mount at once, and from the bucket after `fsync` of their directory.':
    async ({ t, bucket, os }) => {
      for (let i = 0; i < 20; i += 1) await bucket.putContent(`/d/${i}`, text('x'))
      for (let i = 0; i < 20; i += 1) await os.unlink(`/d/${i}`)
      t.same(await os.readdir('/d'), [])
      await os.fsyncDirectory('/d')
      t.same(await bucket.list('/d'), [])
    },
  'Renaming a file that was never stored stores it once, under its new name.': async ({
    t,
    bucket,
    os,
  }) => {
    const file = await os.open('/temporary', O_WRONLY | O_CREAT)
    await file.write(0, text('content'))
    await os.rename('/temporary', '/final')
    t.same(await bucket.list('/'), [])
    await file.close()
    t.same(await bucket.list('/'), ['/final'])
    t.equal(String(await os.readFile('/final')), 'content')
  },
  'Who has a file open reads and writes on after it was unlinked, and nothing is left of it when it is closed.':
    async ({ t, bucket, os }) => {
      await os.writeFile('/file', text('stored'))
      const file = await os.open('/file', O_RDWR)
      await os.unlink('/file')
      t.same(await bucket.list('/'), [])
      t.equal(String(await file.read(0, 100)), 'stored')
      await file.write(6, text(', more'))
      t.equal(String(await file.read(0, 100)), 'stored, more')
      await file.close()
      t.notOk(await os.exists('/file'))
      t.same(await bucket.list('/'), [])
    },
  'A file that is removed while it is open can be read to its end.': async ({ t, bucket, os }) => {
    const content = Buffer.alloc(3 * MiB, 'content')
    await os.writeFile('/file', content)
    const file = await os.open('/file', O_RDONLY)
    t.ok((await file.read(0, 1000)).equals(content.subarray(0, 1000)))
    await os.unlink('/file')
    t.same(await bucket.list('/'), [], 'the name is gone')
    for (let offset = 0; offset < content.length; offset += MiB) {
      t.ok((await file.read(offset, MiB)).equals(content.subarray(offset, offset + MiB)))
    }
    t.equal((await file.read(content.length, 1)).length, 0)
    await file.close()
  },
  'Who has a file open keeps its old content when a rename replaces it.': async ({
    t,
    bucket,
    os,
  }) => {
    await os.writeFile('/old', text('old'))
    await os.writeFile('/new', text('new'))
    const file = await os.open('/old', O_RDONLY)
    await os.rename('/new', '/old')
    t.equal(String(await file.read(0, 100)), 'old')
    t.equal(String(await bucket.getContent('/old')), 'new')
    await file.close()
  },
  'Renaming over an existing file replaces it.': async ({ t, bucket, os }) => {
    await os.writeFile('/old', text('old'))
    await os.writeFile('/new', text('new'))
    await os.rename('/new', '/old')
    t.same(await bucket.list('/'), ['/old'])
    t.equal(String(await bucket.getContent('/old')), 'new')
  },
  'With stored attributes, mode, owner, time and extended attributes are there on another mount.':
    async ({ t, stored }) => {
      const [os, other] = stored
      await os.writeFile('/file', text('x'))
      const { ino } = await os.lookup('/file')
      const mtime = { seconds: 1_000_000_000, nanoseconds: 5 }
      await os.fs.setattr(os.context, ino, { mode: 0o640, uid: 7, gid: 8, mtime })
      await os.fs.setxattr(os.context, ino, { name: 'user.a', value: text('b'), flags: 0 })
      os.fs.forget(ino, 1)
      await os.fs.syncfs(os.context)
      t.match(await other.stat('/file'), { mode: 0o100640, uid: 7, gid: 8, mtime })
      t.equal(await xattr(other, '/file', 'user.a'), 'b')
    },
  'With stored attributes, what is set before a file is closed is stored by the same request as the file.':
    async ({ t, bucket, stored: [os] }) => {
      const file = await os.open('/file', O_WRONLY | O_CREAT)
      await file.write(0, text('x'))
      const { ino } = await os.lookup('/file')
      await os.fs.setattr(os.context, ino, { mode: 0o600, uid: 7 })
      os.fs.forget(ino, 1)
      await file.close()
      const { metadata, modTime } = await bucket.stat('/file')
      t.match(metadata, { 'bosfs-mode': String(0o100600), 'bosfs-uid': '7' })
      await os.fs.syncfs(os.context)
      t.same((await bucket.stat('/file')).modTime, modTime, 'and by no other')
    },
  'With stored attributes, what is set after a file was closed is stored along with its rename.':
    async ({ t, bucket, stored: [os] }) => {
      await os.writeFile('/temporary', text('x'))
      const { ino } = await os.lookup('/temporary')
      await os.fs.setattr(os.context, ino, { mode: 0o600 })
      os.fs.forget(ino, 1)
      t.match((await bucket.stat('/temporary')).metadata, { 'bosfs-mode': String(0o100644) })
      await os.rename('/temporary', '/file')
      t.match((await bucket.stat('/file')).metadata, { 'bosfs-mode': String(0o100600) })
    },
  'With stored attributes, a symbolic link is there on another mount, its target unchanged.':
    async ({ t, stored: [os, other] }) => {
      const root = await os.lookup('/')
      const made = await os.fs.symlink(os.context, root.ino, 'link', '../no such/target')
      os.fs.forget(made.ino, 1)
      const { ino } = await other.lookup('/link')
      t.equal(await other.fs.readlink(other.context, ino), '../no such/target')
      other.fs.forget(ino, 1)
    },
  'With derived attributes, what is set holds while the file is known, and nothing of it is stored.':
    async ({ t, bucket, os }) => {
      await os.writeFile('/file', text('x'))
      const { ino } = await os.lookup('/file')
      await os.fs.setattr(os.context, ino, { mode: 0o600 })
      t.equal((await os.stat('/file')).mode, 0o100600)
      await os.fs.syncfs(os.context)
      t.same((await bucket.stat('/file')).metadata, {})
      os.fs.forget(ino, 1)
      t.equal((await os.stat('/file')).mode, 0o100644)
    },
  'The etag and the key of a file can be read as extended attributes, and are not listed.': async ({
    t,
    bucket,
    os,
  }) => {
    await os.writeFile('/file', text('x'))
    t.equal(await xattr(os, '/file', 'user.bos.etag'), (await bucket.stat('/file')).etag)
    t.equal(await xattr(os, '/file', 'user.bos.key'), 'file')
    const { ino } = await os.lookup('/file')
    t.same(os.fs.listxattr(os.context, ino), [])
    os.fs.forget(ino, 1)
  },
  'With derived attributes, an extended attribute is refused rather than forgotten.': async ({
    t,
    os,
  }) => {
    await os.writeFile('/file', text('x'))
    const { ino } = await os.lookup('/file')
    const request = { name: 'user.a', value: text('b'), flags: 0 }
    t.throws(() => void os.fs.setxattr(os.context, ino, request), { code: 'EOPNOTSUPP' })
    os.fs.forget(ino, 1)
  },
}

/** The sentences below each line `**Examples**`, with the line breaks inside them undone. */
function documented(): string[] {
  const document = readFileSync(projectPath('docs/SEMANTICS.md'), 'utf8')
  return document
    .split('**Examples**\n')
    .slice(1)
    .flatMap(section => (section.split(/\n\n|\n#/)[0] ?? '').split(/^\* /m).slice(1))
    .map(sentence => sentence.replaceAll(/\s+/g, ' ').trim())
}

void t.test('each example of the document is a test, and each test is in the document', async t => {
  t.same(documented().toSorted(), Object.keys(EXAMPLES).toSorted())
})

for (const [sentence, example] of Object.entries(EXAMPLES)) {
  void t.test(sentence, async t => {
    const bucket = createMemoryDriver({ partSize: MiB, minPartSize: MiB })
    const kept = { config: { attributes: 'stored', markerDelay: 10_000 } } as const
    const stored = [
      new CoreOs(createCore(bucket, kept)),
      new CoreOs(createCore(bucket, kept)),
    ] as const
    const time = new StillTime()
    const { later } = time
    const mounts = [createCore(bucket, { later }), createCore(bucket, { later })] as const
    const [os, other] = [new CoreOs(mounts[0]), new CoreOs(mounts[1])]
    await example({ t, bucket, time, os, other, stored })
    for (const mount of [...mounts, ...stored.map(({ fs }) => fs)]) {
      mount.checkInvariants()
      await mount.destroy()
    }
  })
}
