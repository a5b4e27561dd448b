/** Open files: reading, writing and closing, on one mount and between two. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { StorageDriver } from '../../../src/driver/driver.js'
import type { FileSystem } from '../../../src/fs/core/filesystem.js'
import type { Ino } from '../../../src/fs/operations.js'
import { KiB, MiB } from '../../../src/util/units.js'
import {
  CoreOs,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
} from '../../helpers/core-os.js'
import { fails, keys, scene, text, turns } from '../../helpers/core-scene.js'
import { seededBytes } from '../../helpers/oci-image.js'
import { hold } from '../../helpers/watched-driver.js'

async function content(bucket: StorageDriver, path: string): Promise<string> {
  return String(await bucket.getContent(path))
}

/** What was seen for a lookup serves the open that follows it, for 20 ms. */
function sameOpenIsOver(): Promise<void> {
  return sleep(25)
}

/** The sum of all lookups that the kernel would still remember. */
function lookups(fs: FileSystem): number {
  return fs.counts.lookups
}

scene('what is written is read back before and after it is stored', async ({ t, os, bucket }) => {
  const file = await os.open('/f', O_RDWR | O_CREAT)
  await file.write(0, text('hello'))
  t.equal(String(await file.read(0, 100)), 'hello')
  t.equal((await file.stat()).size, 5)
  t.equal((await os.stat('/f')).size, 5, 'by its name as well')
  t.same(await keys(bucket), [])
  await file.fsync()
  t.equal(await content(bucket, '/f'), 'hello')
  t.equal(String(await file.read(1, 3)), 'ell')
  await file.write(5, text(' world'))
  await file.close()
  t.equal(await content(bucket, '/f'), 'hello world')
  t.equal(lookups(os.fs), 0)
})

scene('a file closed without a byte is stored empty', async ({ t, os, bucket }) => {
  const file = await os.open('/f', O_WRONLY | O_CREAT)
  await file.close()
  t.equal(await content(bucket, '/f'), '')
})

scene('closing what was not written asks for nothing', async ({ t, os, bucket, watch }) => {
  await bucket.putContent('/f', text('x'))
  const file = await os.open('/f', O_RDWR)
  watch.requests.length = 0
  await file.fsync()
  await file.close()
  t.equal(watch.count(), 0)
})

scene('what was just written and closed is read back without a request', async s => {
  const { t, os, bucket, watch } = s
  await os.writeFile('/f', text('one'))
  await os.writeFile('/f', text('other'))
  const file = await os.open('/f', O_RDONLY)
  watch.requests.length = 0
  t.equal(String(await file.read(0, 10)), 'other')
  t.equal(watch.count(), 0)
  await file.close()
  await bucket.putContent('/f', text('third'))
  await sameOpenIsOver()
  const again = await os.open('/f', O_RDONLY)
  t.equal(
    String(await again.read(0, 10)),
    'third',
    'but not instead of what another host has stored',
  )
  await again.close()
})

scene('a small file is looked up by a listing, and opened by reading it', async s => {
  const { t, os, bucket, watch } = s
  await bucket.putContent('/f', text('x'))
  const file = await os.open('/f', O_RDONLY)
  const methods = (): string[] => watch.requests.map(({ method }) => method)
  t.same(methods(), ['entriesBelow', 'readInto'])
  await file.read(0, 1)
  await file.read(0, 1)
  t.equal(watch.count(), 2, 'and then it is there')
  await file.close()
})

scene('what is written or opened for that is opened by asking for its version', async s => {
  const { t, os, bucket, watch } = s
  await bucket.putContent('/f', text('x'))
  await os.exists('/f')
  watch.requests.length = 0
  const file = await os.open('/f', O_RDWR)
  await file.close()
  t.same(
    watch.requests.map(({ method }) => method),
    ['stat'],
  )
})

