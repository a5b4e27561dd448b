/** Directories: stat, list, entries, move, delete, walk. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { StorageDriver } from '../../../src/driver/driver.js'
import { bytes, entriesOf, failure, pagesOf, walked } from '../../driver/helpers.js'
import { isNotFound, type Behaviour } from './subject.js'

async function put(driver: StorageDriver, ...paths: readonly string[]): Promise<void> {
  await Promise.all(paths.map(path => driver.putContent(path, Buffer.from(path))))
}

/** Where directories are real, a name is a file or a directory. */
async function isOneThing(t: Test, driver: StorageDriver): Promise<void> {
  await put(driver, '/file', '/dir/below')
  t.match(await failure(driver.putContent('/file/below', bytes(1))), { code: 'CONFLICT' })
  t.match(await failure(driver.putContent('/dir', bytes(1))), { code: 'CONFLICT' })
  t.same((await driver.list('/')).toSorted(), ['/dir', '/file'])
}

export function listings(behaviour: Behaviour): void {
  behaviour('the root of an empty store is there and empty', async (t, driver) => {
    t.same(await driver.list('/'), [])
    t.match(await driver.stat('/'), { path: '/', isDir: true, size: 0 })
    t.same(await entriesOf(driver, '/'), [])
    t.same(await walked(driver, '/'), [])
  })

  behaviour('a list holds the direct children by their whole paths', async (t, driver) => {
    await isNotFound(t, driver, '/top/none', driver.list('/top/none'))
    const files = Array.from({ length: 50 }, (_, i) => `/top/middle/file-${i}`)
    await put(driver, ...files, '/top/middle/deep/er')
    t.same(await driver.list('/'), ['/top'])
    t.same(await driver.list('/top'), ['/top/middle'])
    const children = (await driver.list('/top/middle')).toSorted()
    t.same(children, [...files, '/top/middle/deep'].toSorted())
    await isNotFound(t, driver, '/top/mid', driver.list('/top/mid'))
    await isNotFound(t, driver, '/top/middle/file-1', driver.list('/top/middle/file-1'))
  })

  behaviour('stat tells files from directories and from nothing', async (t, driver) => {
    await isNotFound(t, driver, '/dir', driver.stat('/dir'))
    await isNotFound(t, driver, '/dir/file', driver.stat('/dir/file'))
    const { etag } = await driver.putContent('/dir/file', bytes(2048))
    const file = await driver.stat('/dir/file')
    t.match(file, { path: '/dir/file', size: 2048, isDir: false, etag })
    t.ok(file.modTime !== undefined && Math.abs(file.modTime.getTime() - Date.now()) < 60_000)
    const directory = await driver.stat('/dir')
    t.match(directory, { path: '/dir', size: 0, isDir: true })
    t.equal(directory.etag, undefined)
    await sleep(1100)
    await driver.putContent('/dir/file', bytes(2048))
    const later = await driver.stat('/dir/file')
    t.ok((later.modTime?.getTime() ?? 0) > (file.modTime?.getTime() ?? Infinity), 'time moves on')
  })

  behaviour('a directory is not taken for another that starts alike', async (t, driver) => {
    await put(driver, '/repo/v10/link')
    await isNotFound(t, driver, '/repo/v1', driver.stat('/repo/v1'))
    await isNotFound(t, driver, '/repo/v1', driver.list('/repo/v1'))
    await isNotFound(t, driver, '/repo/v1', driver.delete('/repo/v1'))
    t.same(await driver.list('/repo'), ['/repo/v10'])
  })

  behaviour('stat looks for what it is told to expect only', async (t, driver) => {
    await put(driver, '/file', '/dir/file')
    t.match(await driver.stat('/file', { expect: 'file' }), { isDir: false })
    t.match(await driver.stat('/dir', { expect: 'directory' }), { isDir: true })
    await isNotFound(t, driver, '/dir', driver.stat('/dir', { expect: 'file' }))
    await isNotFound(t, driver, '/file', driver.stat('/file', { expect: 'directory' }))
  })

  behaviour('a directory wins over a file of the same name', async (t, driver, subject) => {
    if (subject.hierarchical === true) return await isOneThing(t, driver)
    await put(driver, '/both', '/both/below', '/both-and', '/both!', '/bo')
    t.match(await driver.stat('/both'), { isDir: true, size: 0 })
    const entries = await entriesOf(driver, '/')
    const kinds = entries.map(entry => [entry.path, entry.isDir] as const)
    t.same(Object.fromEntries(kinds), {
      '/bo': false,
      '/both': true,
      '/both!': false,
      '/both-and': false,
    })
    t.equal(entries.length, 4, 'each name comes once')
    t.same((await driver.list('/')).length, 4)
  })

  behaviour('a marker makes an empty directory', async (t, driver, { hierarchical }) => {
    await driver.makeDirectory('/made/deep')
    await driver.makeDirectory('/made/deep')
    t.match(await driver.stat('/made/deep'), { isDir: true })
    t.match(await driver.stat('/made'), { isDir: true })
    t.ok((await driver.stat('/made/deep')).modTime instanceof Date)
    t.same(await driver.list('/made/deep'), [])
    t.same(await driver.list('/made'), ['/made/deep'])
    await put(driver, '/made/deep/file')
    await driver.removeDirectoryMarker('/made/deep')
    t.same(await driver.list('/made/deep'), ['/made/deep/file'], 'what is below stays')
    await driver.deleteFile('/made/deep/file')
    if (hierarchical === true) {
      t.match(await driver.stat('/made/deep'), { isDir: true }, 'a real directory stays')
      await driver.removeDirectoryMarker('/made/deep')
    }
    await isNotFound(t, driver, '/made/deep', driver.stat('/made/deep'))
    await driver.removeDirectoryMarker('/made/deep')
  })

  behaviour('entries carry size, time and version', async (t, driver) => {
    const { etag } = await driver.putContent('/dir/file', bytes(123))
    await driver.makeDirectory('/dir/sub')
    const entries = await entriesOf(driver, '/dir')
    const file = entries.find(entry => !entry.isDir)
    t.match(file, { path: '/dir/file', size: 123, etag })
    t.match(await driver.stat('/dir/file'), { ...file })
    const directory = entries.find(entry => entry.isDir)
    t.match(directory, { path: '/dir/sub', size: 0 })
    t.same(await entriesOf(driver, '/absent'), [], 'an absent directory has none')
    t.same(await entriesOf(driver, '/dir/file'), [], 'nor has a file')
  })

  behaviour('entries can start behind a name', async (t, driver) => {
    await put(driver, '/d/a', '/d/b', '/d/b-x', '/d/c/x', '/d/d', '/d/\u{1f600}', '/d/\uffee')
    const after = async (startAfter: string): Promise<string[]> =>
      (await entriesOf(driver, '/d', { startAfter })).map(entry => entry.path.slice(3)).toSorted()
    t.same(await after('b'), ['b-x', 'c', 'd', '\u{1f600}', '\uffee'].toSorted())
    t.same(await after('c'), ['d', '\u{1f600}', '\uffee'].toSorted())
    t.same(await after('\uffee'), ['\u{1f600}'], 'in the order of UTF-8')
    t.same(await after('zzz').then(names => names.length), 2)
  })

  behaviour('a directory of more than a thousand entries is listed whole', async (t, driver) => {
    const names = Array.from({ length: 1100 }, (_, i) => `f${String(i).padStart(4, '0')}`)
    const paths = names.map((name, i) => (i % 50 === 0 ? `/many/${name}/x` : `/many/${name}`))
    for (let i = 0; i < paths.length; i += 50) await put(driver, ...paths.slice(i, i + 50))
    const pages = await pagesOf(driver.entries('/many'))
    t.ok(pages.length > 1, 'in several pages')
    const found = pages.flatMap(page => page.entries.map(entry => entry.path)).toSorted()
    t.same(
      found,
      names.map(name => `/many/${name}`),
    )
    t.equal((await driver.list('/many')).length, 1100)
    t.equal((await entriesOf(driver, '/many', { startAfter: 'f1049' })).length, 50)
    let deleted = 0
    await driver.delete('/many', { onDeleted: objects => (deleted += objects) })
    if (driver.capabilities.listsSubtrees) t.equal(deleted, 1100)
    await isNotFound(t, driver, '/many', driver.list('/many'))
  })

  behaviour('a page of a listing keeps what it says of how far it has come', async (t, driver) => {
    const nameOf = (i: number): string => `f${String(Math.floor(i / 4)).padStart(3, '0')}`
    const kinds = ['', '-x', '.y', '0']
    const names = Array.from({ length: 1200 }, (_, i) => `${nameOf(i)}${kinds[i % 4] ?? ''}`)
    const paths = names.map((name, i) => (i % 3 === 0 ? `/far/${name}/x` : `/far/${name}`))
    for (let i = 0; i < paths.length; i += 50) await put(driver, ...paths.slice(i, i + 50))
    for (const startAfter of [undefined, 'f010', 'f010-x', 'f']) {
      const told = new Set<string>()
      const wanted = names.filter(name => startAfter === undefined || name > startAfter)
      for await (const { entries, upTo } of driver.entries(
        '/far',
        startAfter === undefined ? {} : { startAfter },
      )) {
        for (const { path } of entries) told.add(path.slice(5))
        if (upTo === undefined) continue
        t.same(
          wanted.filter(name => `${name}/` <= upTo && !told.has(name)),
          [],
          `from ${startAfter ?? 'the beginning'} up to ${upTo}`,
        )
      }
      t.equal(told.size, wanted.length)
    }
    for (const from of [undefined, '/far/f010', '/far/f010-']) {
      const told = new Set<string>()
      const after = from === undefined ? '' : `${from.slice(5)}/`
      const wanted = names.filter(name => name > after)
      const options = from === undefined ? {} : { from }
      for await (const { directories } of driver.entriesBelow('/far', options)) {
        for (const { path, entries, upTo } of directories) {
          if (path !== '/far') continue
          for (const entry of entries) told.add(entry.path.slice(5))
          if (upTo === undefined) continue
          t.same(
            wanted.filter(name => `${name}/` <= upTo && !told.has(name)),
            [],
            `below, from ${from ?? 'the beginning'} up to ${upTo}`,
          )
        }
      }
    }
  })

  behaviour('keys that are no paths are counted, not shown', async (t, driver, subject) => {
    if (subject.plant === undefined) return
    await put(driver, '/odd/good')
    const bad = ['odd//x', 'odd/./y', 'odd/../z', `odd/${'n'.repeat(300)}`, 'odd/..']
    for (const key of bad) await subject.plant(key, bytes(5))
    const pages = await pagesOf(driver.entries('/odd'))
    t.same(
      pages.flatMap(page => page.entries.map(entry => entry.path)),
      ['/odd/good'],
    )
    t.equal(
      pages.reduce((sum, page) => sum + page.hidden, 0),
      5,
    )
    t.same(await driver.list('/odd'), ['/odd/good'])
    await driver.delete('/odd')
    await isNotFound(t, driver, '/odd', driver.stat('/odd'))
  })

  behaviour('what the driver keeps for itself is nowhere to be seen', async (t, driver) => {
    const writer = await driver.writer('/unfinished')
    await writer.write(bytes(10))
    await writer.close()
    t.same(await driver.list('/'), [])
    t.same(await entriesOf(driver, '/'), [])
    t.same(await walked(driver, '/'), [])
    await isNotFound(t, driver, '/.bosmount', driver.stat('/.bosmount'))
    await isNotFound(t, driver, '/.bosmount', driver.list('/.bosmount'))
    t.same(await entriesOf(driver, '/.bosmount'), [])
    await isNotFound(t, driver, '/.bosmount', driver.delete('/.bosmount'))
    t.match(await failure(driver.makeDirectory('/.bosmount')), { code: 'INVALID_PATH' })
    const cancelled = await driver.writer('/unfinished', { append: true })
    await cancelled.cancel()
  })

  behaviour('what was unlinked while open can be used, and is never listed', async (t, driver) => {
    const path = '/.bosmount/unlinked/1'
    await driver.putContent('/file', bytes(10))
    await driver.move('/file', path)
    t.ok((await driver.getContent(path)).equals(bytes(10)))
    const { etag } = await driver.stat(path, { expect: 'file' })
    const target = Buffer.alloc(4)
    await driver.readInto(path, target, { offset: 6, ...(etag === undefined ? {} : { etag }) })
    t.ok(target.equals(bytes(10).subarray(6)))
    await driver.putContent(path, bytes(20))
    await driver.copy(path, '/.bosmount/unlinked/2')
    t.same(await driver.list('/'), [])
    t.same(await entriesOf(driver, '/'), [])
    t.same(await entriesOf(driver, '/.bosmount/unlinked'), [])
    t.same(await walked(driver, '/'), [])
    for (const each of [path, '/.bosmount/unlinked/2']) {
      t.equal((await driver.getContent(each)).length, 20)
      await driver.deleteFile(each)
      await isNotFound(t, driver, each, driver.stat(each))
    }
  })
}

