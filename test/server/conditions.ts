import t from 'tap'
import {
  holdsForCopySource,
  holdsForWrite,
  judgeRead,
  readConditions,
  unquote,
  type Conditions,
} from '../../src/server/conditions.js'

const VERSION = { etag: 'abc', modified: Date.parse('2024-05-01T10:00:00.700Z') }
const BEFORE = 'Wed, 01 May 2024 09:59:59 GMT'
const SAME = 'Wed, 01 May 2024 10:00:00 GMT'

void t.test('a read goes ahead, is not modified, or fails', async t => {
  const cases: readonly [Conditions, string][] = [
    [{}, 'proceed'],
    [{ ifMatch: '"abc"' }, 'proceed'],
    [{ ifMatch: 'abc' }, 'proceed'],
    [{ ifMatch: '"x", "abc"' }, 'proceed'],
    [{ ifMatch: '*' }, 'proceed'],
    [{ ifMatch: '"x"' }, 'failed'],
    [{ ifNoneMatch: '"abc"' }, 'not-modified'],
    [{ ifNoneMatch: 'W/"abc"' }, 'not-modified'],
    [{ ifNoneMatch: '*' }, 'not-modified'],
    [{ ifNoneMatch: '"x"' }, 'proceed'],
    [{ ifModifiedSince: SAME }, 'not-modified'],
    [{ ifModifiedSince: BEFORE }, 'proceed'],
    [{ ifModifiedSince: 'nonsense' }, 'proceed'],
    [{ ifUnmodifiedSince: SAME }, 'proceed'],
    [{ ifUnmodifiedSince: BEFORE }, 'failed'],
    [{ ifMatch: '"abc"', ifUnmodifiedSince: BEFORE }, 'proceed'],
    [{ ifNoneMatch: '"x"', ifModifiedSince: SAME }, 'proceed'],
    [{ ifNoneMatch: '"abc"', ifModifiedSince: BEFORE }, 'not-modified'],
    [{ ifMatch: '"x"', ifNoneMatch: '"abc"' }, 'failed'],
  ]
  for (const [conditions, expected] of cases) {
    t.equal(judgeRead(VERSION, conditions), expected, JSON.stringify(conditions))
  }
})

void t.test('a write goes ahead only if its conditions hold', async t => {
  const cases: readonly [Conditions, typeof VERSION | undefined, boolean][] = [
    [{}, undefined, true],
    [{}, VERSION, true],
    [{ ifNoneMatch: '*' }, undefined, true],
    [{ ifNoneMatch: '*' }, VERSION, false],
    [{ ifNoneMatch: '"abc"' }, VERSION, false],
    [{ ifNoneMatch: '"x"' }, VERSION, true],
    [{ ifMatch: '"abc"' }, VERSION, true],
    [{ ifMatch: '"x"' }, VERSION, false],
    [{ ifMatch: '"abc"' }, undefined, false],
    [{ ifMatch: '*' }, undefined, false],
    [{ ifUnmodifiedSince: BEFORE }, VERSION, false],
    [{ ifUnmodifiedSince: BEFORE }, undefined, true],
    [{ ifMatch: '"abc"', ifUnmodifiedSince: BEFORE }, VERSION, true],
  ]
  for (const [conditions, current, expected] of cases) {
    t.equal(holdsForWrite(current, conditions), expected, JSON.stringify(conditions))
  }
})

void t.test('a copy source that is not modified fails like any other', async t => {
  t.equal(holdsForCopySource(VERSION, { ifNoneMatch: '"abc"' }), false)
  t.equal(holdsForCopySource(VERSION, { ifModifiedSince: SAME }), false)
  t.equal(holdsForCopySource(VERSION, { ifMatch: '"abc"' }), true)
})

void t.test('conditions are collected by prefix, empty ones left out', async t => {
  const headers = { 'if-match': '', 'if-none-match': '*', 'x-bce-copy-source-if-match': '"a"' }
  t.match(readConditions(headers), { ifMatch: undefined, ifNoneMatch: '*' })
  t.equal(readConditions(headers, 'x-bce-copy-source-').ifMatch, '"a"')
})

void t.test('quotes and a weakness mark are no part of an etag', async t => {
  t.equal(unquote(' W/"-a" '), '-a')
  t.equal(unquote('a'), 'a')
})