scene('a file of up to 256 KiB comes whole with the request that opens it', async s => {
  const { t, os, bucket, watch } = s
  const bytes = seededBytes('whole', 256 * KiB)
  await bucket.putContent('/f', bytes)
  await os.exists('/f')
  watch.requests.length = 0
  const file = await os.open('/f', O_RDONLY)
  t.ok(bytes.equals(await file.read(0, 1_000_000)))
  t.same(
    watch.requests.map(({ method }) => method),
    ['readInto'],
  )
  await file.close()
})

scene('a large file is opened by reading its first block, and no more than that', async s => {
  const { t, os, bucket, watch } = s
  const bytes = seededBytes('large', 256 * KiB + 1)
  await bucket.putContent('/f', bytes)
  await os.exists('/f')
  watch.requests.length = 0
  const file = await os.open('/f', O_RDONLY)
  t.same(
    watch.requests.map(({ method }) => method),
    ['readInto'],
  )
  t.equal(os.fs.gauges['cacheBytes'], 128 * KiB)
  t.ok(bytes.subarray(0, 100_000).equals(await file.read(0, 100_000)))
  t.ok(bytes.equals(await file.read(0, 1_000_000)))
  await file.close()
  watch.requests.length = 0
  const again = await os.open('/f', O_RDONLY)
  await again.close()
  t.equal(watch.count('readInto'), 0, 'of what is cached only the version is asked for')
})

scene('a small file that was replaced or removed elsewhere is so for who opens it', async s => {
  const { t, os, bucket } = s
  for (const path of ['/f', '/g']) {
    await bucket.putContent(path, text('before'))
    await os.exists(path)
  }
  await bucket.putContent('/f', text('behind it'))
  const file = await os.open('/f', O_RDONLY)
  t.same(Buffer.from(await file.read(0, 100)).toString(), 'behind it')
  await file.close()
  await bucket.delete('/g')
  await fails(t, 'ENOENT', os.open('/g', O_RDONLY))
})

const BLOB = `/blobs/sha256/ab/ab${'0'.repeat(62)}/data`

scene('a file whose name tells its content is opened without a request', async s => {
  const { t, os, bucket, watch } = s
  await bucket.putContent(BLOB, text('content'))
  const file = await os.open(BLOB, O_RDONLY)
  t.equal(watch.count('stat'), 0)
  await bucket.putContent(BLOB, text('CONTENT'))
  watch.requests.length = 0
  t.equal(
    String(await file.read(0, 7)),
    'CONTENT',
    'and stored again elsewhere it is the same file',
  )
  t.same(
    watch.requests.map(({ method }) => method),
    ['readInto', 'stat', 'readInto'],
  )
  await file.close()
  const writer = await os.open(BLOB, O_RDWR)
  t.equal(watch.count('stat'), 2, 'who opens it for writing asks')
  await writer.close()
})

scene('but one of another size is another file', async ({ t, os, bucket }) => {
  await bucket.putContent(BLOB, text('content'))
  const file = await os.open(BLOB, O_RDONLY)
  await bucket.putContent(BLOB, text('longer content'))
  await fails(t, 'ESTALE', file.read(0, 7))
  await file.close()
})

scene('a handle reads or writes as it was opened', async ({ t, os }) => {
  await os.writeFile('/f', text('x'))
  const reader = await os.open('/f', O_RDONLY)
  await fails(t, 'EBADF', reader.write(0, text('y')))
  await reader.close()
  const writer = await os.open('/f', O_WRONLY)
  await fails(t, 'EBADF', writer.read(0, 1))
  await writer.close()
  await fails(t, 'EBADF', writer.write(0, text('y')), 'and not at all once it is closed')
})