export function changes(behaviour: Behaviour): void {
  behaviour('many files and markers are deleted together', async (t, driver) => {
    await driver.makeDirectory('/d')
    await driver.makeDirectory('/d/e')
    for (const name of ['a', 'b', 'd/a', 'd/e/a', 'kept']) {
      await driver.putContent(`/${name}`, bytes(3))
    }
    const gone = ['/a', '/b', '/absent', '/d/a', '/d/e/a', '/d/e/', '/d/', '/absent/']
    t.same(await driver.deleteMany(gone), [])
    t.same(await walked(driver, '/'), ['/kept'])
    t.same(await driver.deleteMany([]), [])
    t.same(await driver.deleteMany(['/kept']), [])
    t.same(await driver.list('/'), [])
    await t.rejects(driver.deleteMany(['/']), { code: 'INVALID_PATH' })
  })

  behaviour('a file or marker deleted among many leaves what is below', async (t, driver) => {
    await driver.putContent('/d/a', bytes(3))
    await driver.deleteMany(['/d', '/d/', '/x'])
    t.same(await walked(driver, '/'), ['/d', '/d/a'])
  })

  behaviour('a moved file is at its new path only', async (t, driver) => {
    const { etag } = await driver.putContent('/from/file', bytes(32, 1))
    await driver.move('/from/file', '/to/new/file')
    t.same(await driver.getContent('/to/new/file'), bytes(32, 1))
    t.equal((await driver.stat('/to/new/file')).etag, etag)
    await isNotFound(t, driver, '/from/file', driver.getContent('/from/file'))
    await driver.move('/to/new/file', '/to/new/file')
    t.same(await driver.getContent('/to/new/file'), bytes(32, 1), 'onto itself changes nothing')
  })

  behaviour('an empty file moves too', async (t, driver) => {
    await driver.putContent('/nil', Buffer.alloc(0))
    await driver.move('/nil', '/moved nil', { ifNoneMatch: '*' })
    t.same(await driver.getContent('/moved nil'), Buffer.alloc(0))
  })

  behaviour('a move replaces the file at the destination', async (t, driver) => {
    await driver.putContent('/source', bytes(32, 1))
    await driver.putContent('/target', bytes(64, 2))
    await driver.move('/source', '/target')
    t.same(await driver.getContent('/target'), bytes(32, 1))
    await isNotFound(t, driver, '/source', driver.stat('/source'))
  })

  behaviour('a move of nothing leaves the destination alone', async (t, driver) => {
    await driver.putContent('/target', bytes(32, 2))
    await isNotFound(t, driver, '/none', driver.move('/none', '/target'))
    t.same(await driver.getContent('/target'), bytes(32, 2))
  })

  behaviour('a move between paths below a file fails', async (t, driver) => {
    await driver.putContent('/file', bytes(32))
    await isNotFound(t, driver, '/file/a', driver.move('/file/a', '/file/b'))
    t.same(await driver.getContent('/file'), bytes(32))
  })

  behaviour('a move obeys the condition on its destination', async (t, driver) => {
    await driver.putContent('/source', bytes(32, 1))
    const { etag } = await driver.putContent('/target', bytes(32, 2))
    const create = driver.move('/source', '/target', { ifNoneMatch: '*' })
    t.match(await failure(create), { code: 'PRECONDITION' })
    const other = driver.move('/source', '/target', { ifMatch: 'ffffffffffffffffffffffffffffffff' })
    t.match(await failure(other), { code: 'PRECONDITION' })
    t.same(await driver.getContent('/target'), bytes(32, 2))
    t.same(await driver.getContent('/source'), bytes(32, 1))
    await driver.move('/source', '/target', { ifMatch: etag })
    t.same(await driver.getContent('/target'), bytes(32, 1))
    await driver.move('/target', '/fresh', { ifNoneMatch: '*' })
    t.same(await driver.getContent('/fresh'), bytes(32, 1))
    await isNotFound(t, driver, '/target', driver.stat('/target'))
  })

  behaviour('a file does not move onto a directory', async (t, driver) => {
    await put(driver, '/file', '/dir/file')
    t.match(await failure(driver.move('/file', '/dir')), { code: 'CONFLICT' })
    t.same(await driver.list('/dir'), ['/dir/file'])
    t.same(await driver.getContent('/file'), Buffer.from('/file'))
  })

  behaviour('a directory moves with all that is in it', async (t, driver) => {
    await put(driver, '/dir/a', '/dir/b/c', '/dir/b/d/e', '/dir-suffix/kept')
    await driver.makeDirectory('/dir/empty')
    await driver.makeDirectory('/dir')
    await driver.move('/dir', '/new/place')
    await isNotFound(t, driver, '/dir', driver.stat('/dir'))
    t.same(await walked(driver, '/new'), [
      '/new/place',
      '/new/place/a',
      '/new/place/b',
      '/new/place/b/c',
      '/new/place/b/d',
      '/new/place/b/d/e',
      '/new/place/empty',
    ])
    t.same(await driver.getContent('/new/place/b/c'), Buffer.from('/dir/b/c'))
    t.match(await driver.stat('/new/place/empty'), { isDir: true })
    t.same(await driver.list('/dir-suffix'), ['/dir-suffix/kept'])
  })

  behaviour('a directory does not move into itself', async (t, driver) => {
    await put(driver, '/dir/a')
    t.match(await failure(driver.move('/dir', '/dir/sub')), { code: 'CONFLICT' })
    t.same(await driver.list('/dir'), ['/dir/a'])
    await driver.makeDirectory('/other')
    t.match(await failure(driver.move('/dir', '/other', { ifNoneMatch: '*' })), {
      code: 'PRECONDITION',
    })
  })

  behaviour('a directory takes the place of a file', async (t, driver) => {
    await put(driver, '/dir/a', '/taken')
    await driver.move('/dir', '/taken')
    t.same(await driver.list('/taken'), ['/taken/a'])
    await driver.delete('/taken')
    await isNotFound(t, driver, '/taken', driver.stat('/taken'))
  })

  behaviour('a copy leaves the source and obeys its condition', async (t, driver) => {
    const { etag } = await driver.putContent('/original', bytes(1000, 1))
    t.match(await driver.copy('/original', '/copies/one'), { size: 1000 })
    t.same(await driver.getContent('/copies/one'), bytes(1000, 1))
    t.equal((await driver.stat('/original')).etag, etag)
    const other = driver.copy('/original', '/copies/two', { etag: 'another version' })
    t.match(await failure(other), { code: 'PRECONDITION' }, 'of a version that is not there')
    t.same(await driver.list('/copies'), ['/copies/one'])
    const again = driver.copy('/original', '/copies/one', { ifNoneMatch: '*' })
    t.match(await failure(again), { code: 'PRECONDITION' })
    t.match(await driver.copy('/original', '/copies/two', { ifNoneMatch: '*' }), { size: 1000 })
    t.same(await driver.getContent('/copies/two'), bytes(1000, 1))
    await isNotFound(t, driver, '/none', driver.copy('/none', '/copies/one'))
    t.same(await driver.getContent('/copies/one'), bytes(1000, 1))
  })

  behaviour('a deleted file is gone', async (t, driver) => {
    await put(driver, '/a/file')
    await driver.delete('/a/file')
    await isNotFound(t, driver, '/a/file', driver.getContent('/a/file'))
    await isNotFound(t, driver, '/a/file', driver.delete('/a/file'))
    await driver.deleteFile('/a/file')
  })

  behaviour('a deleted directory goes with all that is in it', async (t, driver) => {
    await put(driver, '/dir/a', '/dir/b', '/dir/sub/c')
    await driver.makeDirectory('/dir/empty')
    await driver.delete('/dir/a')
    t.same((await driver.list('/dir')).toSorted(), ['/dir/b', '/dir/empty', '/dir/sub'])
    await driver.delete('/dir')
    for (const path of ['/dir', '/dir/a', '/dir/b', '/dir/sub/c']) {
      await isNotFound(t, driver, path, driver.stat(path))
    }
    await isNotFound(t, driver, '/dir', driver.delete('/dir'))
  })

  behaviour('a delete does not touch names that only start alike', async (t, driver) => {
    await put(driver, '/x/file', '/x/sub/file', '/xsuffix/file', '/y', '/ysuffix', '/y-')
    await driver.delete('/x')
    await driver.delete('/y')
    t.same((await driver.list('/')).toSorted(), ['/xsuffix', '/y-', '/ysuffix'])
    t.same(await driver.getContent('/xsuffix/file'), Buffer.from('/xsuffix/file'))
  })

  behaviour('deleting a file leaves a directory of its name', async (t, driver, subject) => {
    await put(driver, ...(subject.hierarchical === true ? [] : ['/both']), '/both/below')
    await driver.deleteFile('/both')
    t.same(await driver.list('/both'), ['/both/below'])
  })
}

