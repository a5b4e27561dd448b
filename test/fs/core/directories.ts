/** Reading directories: pages, cookies, what is here and not in the store yet, and what goes wrong. */
import t from 'tap'
import type { EntriesPage, StorageDriver } from '../../../src/driver/driver.js'
import { createMemoryDriver } from '../../../src/driver/memory/driver.js'
import type { Ino } from '../../../src/fs/operations.js'
import type { Fh } from '../../../src/fs/operations.js'
import { createCore } from '../../helpers/core.js'
import { CoreOs, O_CREAT, O_RDWR, O_WRONLY } from '../../helpers/core-os.js'
import { fails, keys, scene, text, turns } from '../../helpers/core-scene.js'
import type { Scene } from '../../helpers/core-scene.js'
import { hold } from '../../helpers/watched-driver.js'
import type { Request } from '../../helpers/watched-driver.js'

/** An open directory, read a few entries at a time. */
class Reading {
  readonly #os: CoreOs
  readonly #ino: Ino
  readonly fh: Fh
  offset = 0

  constructor(os: CoreOs, ino: Ino) {
    this.#os = os
    this.#ino = ino
    this.fh = os.fs.opendir(os.context, ino).fh
  }

  static async open(os: CoreOs, path: string): Promise<Reading> {
    return new Reading(os, (await os.lookup(path)).ino)
  }

  /** The names of the next entries, without `.` and `..`; what is looked up is forgotten. */
  async next(count: number, { plus = false, os = this.#os } = {}): Promise<string[]> {
    const names: string[] = []
    const looked: Ino[] = []
    let taken = 0
    await os.fs.readdir(os.context, this.#ino, this.fh, {
      offset: this.offset,
      plus,
      add: ({ name, offset, entry }) => {
        if (taken >= count) return false
        taken += 1
        this.offset = offset
        names.push(name)
        if (entry !== undefined) looked.push(entry.ino)
        return true
      },
    })
    for (const ino of looked) os.fs.forget(ino, 1)
    return names.filter(name => name !== '.' && name !== '..')
  }

  async rest(options: { plus?: boolean } = {}): Promise<string[]> {
    const names: string[] = []
    for (;;) {
      const before = this.offset
      names.push(...(await this.next(7, options)))
      if (this.offset === before) return names
    }
  }

  async close(): Promise<void> {
    await this.#os.fs.releasedir(this.#os.context, this.#ino, this.fh)
    this.#os.fs.forget(this.#ino, 1)
  }
}

async function fill({ bucket }: Pick<Scene, 'bucket'>, directory: string, count: number) {
  const names = Array.from({ length: count }, (_, i) => `f${String(i).padStart(5, '0')}`)
  for (const name of names) await bucket.putContent(`${directory}/${name}`, text(name))
  return names
}

scene('a directory costs one request per thousand entries', async s => {
  const { t, os, watch } = s
  const names = await fill(s, '/d', 2500)
  const { ino } = await os.lookup('/d')
  watch.requests.length = 0
  t.same(await os.readdir('/d', { batch: 100 }), names)
  t.equal(watch.count('entries'), 3)
  t.equal(watch.count(), 3)
  t.same(await os.readdir('/d', { plus: true }), names, 'and none while the listing is believed')
  t.equal(watch.count(), 3)
  os.fs.forget(ino, 1)
})

scene(
  'any place in a directory of 20,000 entries can be read again',
  async s => {
    const { t, os, watch } = s
    const names = await fill(s, '/d', 20_000)
    const reading = await Reading.open(os, '/d')
    const places = new Map<number, string | undefined>()
    for (;;) {
      const at = reading.offset
      const [first] = await reading.next(500)
      if (first === undefined) break
      if (at > 0) places.set(at, first)
    }
    t.ok(places.size >= 40)
    await os.unlink('/d/f00003')
    watch.requests.length = 0
    for (const [offset, name] of [...places].toReversed()) {
      reading.offset = offset
      t.same(await reading.next(1), [name])
    }
    reading.offset = 2
    t.same(await reading.next(4), names.slice(0, 5).toSpliced(3, 1), 'without what is gone')
    t.equal(watch.count(), 0)
    reading.offset = 3000
    const again = await reading.next(5, { plus: true })
    t.same(again, names.slice(2998, 3003))
    await reading.close()
  },
  { config: { metadataTtl: 60_000 } },
)