scene('O_TRUNC empties the file, O_EXCL refuses it', async ({ t, os, bucket }) => {
  await os.writeFile('/f', text('old content'))
  const file = await os.open('/f', O_WRONLY | O_TRUNC)
  t.equal((await file.stat()).size, 0)
  t.equal(await content(bucket, '/f'), 'old content', 'in the bucket not before it is closed')
  await file.write(0, text('new'))
  await file.close()
  t.equal(await content(bucket, '/f'), 'new')
  const emptied = await os.open('/f', O_WRONLY | O_TRUNC)
  await emptied.close()
  t.equal(await content(bucket, '/f'), '')
  await fails(t, 'EEXIST', os.open('/f', O_WRONLY | O_CREAT | O_EXCL))
  const root = await os.lookup('/')
  const request = { name: 'f', mode: 0o644, umask: 0, flags: O_WRONLY | O_CREAT | O_EXCL }
  await fails(
    t,
    'EEXIST',
    (async () => os.fs.create(os.context, root.ino, request))(),
    'when it was made between lookup and create',
  )
  const made = await os.fs.create(os.context, root.ino, { ...request, flags: O_WRONLY | O_CREAT })
  t.ok(made.fh > 0, 'without O_EXCL it is opened')
  await os.fs.release(os.context, made.ino, made.fh)
  os.fs.forget(made.ino, 1)
})

scene('truncate by path is stored before it returns', async ({ t, os, bucket }) => {
  await os.writeFile('/f', text('hello world'))
  await os.truncate('/f', 5)
  t.equal(await content(bucket, '/f'), 'hello')
  await os.truncate('/f', 8)
  t.equal(await content(bucket, '/f'), 'hello\0\0\0')
  await os.truncate('/f', 0)
  t.equal(await content(bucket, '/f'), '')
})

scene(
  'truncate by path while the file is open goes through the same bytes',
  async ({ t, os, bucket }) => {
    const file = await os.open('/f', O_RDWR | O_CREAT)
    await file.write(0, text('hello world'))
    await os.truncate('/f', 5)
    t.equal(String(await file.read(0, 100)), 'hello')
    t.equal(await content(bucket, '/f'), 'hello')
    await file.write(5, text('!'))
    await file.truncate(3)
    await file.close()
    t.equal(await content(bucket, '/f'), 'hel')
  },
)

scene('an open file outlives its name', async ({ t, os, bucket }) => {
  const file = await os.open('/f', O_RDWR | O_CREAT)
  await file.write(0, text('kept'))
  await os.unlink('/f')
  t.notOk(await os.exists('/f'))
  t.match(await file.stat(), { nlink: 0, size: 4 })
  await file.write(4, text(' on'))
  t.equal(String(await file.read(0, 100)), 'kept on')
  await file.fsync()
  await file.close()
  t.same(await keys(bucket), [])
  t.equal(os.fs.counts.inodes, 1)
})

scene('a new file may take the name of one that is open unlinked', async ({ t, os, bucket }) => {
  const old = await os.open('/f', O_RDWR | O_CREAT)
  await old.write(0, text('old'))
  await os.unlink('/f')
  await os.writeFile('/f', text('new'))
  t.equal(String(await old.read(0, 10)), 'old')
  await old.close()
  t.equal(await content(bucket, '/f'), 'new')
})

scene(
  'sync stores what has a name, and does not stumble over what has none',
  async ({ t, os, bucket }) => {
    const unlinked = await os.open('/gone', O_RDWR | O_CREAT)
    await unlinked.write(0, text('x'))
    await os.unlink('/gone')
    const file = await os.open('/f', O_RDWR | O_CREAT)
    await file.write(0, text('kept'))
    await os.fs.syncfs(os.context)
    t.equal(await content(bucket, '/f'), 'kept')
    await unlinked.close()
    await file.close()
  },
)

scene(
  "a failed store is close's error, and fsync tries again",
  async ({ t, os, bucket, watch }) => {
    const file = await os.open('/f', O_RDWR | O_CREAT)
    await file.write(0, text('hello'))
    watch.before = ({ method }) => {
      if (method === 'putContent') throw new Error('no')
    }
    await fails(t, 'EIO', file.fsync())
    t.equal(String(await file.read(0, 10)), 'hello', 'nothing is lost')
    watch.before = () => undefined
    await file.fsync()
    t.equal(await content(bucket, '/f'), 'hello')
    await file.close()
  },
)