const TREE = [
  '/folder1/file1',
  '/folder1-suffix/file2',
  '/folder2/sub/file4',
  '/folder2/sub/file3',
  '/folder2/z',
  '/zero',
]
const WALK = [
  '/folder1',
  '/folder1/file1',
  '/folder1-suffix',
  '/folder1-suffix/file2',
  '/folder2',
  '/folder2/sub',
  '/folder2/sub/file3',
  '/folder2/sub/file4',
  '/folder2/z',
  '/zero',
]

export function walks(behaviour: Behaviour): void {
  behaviour('a walk goes depth first in the order of names', async (t, driver) => {
    await put(driver, ...TREE)
    t.same(await walked(driver, '/'), WALK)
    t.same(await walked(driver, '/folder2'), WALK.slice(5, 9))
    await isNotFound(t, driver, '/none', walked(driver, '/none'))
  })

  behaviour('a walk can start behind any path', async (t, driver) => {
    await put(driver, ...TREE)
    for (const [index, startAfter] of WALK.entries()) {
      t.same(await walked(driver, '/', { startAfter }), WALK.slice(index + 1), startAfter)
    }
    t.same(await walked(driver, '/', { startAfter: '/folder1/zzz' }), WALK.slice(2))
    t.same(await walked(driver, '/', { startAfter: '/zz' }), [])
  })

  behaviour('a walk skips a directory and stops when told to', async (t, driver) => {
    await put(driver, ...TREE)
    const skipped: string[] = []
    await driver.walk('/', info => {
      skipped.push(info.path)
      return info.path === '/folder2/sub' ? 'skip-directory' : undefined
    })
    t.same(
      skipped,
      WALK.filter(path => !path.startsWith('/folder2/sub/')),
    )
    const stopped: string[] = []
    await driver.walk('/', info => {
      stopped.push(info.path)
      return info.path === '/folder2/sub' ? 'stop' : undefined
    })
    t.same(stopped, WALK.slice(0, 6))
    const error = new Error('from the visitor')
    const thrown = driver.walk('/', () => Promise.reject(error))
    t.equal(await failure(thrown), error)
  })

  behaviour('a walk passes over what vanishes under it', async (t, driver) => {
    await put(driver, ...TREE)
    const seen: string[] = []
    await driver.walk('/', async info => {
      seen.push(info.path)
      if (info.path === '/folder1') await driver.delete('/folder1')
    })
    t.same(
      seen,
      WALK.filter(path => path !== '/folder1/file1'),
    )
  })

  behaviour('a walk over empty directories visits them', async (t, driver) => {
    await driver.makeDirectory('/repo/_uploads')
    await put(driver, '/repo/x')
    t.same(await walked(driver, '/'), ['/repo', '/repo/_uploads', '/repo/x'])
  })
}