scene(
  'the page that comes next is asked for before it is needed',
  async s => {
    const { t, os, watch } = s
    await fill(s, '/d', 35)
    const reading = await Reading.open(os, '/d')
    watch.requests.length = 0
    t.equal((await reading.next(4)).length, 2)
    await turns()
    t.equal(watch.count('entries'), 2, 'one page ahead, and no more')
    const seen = await reading.rest()
    t.equal(seen.length, 33)
    t.equal(watch.count('entries'), 4)
    await reading.close()
  },
  { pageSize: 10 },
)

scene('. and .. come first', async ({ t, os }) => {
  await os.mkdir('/d')
  const { ino, attributes } = await os.lookup('/d')
  const { fh } = os.fs.opendir(os.context, ino)
  const seen: { name: string; ino: number; offset: number }[] = []
  await os.fs.readdir(os.context, ino, fh, {
    offset: 0,
    plus: true,
    add: entry => {
      t.equal(entry.entry, undefined, 'without being looked up')
      seen.push(entry)
      return true
    },
  })
  t.match(seen, [
    { name: '.', ino: attributes.ino, offset: 1 },
    { name: '..', ino: 1, offset: 2 },
  ])
  await os.fs.releasedir(os.context, ino, fh)
  os.fs.forget(ino, 1)
})

scene('inode numbers are those that stat shows', async s => {
  const { t, os } = s
  await fill(s, '/d', 3)
  const { ino } = await os.lookup('/d')
  for (const plus of [false, true]) {
    const { fh } = os.fs.opendir(os.context, ino)
    const numbers = new Map<string, number>()
    const looked: Ino[] = []
    await os.fs.readdir(os.context, ino, fh, {
      offset: 2,
      plus,
      add: entry => {
        numbers.set(entry.name, entry.ino)
        if (entry.entry !== undefined) looked.push(entry.entry.ino)
        return true
      },
    })
    for (const [name, number] of numbers) t.equal((await os.stat(`/d/${name}`)).ino, number)
    t.equal(numbers.size, 3)
    t.equal(looked.length, plus ? 3 : 0)
    for (const each of looked) os.fs.forget(each, 1)
    await os.fs.releasedir(os.context, ino, fh)
  }
  os.fs.forget(ino, 1)
})

scene('an entry that does not fit is not looked up', async s => {
  const { t, os } = s
  await fill(s, '/d', 5)
  const reading = await Reading.open(os, '/d')
  const before = os.fs.counts.lookups
  t.same(await reading.next(4, { plus: true }), ['f00000', 'f00001'])
  t.equal(os.fs.counts.lookups, before)
  t.same(await reading.rest({ plus: true }), ['f00002', 'f00003', 'f00004'])
  await reading.close()
})

scene('what is made here is there at once', async ({ t, os, bucket }) => {
  await bucket.putContent('/d/stored', text('x'))
  await os.mkdir('/d/made')
  const file = await os.open('/d/written', O_WRONLY | O_CREAT)
  t.same(await os.readdir('/d'), ['made', 'stored', 'written'])
  t.same(await os.readdir('/d', { plus: true }), ['made', 'stored', 'written'])
  await file.close()
  t.same(await os.readdir('/d'), ['made', 'stored', 'written'])
  await os.unlink('/d/written')
  await os.rmdir('/d/made')
  t.same(await os.readdir('/d'), ['stored'])
})