scene(
  'what cannot be stored when the last handle goes is dropped whole',
  async ({ t, os, bucket, watch }) => {
    const refuse = (): void => {
      watch.before = ({ method }) => {
        if (method === 'putContent') throw new Error('no')
      }
    }
    const allow = (): void => {
      watch.before = () => undefined
    }
    await bucket.putContent('/old', text('old'))
    // The kernel remembers the inodes, as it does for a while after the last close.
    const file = await os.open('/new', O_RDWR | O_CREAT)
    const { ino } = await os.lookup('/new')
    await file.write(0, text('never stored'))
    refuse()
    await fails(t, 'EIO', file.close())
    allow()
    t.notOk(await os.exists('/new'), 'a new file is not there')
    t.same(await os.readdir('/'), ['old'])
    os.fs.forget(ino, 1)

    const changed = await os.open('/old', O_RDWR)
    const old = await os.lookup('/old')
    await changed.write(0, text('changed beyond'))
    refuse()
    await fails(t, 'EIO', changed.close())
    allow()
    t.equal((await os.stat('/old')).size, 3, 'an old one is as it was')
    const opened = await os.fs.open(os.context, old.ino, O_RDONLY)
    t.notOk(opened.keepCache, 'whatever pages the kernel has')
    const slices = await os.fs.read(os.context, old.ino, opened.fh, 0, 100)
    t.equal(String(Buffer.concat(slices)), 'old')
    await os.fs.release(os.context, old.ino, opened.fh)
    os.fs.forget(old.ino, 1)
    await os.rename('/old', '/moved')
    t.same(await keys(bucket), ['/moved'])
  },
)

scene(
  'a truncate that cannot be stored leaves the file as it was',
  async ({ t, os, bucket, watch }) => {
    await bucket.putContent('/f', text('hello'))
    const { ino } = await os.lookup('/f')
    watch.before = ({ method }) => {
      if (method === 'putContent') throw new Error('no')
    }
    await fails(t, 'EIO', os.truncate('/f', 2))
    watch.before = () => undefined
    t.equal((await os.stat('/f')).size, 5)
    t.equal(os.fs.counts.dirty, 0)
    os.fs.forget(ino, 1)
    await os.truncate('/f', 3)
    t.equal(await content(bucket, '/f'), 'hel')
  },
)

scene(
  'an fsync that is interrupted goes on, and the next one waits for it',
  async ({ t, os, bucket, watch }) => {
    const stop = new AbortController()
    const impatient = new CoreOs(os.fs, stop.signal)
    const file = await impatient.open('/f', O_RDWR | O_CREAT)
    await file.write(0, text('hello'))
    const held = hold(watch, ({ method }) => method === 'putContent')
    const sync = file.fsync()
    await held.reached
    stop.abort()
    await fails(t, 'EINTR', sync)
    const { ino } = await os.lookup('/f')
    const again = os.truncate('/f', 4)
    held.release()
    await again
    t.equal(watch.count('putContent'), 2)
    t.equal(await content(bucket, '/f'), 'hell')
    os.fs.forget(ino, 1)
    await file.close().catch(() => undefined)
  },
)

scene('a large file leaves in parts and is read back', async ({ t, os, bucket, watch }) => {
  const data = Buffer.alloc(3 * MiB + 500 * KiB, 'abcdefg')
  const file = await os.open('/f', O_RDWR | O_CREAT)
  for (let at = 0; at < data.length; at += 128 * KiB) {
    await file.write(at, data.subarray(at, at + 128 * KiB))
  }
  await file.close()
  t.equal(watch.count('uploadPart'), 4)
  t.equal(watch.count('complete'), 1)
  t.ok((await bucket.getContent('/f')).equals(data))
  t.ok((await os.readFile('/f')).equals(data))
})

scene('unlinking a file calls off its upload', async ({ t, os, bucket, watch }) => {
  const file = await os.open('/f', O_RDWR | O_CREAT)
  await file.write(0, Buffer.alloc(2.5 * MiB))
  await turns()
  t.ok(watch.count('uploadPart') > 0)
  await os.unlink('/f')
  await file.close()
  t.same(await keys(bucket), [])
})

