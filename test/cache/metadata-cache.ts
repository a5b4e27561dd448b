import t from 'tap'
import { MetadataCache } from '../../src/cache/metadata-cache.js'
import type { FileInfo } from '../../src/driver/driver.js'

function cache(ttl = 100, maxNames?: number) {
  const clock = { now: 1000 }
  const metadata = new MetadataCache({
    ttl,
    now: () => clock.now,
    ...(maxNames === undefined ? {} : { maxNames }),
  })
  return { clock, metadata }
}

function file(path: string, size = 1): FileInfo {
  return { path, size, isDir: false, etag: `${path}-${size}` }
}

function names(infos: readonly FileInfo[] | undefined): string[] | undefined {
  return infos?.map(info => info.path).toSorted()
}

void t.test('what was seen is known for the time-to-live', t => {
  const { clock, metadata } = cache()
  t.equal(metadata.get('/d', 'a'), undefined)
  metadata.put('/d', 'a', file('/d/a'), 1000)
  metadata.put('/d', 'b', undefined, 1000)
  clock.now = 1099
  t.match(metadata.get('/d', 'a'), { info: file('/d/a'), seen: 1000 })
  const absent = metadata.get('/d', 'b')
  t.ok(absent !== undefined && absent.info === undefined, 'an absence is knowledge too')
  clock.now = 1100
  t.equal(metadata.get('/d', 'a'), undefined)
  t.equal(metadata.get('/d', 'b'), undefined)
  t.end()
})

void t.test('a complete listing tells what is absent', t => {
  const { clock, metadata } = cache()
  const listing = metadata.begin('/d')
  metadata.putPage('/d', [['a', file('/d/a')]], 1000)
  t.equal(metadata.get('/d', 'b'), undefined, 'not before its end')
  t.equal(metadata.listing('/d'), undefined)
  metadata.complete('/d', listing)
  t.equal(metadata.get('/d', 'b')?.info, undefined)
  t.ok(metadata.get('/d', 'b') !== undefined)
  t.same(names(metadata.listing('/d')), ['/d/a'])
  clock.now = 1100
  t.equal(metadata.get('/d', 'b'), undefined)
  t.equal(metadata.listing('/d'), undefined)
  t.end()
})

void t.test('a stretch of a listing tells what is absent in it', t => {
  const { clock, metadata } = cache()
  const isAbsent = (name: string): boolean => {
    const known = metadata.get('/d', name)
    return known !== undefined && known.info === undefined
  }
  metadata.told('/d', { after: '', upTo: 'z' }, 1000)
  t.notOk(isAbsent('b'), 'of a directory of which nothing is kept')
  metadata.putPage('/d', [['m', file('/d/m')]], 1000)
  t.notOk(metadata.isPartlyTold('/d'))
  metadata.told('/d', { after: 'c', upTo: 'm' }, 1000)
  t.ok(metadata.isPartlyTold('/d'))
  t.equal(metadata.isComplete('/d'), false)
  t.same(metadata.get('/d', 'm')?.info, file('/d/m'))
  for (const name of ['c-', 'd', 'lzz']) t.ok(isAbsent(name), name)
  // A directory m. would be listed before m/, but not before m; c itself came before.
  for (const name of ['a', 'c', 'm.', 'n']) t.notOk(isAbsent(name), name)
  metadata.changed('/d', 'e', file('/d/e'))
  t.same(metadata.get('/d', 'e')?.info, file('/d/e'), 'what was made here is there')
  clock.now = 1100
  t.notOk(isAbsent('d'))
  t.notOk(metadata.isPartlyTold('/d'))
  metadata.forget('/d')
  metadata.putPage('/d', [['m', file('/d/m')]], 1101)
  metadata.told('/d', { after: '', upTo: 'z' }, 1050)
  t.notOk(isAbsent('d'), 'asked for before it was forgotten')
  t.end()
})

void t.test('names are looked for by their beginning', t => {
  const { metadata } = cache()
  t.notOk(metadata.hasName('/d', 'a'))
  metadata.put('/d', 'a1', file('/d/a1'), 1000)
  metadata.put('/d', 'b1', undefined, 1000)
  t.ok(metadata.hasName('/d', 'a'))
  t.notOk(metadata.hasName('/d', 'b'), 'one that is known to be absent does not count')
  t.end()
})

