import fc from 'fast-check'
import t from 'tap'
import { listPage, type KeyCursor, type ListPage, type ListQuery } from '../../src/server/list.js'

const compare = (one: string, other: string) => Buffer.compare(Buffer.from(one), Buffer.from(other))

/** A cursor over keys in memory that counts the entries it has handed out. */
function cursorOver(keys: readonly string[]): KeyCursor<string> & { readonly visited: number } {
  const sorted = keys.toSorted(compare).map(key => Buffer.from(key))
  let visited = 0
  return {
    get visited() {
      return visited
    },
    *seek(from) {
      for (const key of sorted) {
        if (Buffer.compare(key, from) < 0) continue
        visited += 1
        yield { key, value: String(key) }
      }
    },
  }
}

function page(keys: readonly string[], query: Partial<ListQuery>): ListPage<string> {
  return listPage(cursorOver(keys), {
    prefix: '',
    delimiter: '',
    marker: '',
    limit: 1000,
    ...query,
  })
}

const names = (result: ListPage<string>) => result.entries.map(entry => entry.key)

// What the service answers, as its own SDK's tests have it.
const TREE = [
  'dir0/dir1/key0',
  'dir0/key0',
  'dir0/key1',
  'dir1/key0',
  'dir3/key0',
  'dir4/key0',
  'key',
]

void t.test('a marker inside a directory does not bring the directory back', async t => {
  const result = page(TREE, { delimiter: '/', marker: 'dir0/key0', limit: 3 })
  t.strictSame(result.commonPrefixes, ['dir1/', 'dir3/', 'dir4/'])
  t.strictSame(names(result), [])
  t.equal(result.isTruncated, true)
  t.equal(result.nextMarker, 'dir4/key0')
})

void t.test('the next marker may be a key in the middle of the page', async t => {
  const result = page(TREE, { prefix: 'dir0/', delimiter: '/', limit: 2 })
  t.strictSame(result.commonPrefixes, ['dir0/dir1/'])
  t.strictSame(names(result), ['dir0/key0'])
  t.equal(result.nextMarker, 'dir0/key0')
})

void t.test('the key that equals the prefix is listed', async t => {
  t.strictSame(names(page(['fun/', 'fun/a', 'fun/b/c'], { prefix: 'fun/', delimiter: '/' })), [
    'fun/',
    'fun/a',
  ])
})

void t.test('a full last page is not truncated', async t => {
  const result = page(['a', 'b'], { limit: 2 })
  t.equal(result.isTruncated, false)
  t.equal(result.nextMarker, undefined)
  t.strictSame(names(page(['a'], { limit: 0 })), [])
})

void t.test('order is that of UTF-8 bytes, not of UTF-16', async t => {
  const keys = ['\u{10000}', '\uffee', 'a', 'Z', 'é']
  t.strictSame(names(page(keys, {})), ['Z', 'a', 'é', '\uffee', '\u{10000}'])
})

void t.test('a directory is skipped without visiting what is in it', async t => {
  const keys = Array.from({ length: 500 }, (_, index) => `big/${index}`)
  const cursor = cursorOver([...keys, 'z'])
  const result = listPage(cursor, { prefix: '', delimiter: '/', marker: '', limit: 10 })
  t.strictSame(result.commonPrefixes, ['big/'])
  t.ok(cursor.visited <= 3, `visited ${cursor.visited}`)
})

void t.test('a repeated key stays on one page', async t => {
  const result = page(['a', 'b', 'b', 'b', 'c'], { limit: 2 })
  t.strictSame(names(result), ['a', 'b', 'b', 'b'])
  t.equal(result.nextMarker, 'b')
})

/** The whole listing by the plainest means. */
function reference(keys: readonly string[], prefix: string, delimiter: string) {
  const entries: string[] = []
  const prefixes = new Set<string>()
  for (const key of keys.toSorted(compare)) {
    if (!key.startsWith(prefix)) continue
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
    if (at === -1) entries.push(key)
    else prefixes.add(key.slice(0, at + delimiter.length))
  }
  return { entries, prefixes: [...prefixes] }
}

const keyText = fc.string({
  unit: fc.constantFrom('a', 'b', '/', '\u00ff', '\uffff', '\u{10ffff}'),
  minLength: 1,
  maxLength: 6,
})

void t.test('the pages of a listing together are what a plain scan gives', async t => {
  const query = fc.record({
    keys: fc.uniqueArray(keyText, { maxLength: 30 }),
    prefix: fc.oneof(
      fc.constant(''),
      keyText.map(text => Array.from(text).slice(0, 2).join('')),
    ),
    delimiter: fc.constantFrom('', '/', '\u{10ffff}'),
    limit: fc.integer({ min: 1, max: 5 }),
  })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(query, ({ keys, prefix, delimiter, limit }) => {
        const entries: string[] = []
        const prefixes: string[] = []
        let marker = ''
        for (let pages = 0; pages < 100; pages += 1) {
          const result = page(keys, { prefix, delimiter, limit, marker })
          entries.push(...names(result))
          prefixes.push(...result.commonPrefixes)
          if (result.nextMarker === undefined) break
          if (!keys.includes(result.nextMarker)) return false
          marker = result.nextMarker
        }
        const expected = reference(keys, prefix, delimiter)
        return (
          JSON.stringify([entries, prefixes]) ===
          JSON.stringify([expected.entries, expected.prefixes])
        )
      }),
      { numRuns: 500 },
    ),
  )
})

void t.test('any marker leaves out what is not behind it, and its own group', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.uniqueArray(keyText, { maxLength: 20 }), keyText, (keys, marker) => {
        const result = page(keys, { delimiter: '/', marker })
        const expected = reference(
          keys.filter(key => compare(key, marker) > 0),
          '',
          '/',
        )
        const prefixes = expected.prefixes.filter(prefix => !marker.startsWith(prefix))
        return (
          JSON.stringify([names(result), result.commonPrefixes]) ===
          JSON.stringify([expected.entries, prefixes])
        )
      }),
      { numRuns: 500 },
    ),
  )
})