scene('the end of a mount calls off what has no name', async ({ t, os, bucket, watch }) => {
  const file = await os.open('/f', O_RDWR | O_CREAT)
  await file.write(0, Buffer.alloc(2.5 * MiB))
  await turns()
  t.ok(watch.count('uploadPart') > 0)
  await os.unlink('/f')
  await os.fs.destroy()
  for await (const upload of bucket.uploads('/')) t.fail(`an upload is left at ${upload.path}`)
  await file.close()
})

scene('the end of a mount stores what is still open', async ({ t, os, bucket }) => {
  const file = await os.open('/f', O_RDWR | O_CREAT)
  await file.write(0, text('kept'))
  await os.mkdir('/d')
  await os.fs.destroy()
  t.same(await keys(bucket), ['/d/', '/f'])
  await file.close()
})

scene('what one host closes another sees when it opens', async ({ t, os, other }) => {
  const there = other()
  await os.writeFile('/f', text('first'))
  t.equal(String(await there.readFile('/f')), 'first')
  await os.writeFile('/f', text('second, longer'))
  await sameOpenIsOver()
  t.equal(String(await there.readFile('/f')), 'second, longer')
  t.equal((await there.stat('/f')).size, 14)
  await os.unlink('/f')
  await sameOpenIsOver()
  await fails(t, 'ENOENT', there.readFile('/f'))
  t.notOk(await there.exists('/f'))
})

scene(
  'an open file that another host replaces is stale, and never mixed',
  async ({ t, os, other }) => {
    const there = other()
    await os.writeFile('/f', Buffer.alloc(3 * MiB, 'a'))
    const file = await os.open('/f', O_RDWR)
    t.equal(String(await file.read(0, 3)), 'aaa')
    await there.writeFile('/f', Buffer.alloc(3 * MiB, 'b'))
    await fails(t, 'ESTALE', file.read(2 * MiB, 3))
    t.equal((await os.stat('/f')).size, 3 * MiB)
    await fails(t, 'ESTALE', file.read(0, 3))
    await fails(t, 'ESTALE', file.write(0, text('c')))
    await fails(t, 'ESTALE', file.truncate(0), 'nor can it be cut')
    await file.close()
    t.equal(String((await os.readFile('/f')).subarray(0, 3)), 'bbb')
  },
  { config: { metadataTtl: 0 }, cacheMemory: 8 * MiB },
)

scene(
  'what is written to a file that another host has removed is an error, not lost',
  async ({ t, os, bucket }) => {
    await bucket.putContent('/f', text('x'))
    const file = await os.open('/f', O_RDWR)
    await bucket.delete('/f')
    t.notOk(await os.exists('/f'))
    await fails(t, 'ESTALE', file.write(0, text('y')))
    await file.close()
    const by = await bucket.putContent('/g', text('x'))
    t.ok(by.etag)
    const again = await os.open('/g', O_RDWR)
    const ino = (await os.lookup('/g')).ino
    await bucket.delete('/g')
    await sameOpenIsOver()
    await fails(t, 'ENOENT', Promise.resolve(os.fs.open(os.context, ino, O_RDONLY)))
    await fails(t, 'ESTALE', again.write(0, text('y')), 'however it was noticed')
    await again.close()
    os.fs.forget(ino, 1)
  },
  { config: { metadataTtl: 0 } },
)

scene('a version made from one that was replaced is refused', async ({ t, os, other, bucket }) => {
  await os.writeFile('/f', Buffer.alloc(3 * MiB, 'a'))
  const file = await os.open('/f', O_RDWR)
  await file.write(10, text('changed'))
  await other().writeFile('/f', text('theirs'))
  await fails(t, 'ESTALE', file.fsync())
  await fails(t, 'ESTALE', file.close())
  t.equal(await content(bucket, '/f'), 'theirs')
  await sameOpenIsOver()
  t.equal(String(await os.readFile('/f')), 'theirs')
})

