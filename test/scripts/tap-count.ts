/** The counts that `npm test` ends with must be true whatever a test file does. */
import { PassThrough } from 'node:stream'
import t from 'tap'
import { projectPath } from '../helpers/project.js'

interface Counts {
  passed: number
  skipped: number
  todo: number
  failures: { name: string; lines: string[] }[]
}

const tapCounter = (await import(projectPath('scripts/tap-count.mjs'))) as {
  countTap(stream: PassThrough): Promise<Counts>
}

function count(tap: string): Promise<Counts> {
  const stream = new PassThrough()
  const counts = tapCounter.countTap(stream)
  stream.end(tap)
  return counts
}

void t.test('only leaf assertions are counted', async t => {
  const counts = await count(`TAP version 14
# Subtest: outer
    # Subtest: inner
        ok 1 - a
        ok 2 - b
        1..2
    ok 1 - inner
    ok 2 - c
    1..2
ok 1 - outer
1..1
`)
  t.same(counts, { passed: 3, skipped: 0, todo: 0, failures: [] })
})

void t.test('a failed assertion counts once, however deep it lies', async t => {
  const counts = await count(`TAP version 14
# Subtest: outer
    # Subtest: inner
        not ok 1 - a
        ok 2 - b
        1..2
    not ok 1 - inner
    1..1
not ok 1 - outer
1..1
`)
  t.equal(counts.passed, 1)
  t.same(
    counts.failures.map(({ name }) => name),
    ['outer > inner > a'],
  )
})

void t.test('a subtest that breaks its plan is a failure of its own', async t => {
  const counts = await count(`TAP version 14
# Subtest: cut short
    ok 1 - a
    1..2
not ok 1 - cut short
1..1
`)
  t.equal(counts.passed, 1)
  t.same(
    counts.failures.map(({ name }) => name),
    ['cut short'],
  )
})

void t.test('a stream that breaks off is a failure', async t => {
  const counts = await count('TAP version 14\nok 1 - a\n')
  t.equal(counts.passed, 1)
  t.equal(counts.failures.length, 1)
})

void t.test('a bail-out is a failure', async t => {
  const counts = await count('TAP version 14\nok 1 - a\nBail out! no disk\n')
  t.match(counts.failures, [{ name: 'bail out', lines: ['no disk'] }])
})

void t.test('a subtest that fails only by throwing counts once', async t => {
  const counts = await count(`TAP version 14
# Subtest: property
    1..0
ok 1 - property
1..1
`)
  t.same(counts, { passed: 1, skipped: 0, todo: 0, failures: [] })
})

void t.test('what is skipped or still to do has not passed', async t => {
  const counts = await count(`TAP version 14
ok 1 - a # SKIP no reason
not ok 2 - b # TODO later
ok 3 - c
1..3
`)
  t.same(counts, { passed: 1, skipped: 1, todo: 1, failures: [] })
})
