import t from 'tap'
import { BosError, type BosErrorDetails } from '../../../src/driver/bos/error.js'
import {
  delayAfter,
  isRetryable,
  retrying,
  retryPolicy,
  type Attempt,
} from '../../../src/driver/bos/retry.js'
import type { Clock } from '../../../src/util/clock.js'

function error(details: BosErrorDetails): BosError {
  return new BosError('trouble', details)
}

const network = error({ kind: 'network' })
const missing = error({ kind: 'response', status: 404, code: 'NoSuchKey' })

/** Time that passes only in sleeps, and a list of those. */
function fakeClock(): Clock & { readonly sleeps: number[] } {
  let now = 0
  const sleeps: number[] = []
  return {
    sleeps,
    now: () => now,
    sleep: async (delay, signal) => {
      signal?.throwIfAborted()
      sleeps.push(delay)
      now += delay
    },
  }
}

const RETRYABLE: readonly (readonly [BosErrorDetails, boolean])[] = [
  [{ kind: 'connect' }, true],
  [{ kind: 'network' }, true],
  [{ kind: 'timeout' }, true],
  [{ kind: 'integrity' }, true],
  [{ kind: 'tls' }, false],
  [{ kind: 'response', status: 500 }, true],
  [{ kind: 'response', status: 502 }, true],
  [{ kind: 'response', status: 503 }, true],
  [{ kind: 'response', status: 429 }, true],
  [{ kind: 'response', status: 408 }, true],
  [{ kind: 'response', status: 400, code: 'Http400' }, true],
  [{ kind: 'response', status: 400, code: 'RequestTimeout' }, true],
  [{ kind: 'response', status: 400, code: 'BadDigest' }, true],
  [{ kind: 'response', status: 501 }, false],
  [{ kind: 'response', status: 400, code: 'InvalidArgument' }, false],
  [{ kind: 'response', status: 403, code: 'AccessDenied' }, false],
  [{ kind: 'response', status: 404, code: 'NoSuchKey' }, false],
  [{ kind: 'response', status: 412 }, false],
]

void t.test('only what can end differently is tried again', async t => {
  for (const [details, expected] of RETRYABLE) {
    t.equal(isRetryable(error(details)), expected, JSON.stringify(details))
  }
  t.notOk(isRetryable(new Error('a bug')))
})

void t.test('delays double up to a bound, with full jitter', async t => {
  const policy = retryPolicy({ baseDelay: 100, maxDelay: 1000, random: () => 1 })
  t.same(
    [1, 2, 3, 4, 5, 6].map(failures => delayAfter(failures, network, policy)),
    [100, 200, 400, 800, 1000, 1000],
  )
  t.equal(delayAfter(4, network, { ...policy, random: () => 0.25 }), 200)
  t.equal(delayAfter(4, network, { ...policy, random: () => 0 }), 0)
  const throttled = error({ kind: 'response', status: 429 })
  t.equal(delayAfter(1, throttled, policy), 800, 'a throttled service gets more time')
  const asked = error({ kind: 'response', status: 503, retryAfter: 5000 })
  t.equal(delayAfter(1, asked, policy), 5000, 'and as much as it asks for')
})

void t.test('work is repeated until it succeeds, and is told of doubt', async t => {
  const clock = fakeClock()
  const policy = retryPolicy({ clock, random: () => 1, baseDelay: 10 })
  const attempts: Attempt[] = []
  const failures = [error({ kind: 'connect' }), error({ kind: 'response', status: 500 }), undefined]
  const result = await retrying(
    async attempt => {
      attempts.push(attempt)
      const failure = failures[attempt.number - 1]
      if (failure !== undefined) throw failure
      return 'done'
    },
    { policy },
  )
  t.equal(result, 'done')
  t.same(clock.sleeps, [10, 20])
  t.same(attempts, [
    { number: 1, ambiguous: false, timeLeft: 120_000 },
    { number: 2, ambiguous: false, timeLeft: 119_990 },
    { number: 3, ambiguous: true, timeLeft: 119_970 },
  ])
})

void t.test('the last error is thrown when attempts are used up', async t => {
  const clock = fakeClock()
  let calls = 0
  const work = retrying(
    async () => {
      calls++
      throw network
    },
    { policy: retryPolicy({ clock, attempts: 4 }) },
  )
  await t.rejects(work, network)
  t.equal(calls, 4)
  t.equal(clock.sleeps.length, 3)
})

void t.test('no attempt starts after the deadline', async t => {
  const clock = fakeClock()
  let calls = 0
  const slow = error({ kind: 'response', status: 503, retryAfter: 4000 })
  const work = retrying(
    async () => {
      calls++
      throw slow
    },
    { policy: retryPolicy({ clock, deadline: 10_000, attempts: 100 }) },
  )
  await t.rejects(work, slow)
  t.equal(calls, 3)
  t.equal(clock.now(), 8000)
})

void t.test('a shared budget ends retries when everything fails', async t => {
  const clock = fakeClock()
  const budget = { capacity: 3, perAnswer: 0.5, perSecond: 0 }
  const policy = retryPolicy({ clock, budget, attempts: 10 })
  let calls = 0
  const failing = (): Promise<never> => {
    calls++
    return Promise.reject(network)
  }
  await t.rejects(retrying(failing, { policy }), network)
  t.equal(calls, 4, 'three retries were paid for')
  await t.rejects(retrying(failing, { policy }), network)
  t.equal(calls, 5, 'none was left for the next request')
  await t.rejects(retrying(failing, { policy, retryClass: 'other' }), network)
  t.equal(calls, 9, 'the other class has a budget of its own')
  await retrying(async () => 'fine', { policy })
  await t.rejects(
    retrying(() => Promise.reject(missing), { policy }),
    missing,
  )
  await t.rejects(retrying(failing, { policy }), network)
  t.equal(calls, 11, 'answers bring back what pays for a retry')
})

void t.test('what is not retryable is thrown at once', async t => {
  const clock = fakeClock()
  const policy = retryPolicy({ clock })
  await t.rejects(
    retrying(() => Promise.reject(missing), { policy }),
    missing,
  )
  t.same(clock.sleeps, [])
})

void t.test('an abort ends the repetition with its reason', async t => {
  const reason = new Error('interrupted')
  const stop = new AbortController()
  const policy = retryPolicy({ baseDelay: 60_000, random: () => 1 })
  const work = retrying(
    async () => {
      setImmediate(() => stop.abort(reason))
      throw network
    },
    { policy, signal: stop.signal },
  )
  await t.rejects(work, reason)
})