for (const metadataTtl of [0, 1000]) {
  const suffix = metadataTtl === 0 ? ', nothing being believed' : ''

  scene(
    `a directory can be emptied while it is read${suffix}`,
    async s => {
      const { t, os, bucket } = s
      const names = await fill(s, '/d', 250)
      const reading = await Reading.open(os, '/d')
      const removed: string[] = []
      for (;;) {
        const next = await reading.next(10)
        if (next.length === 0) break
        for (const name of next) {
          await os.unlink(`/d/${name}`)
          removed.push(name)
        }
      }
      t.same(removed.toSorted(), names)
      await reading.close()
      await os.rmdir('/d')
      await os.fs.syncfs(os.context)
      t.same(await keys(bucket), [])
    },
    { pageSize: 40, config: { metadataTtl } },
  )

  scene(
    `cookies stay right, and a name comes once, whatever changes${suffix}`,
    async s => {
      const { t, os } = s
      await fill(s, '/d', 60)
      const reading = await Reading.open(os, '/d')
      const first = await reading.next(12)
      await os.unlink('/d/f00000')
      await os.unlink('/d/f00050')
      await os.writeFile('/d/f00040', text('changed'))
      await os.rename('/d/f00041', '/d/moved')
      await os.writeFile('/d/new', text('new'))
      const rest = await reading.rest()
      const all = [...first, ...rest]
      t.equal(new Set(all).size, all.length)
      t.notOk(rest.includes('f00050'), 'removed before it was reached')
      t.ok(rest.includes('f00040'), 'changed, and there all the time')
      for (let i = 1; i < 60; i += 1) {
        const name = `f${String(i).padStart(5, '0')}`
        if (i !== 41 && i !== 50) t.ok(all.includes(name), name)
      }
      await reading.close()
    },
    { pageSize: 20, config: { metadataTtl } },
  )

  scene(
    `a file that is stored while its directory is listed is in the listing${suffix}`,
    async s => {
      const { t, os, bucket, watch } = s
      for (const name of 'fgh') await bucket.putContent(`/d/${name}`, text('old'))
      const reading = await Reading.open(os, '/d')
      let listings = 0
      const isFirst = ({ method }: Request): boolean => method === 'entries' && listings++ === 0
      const held = hold(watch, isFirst, 'after')
      const names = reading.next(10)
      await held.reached
      await os.writeFile('/d/f', text('new'))
      held.release()
      t.ok((await names).includes('f'))
      await reading.close()
    },
    // A page of the tree does not answer for the directory.
    { pageSize: 2, config: { metadataTtl } },
  )

  scene(
    `an entry read earlier does not undo what was stored since${suffix}`,
    async s => {
      const { t, os } = s
      await fill(s, '/d', 30)
      const reading = await Reading.open(os, '/d')
      t.equal((await reading.next(5, { plus: true })).length, 3)
      const file = await os.open('/d/f00020', O_RDWR)
      await file.write(0, text('much longer than before'))
      await file.fsync()
      await os.unlink('/d/f00021')
      const rest = await reading.rest({ plus: true })
      t.ok(rest.includes('f00020'))
      t.notOk(rest.includes('f00021'), 'nor bring back what was removed')
      t.equal((await file.stat()).size, 23)
      t.equal(String(await file.read(0, 4)), 'much', 'the handle is not stale')
      t.notOk(await os.exists('/d/f00021'))
      await file.close()
      await reading.close()
    },
    { config: { metadataTtl } },
  )
}

scene(
  'reading from the start again begins a new listing',
  async ({ t, os, bucket }) => {
    await bucket.putContent('/d/a', text('x'))
    const reading = await Reading.open(os, '/d')
    t.same(await reading.rest(), ['a'])
    await bucket.putContent('/d/b', text('x'))
    t.same(await reading.rest(), [])
    reading.offset = 0
    t.same(await reading.rest(), ['a', 'b'])
    await reading.close()
  },
  { config: { metadataTtl: 0 } },
)

