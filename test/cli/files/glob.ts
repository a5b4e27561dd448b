/** Patterns of names. What they find in a bucket is in ../commands/files.ts. */
import t from 'tap'
import { isPattern, matcher } from '../../../src/cli/files/glob.js'

const TABLE: readonly (readonly [
  pattern: string,
  yes: readonly string[],
  no: readonly string[],
])[] = [
  ['*', ['a', 'a.b', 'ü', 'a\nb'], ['.a', '.']],
  ['.*', ['.a'], ['a']],
  ['?', ['a', '文', '😀'], ['ab', '', '.']],
  ['a*c', ['ac', 'abc'], ['acd', 'bac']],
  ['[a-c]x', ['ax', 'cx'], ['dx', 'x']],
  ['[!a-c]x', ['dx'], ['ax']],
  ['[^a]', ['b'], ['a']],
  ['[]]', [']'], ['[']],
  ['[a', ['[a'], ['a']],
  ['[z-a]', [], ['a', 'z']],
  ['a.b', ['a.b'], ['axb']],
  ['a+(b)', ['a+(b)'], ['aab']],
  ['\\*', ['*'], ['a']],
  ['\\.x', ['.x'], ['x']],
]

void t.test('a name matches as it would in a shell', t => {
  for (const [pattern, yes, no] of TABLE) {
    const matches = matcher(pattern)
    for (const name of yes) t.ok(matches(name), `${pattern} matches ${JSON.stringify(name)}`)
    for (const name of no) t.notOk(matches(name), `${pattern} does not match ${name}`)
  }
  t.end()
})

void t.test('what has no special character is no pattern', t => {
  t.notOk(isPattern('/a/b-c.d'))
  for (const path of ['/a*', '/a?', '/[a]', '/a\\*']) t.ok(isPattern(path), path)
  t.end()
})