void t.test('a new complete listing drops what it did not show', t => {
  const { clock, metadata } = cache()
  const first = metadata.begin('/d')
  metadata.putPage(
    '/d',
    [
      ['a', file('/d/a')],
      ['b', file('/d/b')],
    ],
    1000,
  )
  metadata.complete('/d', first)
  clock.now = 1005
  const second = metadata.begin('/d')
  clock.now = 1010
  metadata.changed('/d', 'made', file('/d/made'))
  metadata.putPage('/d', [['b', file('/d/b')]], 1005)
  metadata.complete('/d', second)
  t.same(names(metadata.listing('/d')), ['/d/b', '/d/made'], 'but not what was made meanwhile')
  t.end()
})

void t.test('a late answer does not undo a change made here', t => {
  const { clock, metadata } = cache()
  clock.now = 1020
  metadata.changed('/d', 'removed', undefined)
  metadata.changed('/d', 'written', file('/d/written', 2))
  metadata.put('/d', 'removed', file('/d/removed'), 1010)
  metadata.putPage('/d', [['written', file('/d/written', 1)]], 1010)
  t.equal(metadata.get('/d', 'removed')?.info, undefined)
  t.equal(metadata.get('/d', 'written')?.info?.size, 2)
  t.ok(metadata.changedSince('/d', 'removed', 1010))
  t.notOk(metadata.changedSince('/d', 'removed', 1021))
  metadata.put('/d', 'removed', file('/d/removed'), 1021)
  t.equal(metadata.get('/d', 'removed')?.info?.path, '/d/removed', 'a later one does')
  t.end()
})

void t.test('of two answers the one asked for later counts', t => {
  const { clock, metadata } = cache()
  clock.now = 1050
  metadata.put('/d', 'a', file('/d/a', 2), 1040)
  metadata.put('/d', 'a', file('/d/a', 1), 1030)
  t.equal(metadata.get('/d', 'a')?.info?.size, 2)
  t.end()
})

void t.test('a directory, or a tree, can be forgotten', t => {
  const { metadata } = cache()
  for (const directory of ['/d', '/d/e', '/d/e/f', '/dd', '/']) {
    metadata.put(directory, 'a', file('x'), 1000)
  }
  metadata.forget('/d/e')
  t.equal(metadata.get('/d/e', 'a'), undefined)
  t.ok(metadata.get('/d/e/f', 'a'))
  metadata.forgetTree('/d')
  t.equal(metadata.get('/d', 'a'), undefined)
  t.equal(metadata.get('/d/e/f', 'a'), undefined)
  t.ok(metadata.get('/dd', 'a'))
  metadata.forgetTree('/')
  t.equal(metadata.get('/dd', 'a'), undefined)
  t.equal(metadata.get('/', 'a'), undefined)
  t.end()
})

void t.test('a time-to-live of 0 keeps nothing but the order of changes', t => {
  const { metadata } = cache(0)
  metadata.put('/d', 'a', file('/d/a'), 1000)
  const listing = metadata.begin('/d')
  metadata.putPage('/d', [['b', file('/d/b')]], 1000)
  metadata.complete('/d', listing)
  metadata.changed('/d', 'c', file('/d/c'))
  for (const name of ['a', 'b', 'c', 'd']) t.equal(metadata.get('/d', name), undefined)
  t.equal(metadata.listing('/d'), undefined)
  t.match(metadata.changedSince('/d', 'c', 1000), { info: file('/d/c') })
  t.end()
})

void t.test('directories are dropped whole when there are too many names', t => {
  const { metadata } = cache(1000, 30)
  for (const directory of ['/old', '/new']) {
    const listing = metadata.begin(directory)
    for (let i = 0; i < 20; i += 1)
      metadata.put(directory, `n${i}`, file(`${directory}/n${i}`), 1000)
    metadata.complete(directory, listing)
  }
  t.equal(metadata.get('/old', 'n0'), undefined)
  t.equal(metadata.get('/old', 'other'), undefined, 'and do not pass for complete')
  t.equal(metadata.get('/new', 'n19')?.info?.path, '/new/n19')
  t.end()
})