scene(
  'an interrupted reader loses no page',
  async s => {
    const { t, os, watch } = s
    const names = await fill(s, '/d', 50)
    const reading = await Reading.open(os, '/d')
    const seen = await reading.next(12)
    for (let i = 0; i < 3; i += 1) {
      const stop = new AbortController()
      const held = hold(watch, ({ method }) => method === 'entries')
      const impatient = new CoreOs(os.fs, stop.signal)
      const next = reading.next(100, { os: impatient })
      await Promise.race([held.reached, next])
      stop.abort()
      await next.then(
        more => seen.push(...more),
        (error: unknown) => t.match(error, { code: 'EINTR' }),
      )
      held.release()
    }
    seen.push(...(await reading.rest()))
    t.same(seen.toSorted(), names)
    await reading.close()
    for (const name of names) t.ok(await os.exists(`/d/${name}`), name)
  },
  { pageSize: 10 },
)

scene(
  'after a failed page the reader goes on where he was, and nothing passes for absent',
  async s => {
    const { t, os, watch } = s
    const names = await fill(s, '/d', 50)
    const reading = await Reading.open(os, '/d')
    const seen = await reading.next(22)
    let failures = 1
    watch.before = ({ method }) => {
      if (method !== 'entries' || failures === 0) return
      failures -= 1
      throw new Error('no')
    }
    const failed = (async () => {
      for (;;) {
        const before = reading.offset
        seen.push(...(await reading.next(5)))
        if (reading.offset === before) return
      }
    })()
    await fails(t, 'EIO', failed)
    seen.push(...(await reading.rest()))
    t.same(seen.toSorted(), names)
    t.equal(new Set(seen).size, seen.length)
    for (const name of names) t.ok(await os.exists(`/d/${name}`), name)
    await reading.close()
  },
  { pageSize: 10 },
)

scene(
  'a directory that is renamed while it is listed loses nothing',
  async s => {
    const { t, os } = s
    const names = await fill(s, '/d', 50)
    const reading = await Reading.open(os, '/d')
    const seen = await reading.next(12)
    await os.rename('/d', '/e')
    seen.push(...(await reading.rest()))
    t.same(seen.toSorted(), names)
    for (const name of names) t.ok(await os.exists(`/e/${name}`), name)
    await reading.close()
  },
  { pageSize: 10 },
)

scene(
  'a directory that is renamed while a page is under way loses nothing',
  async s => {
    const { t, os, watch } = s
    const names = await fill(s, '/d', 25)
    const reading = await Reading.open(os, '/d')
    const held = hold(watch, ({ method, path }) => method === 'entries' && path === '/d')
    const first = reading.next(12)
    await held.reached
    await os.rename('/d', '/e')
    held.release()
    const seen = [...(await first), ...(await reading.rest())]
    t.same(seen.toSorted(), names)
    for (const name of names) t.ok(await os.exists(`/e/${name}`), name)
    await reading.close()
  },
  { pageSize: 10 },
)

scene('a removed directory that is still open shows nothing of its successor', async s => {
  const { t, os } = s
  await os.mkdir('/d')
  const reading = await Reading.open(os, '/d')
  await os.rmdir('/d')
  await os.mkdir('/d')
  await os.writeFile('/d/f', text('x'))
  t.same(await reading.rest(), [])
  await reading.close()
})

scene('keys that no path can express are not shown', async ({ t, os, bucket }) => {
  await bucket.putContent('/f', text('x'))
  t.same(await os.readdir('/'), ['f'])
  t.notOk(await os.exists('/.bosmount'))
})