scene(
  'fstat of an open file never fails',
  async ({ t, os, bucket }) => {
    await bucket.putContent('/f', text('hello'))
    const file = await os.open('/f', O_RDONLY)
    await bucket.delete('/f')
    await sameOpenIsOver()
    t.equal((await file.stat()).size, 5)
    await file.close()
  },
  { config: { metadataTtl: 0 } },
)

scene(
  'a reader does not notice that its own host stores a new version',
  async ({ t, os, bucket, watch }) => {
    await bucket.putContent('/f', Buffer.alloc(2 * MiB, 'a'))
    const reader = await os.open('/f', O_RDONLY)
    const writer = await os.open('/f', O_WRONLY)
    const held = hold(watch, ({ method }) => method === 'readInto')
    const read = reader.read(0, 3)
    await held.reached
    await writer.write(MiB, text('b'))
    const sync = writer.fsync()
    await turns(20)
    held.release()
    await sync
    t.equal(String(await read), 'aaa')
    t.equal(String(await reader.read(MiB - 1, 3)), 'aba')
    await reader.close()
    await writer.close()
  },
)

scene('a reader does not notice that the file is renamed', async ({ t, os, bucket, watch }) => {
  await bucket.putContent('/f', Buffer.concat([Buffer.alloc(2 * MiB), text('hello')]))
  const reader = await os.open('/f', O_RDONLY)
  const held = hold(watch, ({ method }) => method === 'readInto')
  const read = reader.read(2 * MiB, 5)
  await held.reached
  await os.rename('/f', '/g')
  held.release()
  t.equal(String(await read), 'hello')
  await reader.close()
})

scene(
  'an open crosses the rename of a directory above and finds the file',
  async ({ t, os, bucket, watch }) => {
    await bucket.putContent('/d/f', text('hello'))
    const { ino } = await os.lookup('/d/f')
    await sameOpenIsOver()
    const held = hold(watch, ({ method, path }) => method === 'stat' && path === '/d/f')
    const opening = Promise.resolve(os.fs.open(os.context, ino, O_RDWR))
    await held.reached
    const moved = os.rename('/d', '/e')
    await turns(20)
    held.release()
    await moved
    const { fh } = await opening
    await os.fs.write(os.context, ino, fh, { offset: 0, data: text('H'), fromPageCache: false })
    await os.fs.flush(os.context, ino, fh)
    await os.fs.release(os.context, ino, fh)
    os.fs.forget(ino, 1)
    t.equal(await content(bucket, '/e/f'), 'Hello')
  },
)

scene(
  'O_TRUNC holds although the file is being stored and closed by another',
  async ({ t, os, bucket, watch }) => {
    await bucket.putContent('/f', text('hello world'))
    const { ino } = await os.lookup('/f')
    const held = hold(watch, ({ method }) => method === 'putContent')
    const truncating = os.truncate('/f', 8)
    await held.reached
    const opening = os.open('/f', O_RDWR | O_TRUNC)
    await turns(20)
    held.release()
    await truncating
    const file = await opening
    t.equal((await file.stat()).size, 0)
    await file.write(0, text('new'))
    await file.close()
    t.equal(await content(bucket, '/f'), 'new')
    os.fs.forget(ino, 1)
  },
)

scene('two truncates by path at once both count', async ({ t, os, bucket, watch }) => {
  await bucket.putContent('/f', text('hello world'))
  const { ino } = await os.lookup('/f')
  const held = hold(watch, ({ method }) => method === 'putContent')
  const first = os.truncate('/f', 8)
  await held.reached
  const second = os.truncate('/f', 5)
  await turns(20)
  held.release()
  await Promise.all([first, second])
  t.equal(await content(bucket, '/f'), 'hello')
  t.equal((await os.stat('/f')).size, 5)
  os.fs.forget(ino, 1)
})