void t.test('the last directory used stays, up to all names that are kept', t => {
  const { metadata } = cache(1000, 10)
  for (let i = 0; i < 10; i += 1) metadata.put('/huge', `n${i}`, file(`/huge/n${i}`), 1000)
  t.ok(metadata.get('/huge', 'n0'))
  metadata.put('/other', 'a', file('/other/a'), 1000)
  t.equal(metadata.get('/huge', 'n0'), undefined)
  t.ok(metadata.get('/other', 'a'))
  t.end()
})

void t.test('a listing whose first pages were forgotten meanwhile is not complete', t => {
  for (const forget of ['forget', 'forgetTree', 'evict'] as const) {
    const { metadata } = cache(1000, 10)
    const listing = metadata.begin('/d')
    metadata.putPage('/d', [['a', file('/d/a')]], 1000)
    if (forget === 'evict') {
      for (let i = 0; i < 9; i += 1) metadata.put('/other', `n${i}`, file(`/other/n${i}`), 1000)
    } else metadata[forget]('/d')
    metadata.putPage('/d', [['b', file('/d/b')]], 1000)
    metadata.complete('/d', listing)
    t.equal(metadata.get('/d', 'a'), undefined, `nothing is known of what was on them: ${forget}`)
    t.equal(metadata.listing('/d'), undefined)
    t.ok(metadata.get('/d', 'b'))
  }
  t.end()
})

void t.test('a directory with more names than are kept is never complete', t => {
  const { metadata } = cache(100, 500)
  metadata.changed('/d', 'gone', undefined)
  const listing = metadata.begin('/d')
  for (let i = 0; i < 1200; i += 100) {
    const page = Array.from({ length: 100 }, (_, j) => {
      const name = `n${i + j}`
      return [name, file(`/d/${name}`)] as const
    })
    metadata.putPage('/d', page, listing.began)
  }
  metadata.complete('/d', listing)
  t.equal(metadata.listing('/d'), undefined)
  t.ok(metadata.namesIn('/d') <= 600)
  t.equal(metadata.get('/d', 'n0'), undefined, 'what was dropped is not taken for absent')
  t.ok(metadata.get('/d', 'n1199')?.info)
  t.ok(metadata.changedSince('/d', 'gone', 0), 'what was changed here is remembered')
  t.end()
})

void t.test(
  'a directory of just as many names as are kept is listed, and none is taken for absent',
  t => {
    const { metadata } = cache(100, 4)
    const listing = metadata.begin('/d')
    const page = ['a', 'b', 'c', 'd'].map(name => [name, file(`/d/${name}`)] as const)
    metadata.putPage('/d', page, listing.began)
    metadata.complete('/d', listing)
    t.equal(metadata.get('/d', 'a')?.info?.path, '/d/a')
    t.same(names(metadata.listing('/d')), ['/d/a', '/d/b', '/d/c', '/d/d'])
    t.end()
  },
)

void t.test('a page is believed from when it was asked for, and is as old as its listing', t => {
  const { clock, metadata } = cache()
  const listing = metadata.begin('/d')
  clock.now = 1050
  metadata.changed('/d', 'b', undefined)
  clock.now = 1090
  const page = ['a', 'b'].map(name => [name, file(`/d/${name}`)] as const)
  metadata.putPage('/d', page, listing.began, 1080)
  clock.now = 1140
  t.ok(metadata.get('/d', 'a')?.info)
  t.equal(metadata.get('/d', 'b')?.info, undefined, 'the listing began before it was removed')
  t.end()
})

void t.test('what was forgotten on purpose is not brought back by an older answer', t => {
  for (const forget of ['forget', 'forgetTree'] as const) {
    const { clock, metadata } = cache()
    const listing = metadata.begin('/d/e')
    clock.now = 1010
    metadata[forget](forget === 'forget' ? '/d/e' : '/d')
    clock.now = 1020
    metadata.putPage('/d/e', [['a', file('/d/e/a')]], listing.began)
    metadata.put('/d/e', 'b', file('/d/e/b'), 1005)
    metadata.complete('/d/e', listing)
    const late = metadata.begin('/d/e', 1000)
    metadata.complete('/d/e', late)
    for (const name of ['a', 'b', 'c']) t.equal(metadata.get('/d/e', name), undefined, name)
    metadata.put('/d/e', 'b', file('/d/e/b'), 1015)
    t.ok(metadata.get('/d/e', 'b')?.info, 'a younger one is believed')
    metadata.put('/dd', 'a', file('/dd/a'), 1000)
    t.ok(metadata.get('/dd', 'a')?.info, 'and others are not concerned')
  }
  t.end()
})

