import fc from 'fast-check'
import t from 'tap'
import type { ListedObject, ListPage } from '../../../src/driver/bos/documents.js'
import { ListingMerger, listPages, type ListQuery } from '../../../src/driver/bos/list.js'
import { componentProblem } from '../../../src/driver/path.js'
import { compareUtf8 } from '../../../src/util/utf8.js'
import { failure } from '../helpers.js'

function object(key: string): ListedObject {
  return { key, size: key.length, etag: `e-${key}`, modTime: new Date(0) }
}

/** BOS's rules for one page: see the description of ListObjects. */
function serve(keys: readonly string[], query: ListQuery, maxKeys: number): ListPage {
  const { prefix, delimiter, marker = '' } = query
  const objects: ListedObject[] = []
  const prefixes: string[] = []
  let last = ''
  for (const key of keys) {
    if (!key.startsWith(prefix) || compareUtf8(key, marker) <= 0) continue
    const slash = delimiter === undefined ? -1 : key.indexOf(delimiter, prefix.length)
    const group = slash === -1 ? undefined : key.slice(0, slash + 1)
    if (group !== undefined && (marker.startsWith(group) || prefixes.at(-1) === group)) continue
    if (objects.length + prefixes.length === maxKeys) {
      return { objects, prefixes, truncated: true, nextMarker: last }
    }
    if (group === undefined) objects.push(object(key))
    else prefixes.push(group)
    last = key
  }
  return { objects, prefixes, truncated: false }
}

interface Listing {
  readonly files: string[]
  readonly directories: string[]
  readonly hidden: number
  readonly mostHeld: number
}

async function listing(
  keys: readonly string[],
  options: { path?: string; prefix: string; pageSize: number; startAfter?: string },
): Promise<Listing> {
  const { prefix, pageSize, path = '/d', startAfter } = options
  const merger = new ListingMerger({ path, prefix, startAfter })
  const query: ListQuery = {
    prefix,
    delimiter: '/',
    ...(startAfter === undefined ? {} : { marker: prefix + startAfter }),
  }
  const files: string[] = []
  const directories: string[] = []
  let hidden = 0
  let mostHeld = 0
  for await (const page of listPages(async asked => serve(keys, asked, pageSize), query)) {
    const merged = merger.add(page)
    hidden += merged.hidden
    mostHeld = Math.max(mostHeld, merger.held)
    for (const entry of merged.entries) {
      const name = entry.path.slice(path === '/' ? 1 : path.length + 1)
      if (entry.isDir) directories.push(name)
      else files.push(name)
    }
  }
  t.equal(merger.held, 0)
  return { files: files.toSorted(), directories: directories.toSorted(), hidden, mostHeld }
}

/** What a listing must come to, said directly. */
function expected(
  keys: readonly string[],
  prefix: string,
  startAfter?: string,
): Omit<Listing, 'mostHeld'> {
  const files = new Set<string>()
  const directories = new Set<string>()
  const hiddenObjects = new Set<string>()
  const hiddenGroups = new Set<string>()
  for (const key of keys) {
    if (!key.startsWith(prefix) || key === prefix) continue
    const rest = key.slice(prefix.length)
    const slash = rest.indexOf('/')
    const name = slash === -1 ? rest : rest.slice(0, slash)
    if (componentProblem(name) !== undefined)
      (slash === -1 ? hiddenObjects : hiddenGroups).add(name)
    else (slash === -1 ? files : directories).add(name)
  }
  const isWanted = (name: string): boolean =>
    startAfter === undefined || compareUtf8(name, startAfter) > 0
  return {
    files: [...files].filter(name => !directories.has(name) && isWanted(name)).toSorted(),
    directories: [...directories].filter(isWanted).toSorted(),
    hidden: hiddenObjects.size + hiddenGroups.size,
  }
}

const component = fc.constantFrom('', '.', '..', 'a', 'a!', 'a-', 'a-b', 'b', '\uffee', '\u{1f600}')
const key = fc
  .array(component, { minLength: 1, maxLength: 3 })
  .map(components => `p/${components.join('/')}`)
const keySet = fc.uniqueArray(key, { maxLength: 30 }).map(keys => keys.toSorted(compareUtf8))

void t.test('any keys in pages of any size give each name once, directories first', async t => {
  await fc.assert(
    fc.asyncProperty(keySet, fc.integer({ min: 1, max: 7 }), async (keys, pageSize) => {
      const { mostHeld: _, ...found } = await listing(keys, { prefix: 'p/', pageSize })
      t.same(found, expected(keys, 'p/'))
    }),
    { numRuns: 300 },
  )
})

void t.test('a listing that starts behind a name has the names behind it', async t => {
  const name = fc.constantFrom('a', 'a!', 'a-', 'a-b', 'b', '\uffee')
  await fc.assert(
    fc.asyncProperty(
      keySet,
      fc.integer({ min: 1, max: 5 }),
      name,
      async (keys, pageSize, after) => {
        const found = await listing(keys, { prefix: 'p/', pageSize, startAfter: after })
        const { files, directories } = expected(keys, 'p/', after)
        t.same(found.files, files)
        t.same(found.directories, directories)
      },
    ),
    { numRuns: 300 },
  )
})

void t.test('a file pages away from its directory is not shown', async t => {
  const between = Array.from({ length: 50 }, (_, i) => `p/a-${String(i).padStart(3, '0')}`)
  const found = await listing(['p/a', ...between, 'p/a/x'], { prefix: 'p/', pageSize: 7 })
  t.equal(found.files.length, 50)
  t.same(found.directories, ['a'])
  t.ok(found.mostHeld <= 3, 'and little is held back meanwhile')
})

void t.test("the driver's own prefix is not shown at the root, and elsewhere is", async t => {
  const keys = ['.bosmount/tails/u', 'a', 'd/.bosmount/x']
  const root = await listing(keys, { path: '/', prefix: '', pageSize: 10 })
  t.same([root.files, root.directories, root.hidden], [['a'], ['d'], 0])
  const inner = await listing(keys, { prefix: 'd/', pageSize: 10 })
  t.same(inner.directories, ['.bosmount'])
})

void t.test('a page without a marker is followed from its last entry', async t => {
  const asked: (string | undefined)[] = []
  const pages: ListPage[] = [
    { objects: [object('p/a')], prefixes: ['p/b/'], truncated: true },
    { objects: [object('p/c')], prefixes: ['p/b/'], truncated: true },
    { objects: [], prefixes: [], truncated: false },
  ]
  const merger = new ListingMerger({ path: '/p', prefix: 'p/' })
  const names: string[] = []
  const fetch = async ({ marker }: ListQuery): Promise<ListPage> => {
    asked.push(marker)
    return pages[asked.length - 1] ?? { objects: [], prefixes: [], truncated: false }
  }
  for await (const page of listPages(fetch, { prefix: 'p/', delimiter: '/' })) {
    names.push(...merger.add(page).entries.map(entry => entry.path))
  }
  t.same(asked, [undefined, 'p/b/', 'p/c'])
  t.same(names.toSorted(), ['/p/a', '/p/b', '/p/c'], 'a repeated prefix comes once')
})

void t.test('a listing that does not advance is an error, not a loop', async t => {
  const stuck: ListPage = { objects: [], prefixes: [], truncated: true, nextMarker: 'x' }
  const drain = async (page: ListPage): Promise<void> => {
    for await (const _ of listPages(async () => page, { prefix: '' })) continue
  }
  t.match(await failure(drain(stuck)), { kind: 'integrity' })
  t.match(await failure(drain({ objects: [], prefixes: [], truncated: true })), {
    kind: 'integrity',
  })
})