scene('the kernel may keep its pages while the version is the same', async ({ t, os, other }) => {
  await os.writeFile('/f', text('x'))
  const { ino } = await os.lookup('/f')
  await os.writeFile('/f', text('changed'))
  const open = async (): Promise<boolean | undefined> => {
    const { fh, keepCache } = await os.fs.open(os.context, ino as Ino, O_RDONLY)
    await os.fs.release(os.context, ino, fh)
    return keepCache
  }
  t.ok(await open(), 'those of its own writes')
  t.ok(await open())
  await other().writeFile('/f', text('y'))
  await sameOpenIsOver()
  t.notOk(await open())
  t.ok(await open())
  os.fs.forget(ino, 1)
})

scene(
  'the kernel is told when another host replaces a file',
  async ({ t, os, bucket }) => {
    const told: Ino[] = []
    const notifier = {
      invalidateInode: (ino: Ino) => void told.push(ino),
      invalidateEntry: () => undefined,
    }
    os.fs.init({ maxWrite: MiB, maxReadahead: MiB }, notifier)
    await bucket.putContent('/f', text('x'))
    const { ino } = await os.lookup('/f')
    await bucket.putContent('/f', text('xyz'))
    t.equal((await os.stat('/f')).size, 3)
    t.same(told, [ino])
    os.fs.forget(ino, 1)
  },
  { config: { metadataTtl: 0 } },
)

scene(
  'the kernel is told to ask again when a truncate that was not stored may have happened',
  async ({ t, os, bucket, watch }) => {
    await bucket.putContent('/f', text('some content'))
    const told: Ino[] = []
    os.fs.init(
      { maxWrite: MiB, maxReadahead: MiB },
      { invalidateInode: (ino: Ino) => void told.push(ino), invalidateEntry: () => undefined },
    )
    const file = await os.open('/f', O_RDWR)
    const { ino } = await os.lookup('/f')
    watch.before = ({ method }) => {
      if (method === 'putContent') throw new Error('no')
    }
    await fails(t, 'EIO', os.truncate('/f', 4))
    t.same(told, [ino])
    watch.before = () => undefined
    const [size, seen] = [(await file.stat()).size, String(await file.read(0, 100))]
    t.equal(seen.length, size, 'what is read has the size that is told')
    await file.close()
    t.equal(await content(bucket, '/f'), seen)
    os.fs.forget(ino, 1)
  },
)

scene(
  'closing a descriptor that only reads stores nothing and reports no failure of a writer',
  async ({ t, os, watch, bucket }) => {
    const writer = await os.open('/f', O_RDWR | O_CREAT)
    await writer.write(0, text('written'))
    const reader = await os.open('/f', O_RDONLY)
    watch.before = () => {
      throw new Error('no answer')
    }
    t.equal(String(await reader.read(0, 100)), 'written')
    watch.requests.length = 0
    await reader.close()
    t.equal(watch.count(), 0)
    const other = await os.open('/f', O_RDONLY)
    await fails(t, 'EIO', other.fsync(), 'fsync is about the file')
    await other.close()
    await fails(t, 'EIO', writer.fsync())
    watch.before = () => undefined
    await writer.close()
    t.equal(String(await bucket.getContent('/f')), 'written')
  },
)

scene(
  'pages of a new version are kept from who has the old one open',
  async ({ t, os, bucket }) => {
    const { context, fs } = os
    const none = { invalidateInode: () => undefined, invalidateEntry: () => undefined }
    fs.init({ directMappings: true, maxWrite: MiB, maxReadahead: MiB }, none)
    await bucket.putContent('/f', text('old'))
    const held = await os.open('/f', O_RDONLY)
    await bucket.putContent('/f', text('newer'))
    const { ino } = await os.lookup('/f')
    const opened = await fs.open(context, ino, O_RDONLY)
    t.match(opened, { keepCache: false, directIo: true })
    await fails(t, 'ESTALE', held.read(0, 10))
    await held.close()
    const later = await fs.open(context, ino, O_RDONLY)
    t.match(later, { directIo: false }, 'when the old one is closed, all is as before')
    for (const { fh } of [opened, later]) await fs.release(context, ino, fh)
    fs.forget(ino, 1)
  },
  { config: { metadataTtl: 0 } },
)