void t.test('when very much was forgotten on purpose, no older answer is believed', t => {
  const { clock, metadata } = cache(100_000)
  for (let i = 0; i < 2000; i += 1) {
    clock.now = 1000 + i
    metadata.forget(`/d${i}`)
  }
  metadata.put('/other', 'a', file('/other/a'), 1500)
  t.equal(metadata.get('/other', 'a'), undefined)
  metadata.put('/other', 'a', file('/other/a'), 2500)
  t.ok(metadata.get('/other', 'a'))
  t.end()
})

void t.test('what is in a directory shows that it is there, and all above', t => {
  const { clock, metadata } = cache()
  metadata.put('/', 'a', { path: '/a', size: 0, isDir: true }, 1000)
  metadata.put('/a', 'b', { path: '/a/b', size: 0, isDir: true }, 1000)
  metadata.put('/a', 'c', { path: '/a/c', size: 0, isDir: true }, 1000)
  clock.now = 1090
  metadata.putPage('/a/b', [['f', file('/a/b/f')]], 1080)
  metadata.putPage('/a/c', [], 1080)
  clock.now = 1150
  t.ok(metadata.get('/', 'a')?.info)
  t.ok(metadata.get('/a', 'b')?.info)
  t.equal(metadata.get('/a', 'c'), undefined, 'not so of an empty one')
  metadata.changed('/a', 'b', undefined)
  metadata.putPage('/a/b', [['g', file('/a/b/g')]], 1120)
  t.equal(metadata.get('/a', 'b')?.info, undefined, 'nor of one that was removed here since')
  t.end()
})

function listed(metadata: MetadataCache, directory: string, name: string): void {
  const listing = metadata.begin(directory)
  metadata.putPage(directory, [[name, file(`${directory}/${name}`)]], listing.began)
  metadata.complete(directory, listing)
}

void t.test('what a walk has brought is believed until it has come by', t => {
  const { clock, metadata } = cache()
  listed(metadata, '/t/a', 'f')
  listed(metadata, '/t/b', 'f')
  listed(metadata, '/u', 'f')
  for (clock.now = 1050; clock.now < 1400; clock.now += 50) metadata.walking('/t')
  t.same(names(metadata.listing('/t/a')), ['/t/a/f'])
  t.ok(metadata.get('/t/a', 'f'))
  t.equal(metadata.get('/t/a', 'other'), undefined, 'absences are not')
  t.equal(metadata.listing('/u'), undefined)
  metadata.reading('/t/a')
  for (; clock.now < 1550; clock.now += 50) metadata.walking('/t')
  t.equal(metadata.listing('/t/a'), undefined, 'it was read so long ago')
  t.same(names(metadata.listing('/t/b')), ['/t/b/f'])
  clock.now += 100
  t.equal(metadata.listing('/t/b'), undefined, 'the walk is over')
  t.end()
})

void t.test('a directory is believed while somebody reads it or is below it', t => {
  const { clock, metadata } = cache()
  listed(metadata, '/t', 'd')
  listed(metadata, '/t/d', 'f')
  metadata.reading('/t')
  for (clock.now = 1050; clock.now < 1400; clock.now += 50) metadata.reading('/t/d')
  t.ok(metadata.get('/t', 'd'))
  t.ok(metadata.validity('/t', 'd', 1000) > 0)
  t.equal(metadata.isEmpty('/t/d'), false)
  t.equal(metadata.listing('/t'), undefined, 'who lists it anew learns what is new')
  metadata.changed('/t/d', 'f', undefined)
  t.equal(metadata.isEmpty('/t/d'), true)
  clock.now += 100
  t.equal(metadata.isEmpty('/t/d'), undefined)
  t.equal(metadata.get('/t', 'd'), undefined)
  t.equal(metadata.validity('/t', 'd', 1000), 0)
  t.end()
})

void t.test('nobody is believed for longer than ten seconds because he is slow', t => {
  const { clock, metadata } = cache()
  listed(metadata, '/t', 'd')
  for (; clock.now < 11_000; clock.now += 50) metadata.reading('/t')
  t.equal(metadata.get('/t', 'd'), undefined)
  t.equal(metadata.isEmpty('/t'), undefined)
  t.end()
})