scene(
  'several readers of one handle take turns',
  async s => {
    const { t, os } = s
    const names = await fill(s, '/d', 40)
    const { ino } = await os.lookup('/d')
    const { fh } = os.fs.opendir(os.context, ino)
    const read = async (offset: number): Promise<string[]> => {
      const found: string[] = []
      await os.fs.readdir(os.context, ino, fh, {
        offset,
        plus: false,
        add: ({ name }) => {
          if (found.length === 8) return false
          found.push(name)
          return true
        },
      })
      return found
    }
    const [a, b, c] = await Promise.all([read(2), read(2), read(7)])
    t.same(a, names.slice(0, a.length))
    t.same(b, names.slice(0, b.length))
    t.same(c, names.slice(5, 5 + c.length))
    t.ok(a.length > 0 && b.length > 0 && c.length > 0)
    await os.fs.releasedir(os.context, ino, fh)
    os.fs.forget(ino, 1)
  },
  { pageSize: 6 },
)

scene(
  'closing a directory calls off its listing',
  async s => {
    const { t, os, watch } = s
    await fill(s, '/d', 5)
    const stop = new AbortController()
    const reading = await Reading.open(os, '/d')
    const held = hold(watch, ({ method }) => method === 'entries')
    const next = reading.next(5, { os: new CoreOs(os.fs, stop.signal) })
    await held.reached
    stop.abort()
    await fails(t, 'EINTR', next)
    const closing = reading.close()
    await turns()
    held.release()
    await closing
    t.equal(os.fs.counts.handles, 0)
  },
  { pageSize: 2 },
)

scene('a directory of one page is known once its entries were taken', async s => {
  const { t, os, bucket, watch } = s
  await bucket.putContent('/d/f', text('x'))
  await os.exists('/d')
  os.fs.invalidate('/d')
  const reading = await Reading.open(os, '/d')
  t.same(await reading.next(10), ['f'])
  await turns()
  await reading.close()
  watch.requests.length = 0
  t.same(await os.readdir('/d'), ['f'])
  t.equal(watch.count(), 0)
})

const MANY = 100_000

/** A directory of many files, which are nowhere: each page is made when it is asked for. */
function endless(bucket: StorageDriver): StorageDriver {
  async function* entries(path: string): AsyncGenerator<EntriesPage> {
    for (let first = 0; first < MANY; first += 1000) {
      const names = Array.from({ length: 1000 }, (_, i) => String(first + i).padStart(7, '0'))
      const page = names.map(name => ({
        path: `${path}/${name}`,
        size: 1,
        isDir: false,
        etag: name,
        modTime: new Date(0),
      }))
      yield { entries: page, hidden: 0 }
    }
  }
  return new Proxy(bucket, {
    get: (target, property) => {
      if (property === 'entries') return entries
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

void t.test('a huge directory never takes more inodes than the kernel remembers', async t => {
  const bucket = createMemoryDriver()
  await bucket.makeDirectory('/d')
  const fs = createCore(endless(bucket), { config: { metadataTtl: 0 } })
  const os = new CoreOs(fs)
  const { ino } = await os.lookup('/d')
  const { fh } = fs.opendir(os.context, ino)
  let most = 0
  let count = 0
  let offset = 0
  for (let isEnd = false; !isEnd;) {
    const taken: Ino[] = []
    await fs.readdir(os.context, ino, fh, {
      offset,
      plus: true,
      add: entry => {
        // As many as a request of the kernel's has room for.
        if (taken.length === 32) return false
        offset = entry.offset
        count += 1
        taken.push(entry.entry?.ino ?? ino)
        return true
      },
    })
    most = Math.max(most, fs.counts.inodes)
    isEnd = taken.length === 0
    for (const each of taken) if (each !== ino) fs.forget(each, 1)
  }
  t.equal(count, MANY + 2, 'all of them, and the dots')
  t.ok(most <= 40, `${most} inodes at most`)
  await fs.releasedir(os.context, ino, fh)
  fs.forget(ino, 1)
  t.same(fs.counts, { inodes: 1, lookups: 0, handles: 0, dirty: 0 })
  fs.checkInvariants()
  await fs.destroy()
})
