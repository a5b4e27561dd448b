/**
 * Reads the TAP of one test file and counts honestly.
 *
 * What counts is the leaf, not the point that sums up a subtest: an assertion, or a subtest that has
 * none and fails by throwing, as property tests do. A summing point that fails although nothing below
 * it failed (a time limit, a broken plan) is one failure.
 */
import { Parser } from 'tap-parser'

/**
 * @returns counts: passed, skipped, todo, and failures, each with a name and lines that say why.
 *   It settles when the stream ends.
 */
export function countTap(stream) {
  const counts = { passed: 0, skipped: 0, todo: 0, failures: [] }
  const parser = new Parser()
  watchPoints(parser, counts)
  parser.on('bailout', reason => {
    counts.failures.push({ name: 'bail out', lines: [reason || 'no reason given'] })
  })
  return new Promise((resolve, reject) => {
    parser.on('complete', results => {
      if (!results.ok && counts.failures.length === 0) {
        const errors = results.failures.map(({ tapError, name }) => tapError ?? name)
        counts.failures.push({ name: 'the TAP is broken', lines: errors })
      }
      resolve(counts)
    })
    stream.once('error', reject)
    // Also when it is cut off.
    stream.once('close', () => parser.end())
    stream.pipe(parser)
  })
}

/** Counts the assertions of a file or subtest and of what is nested in it. */
function watchPoints(parser, counts) {
  let failedBefore = 0
  let last
  parser.on('child', child => {
    last = child
    failedBefore = counts.failures.length
    watchPoints(child, counts)
  })
  parser.on('assert', point => {
    const name = point.fullname || point.name
    const asSummary = point.closingTestPoint && last !== undefined && last.count > 0
    if (point.todo) counts.todo += 1
    else if (point.skip) counts.skipped += 1
    else if (point.ok) counts.passed += asSummary ? 0 : 1
    else if (!asSummary || counts.failures.length === failedBefore) {
      counts.failures.push({ name, lines: describe(point.diag ?? {}) })
    }
  })
}

/** The diagnosis of a failed point, most telling part first. */
function describe(diagnosis) {
  const { diff, at, stack, source, ...rest } = diagnosis
  const where =
    at?.fileName === undefined ? undefined : `at ${at.fileName}:${at.lineNumber}:${at.columnNumber}`
  const others = Object.entries(rest)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => `${key}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
  return [where, diff, ...others, stack, source]
    .filter(part => typeof part === 'string' && part !== '')
    .flatMap(part => part.trimEnd().split(/\r?\n/))
    .slice(0, MAX_LINES)
}

/** Of one failure; more than this is seldom read, and a differing blob can be endless. */
const MAX_LINES = 80
