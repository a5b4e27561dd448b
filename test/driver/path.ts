import fc from 'fast-check'
import t from 'tap'
import { InvalidPathError, PathNotFoundError } from '../../src/driver/errors.js'
import {
  baseName,
  childPath,
  comparePaths,
  isBelow,
  isReserved,
  parentPath,
  pathChecks,
  pathProblem,
  withAncestors,
} from '../../src/driver/path.js'

const PROBLEMS: readonly (readonly [string, RegExp | undefined])[] = [
  ['/a', undefined],
  ['/a b/ü/…/.../a..b', undefined],
  [`/${'x'.repeat(255)}`, undefined],
  [`/${'ü'.repeat(127)}`, undefined],
  ['', /empty/],
  ['a', /does not start/],
  ['/', /root/],
  ['/a/', /ends with a slash/],
  ['//', /ends with a slash/],
  ['//a', /empty component/],
  ['/a//b', /empty component/],
  ['/./a', /component '\.'/],
  ['/a/..', /component '\.\.'/],
  ['/a\0', /NUL/],
  ['/\ud800', /Unicode/],
  [`/${'x'.repeat(256)}`, /longer than 255/],
  [`/${'ü'.repeat(128)}`, /longer than 255/],
  [`/${'x'.repeat(200)}`.repeat(6), /longer than 1024/],
]

void t.test('every rule of paths is told', async t => {
  for (const [path, expected] of PROBLEMS) {
    const problem = pathProblem(path)
    if (expected === undefined) t.equal(problem, undefined, JSON.stringify(path))
    else t.match(problem, expected, JSON.stringify(path))
  }
})

void t.test('the key prefix counts towards the length of the key', async t => {
  const path = `/${'x'.repeat(255)}`.repeat(4).slice(0, -2)
  t.equal(Buffer.byteLength(path), 1022)
  t.equal(pathProblem(path, { keyPrefixBytes: 3 }), undefined)
  t.match(pathProblem(path, { keyPrefixBytes: 4 }), /1024/)
})

void t.test('the reserved name can neither be made nor found', async t => {
  const checks = pathChecks('some', {})
  t.throws(() => checks.target('/.bosmount/x'), InvalidPathError)
  t.throws(() => checks.existing('/.bosmount'), PathNotFoundError)
  t.throws(() => checks.directory('/.bosmount'), PathNotFoundError)
  for (const path of ['/.bosmount/unlinked', '/.bosmount/unlinked/a/b']) {
    t.throws(() => checks.target(path), InvalidPathError, path)
    t.throws(() => checks.existing(path), PathNotFoundError, path)
  }
  t.throws(() => checks.existing('/'), InvalidPathError)
  t.doesNotThrow(() => checks.directory('/'))
  t.doesNotThrow(() => checks.target('/.bosmounts'))
  t.doesNotThrow(() => checks.target('/a/.bosmount'))
  t.notOk(isReserved('/a/.bosmount'))
  t.throws(() => checks.target('x'), { message: /^some: invalid path "x"/ })
})

void t.test('paths are taken apart and put together', async t => {
  t.equal(childPath('/', 'a'), '/a')
  t.equal(childPath('/a', 'b'), '/a/b')
  t.equal(baseName('/a/b'), 'b')
  t.ok(isBelow('/a/b', '/a'))
  t.ok(isBelow('/a', '/'))
  t.notOk(isBelow('/a', '/a'))
  t.notOk(isBelow('/ab', '/a'))
  t.notOk(isBelow('/', '/'))
})

void t.test('paths are compared as a walk meets them', async t => {
  const name = fc.constantFrom('a', 'a-', 'a.b', 'b', 'ü', '\uffee', '\u{1f600}')
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map(names => `/${names.join('/')}`)
  const key = (text: string): Buffer => Buffer.from(text.replaceAll('/', '\0'))
  fc.assert(
    fc.property(path, path, (a, b) => {
      return Math.sign(comparePaths(a, b)) === Buffer.compare(key(a), key(b))
    }),
  )
  t.ok(comparePaths('/folder1/file', '/folder1-suffix') < 0)
})

void t.test('the directories above a path are known from it', t => {
  t.equal(parentPath('/a/b/c'), '/a/b')
  t.equal(parentPath('/a'), '/')
  t.equal(parentPath('/'), '/')
  t.same([...withAncestors('/a/b')], ['/a/b', '/a', '/'])
  t.same([...withAncestors('/')], ['/'])
  t.end()
})
