/**
 * Trying again: when it can help, after how long, and how often.
 *
 * Every request of api.ts may be repeated: most are idempotent, and those that are not (complete,
 * conditional writes, rename) are told that an earlier attempt was `ambiguous`, so that they find out
 * what became of it instead of taking the second answer for the truth.
 */
import { systemClock, type Clock } from '../../util/clock.js'
import type { Milliseconds } from '../../util/units.js'
import { BosError } from './error.js'
import { RetryBudget, type RetryBudgetOptions } from './retry-budget.js'

export interface RetryOptions {
  /** Attempts in all; default 6. */
  attempts?: number
  /** Bound of the first delay; doubled for each further one. Default 100 ms. */
  baseDelay?: Milliseconds
  /** Bound of every delay but one that the service asks for; default 10 s. */
  maxDelay?: Milliseconds
  /** All attempts and pauses together, the time for their bytes excepted; default 2 minutes. */
  deadline?: Milliseconds
  /** For each of the two budgets. */
  budget?: RetryBudgetOptions
  clock?: Clock
  /** Uniform in [0, 1). */
  random?: () => number
}

/**
 * Whose budget pays for a retry: one for requests that can be repeated without a thought, one for those
 * whose first attempt may have had its effect, so that neither uses up the other's.
 */
export type RetryClass = 'idempotent' | 'other'

export interface RetryPolicy extends Required<Omit<RetryOptions, 'budget'>> {
  readonly budgets: Readonly<Record<RetryClass, RetryBudget>>
}

export function retryPolicy({ budget, ...options }: RetryOptions = {}): RetryPolicy {
  const clock = options.clock ?? systemClock
  const budgetOptions = { clock, ...budget }
  return {
    attempts: 6,
    baseDelay: 100,
    maxDelay: 10_000,
    deadline: 2 * 60_000,
    random: Math.random,
    ...options,
    clock,
    budgets: {
      idempotent: new RetryBudget(budgetOptions),
      other: new RetryBudget(budgetOptions),
    },
  }
}

const RETRYABLE_STATUS: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])
/** 400s that are the transfer's fault, not the request's. */
const RETRYABLE_CODES: ReadonlySet<string> = new Set([
  'BadDigest',
  'InappropriateJSON',
  'MalformedJSON',
  'RequestTimeout',
])
/** A refusal whose body is not BOS's: from a gateway, or damaged on its way. */
const FOREIGN_REFUSAL = /^Http4\d\d$/

/** Whether another attempt can have another outcome. */
export function isRetryable(error: unknown): boolean {
  if (!(error instanceof BosError) || error.kind === 'tls') return false
  if (error.kind !== 'response') return true
  const { status = 0, code = '' } = error
  return RETRYABLE_STATUS.has(status) || RETRYABLE_CODES.has(code) || FOREIGN_REFUSAL.test(code)
}

/** A throttled service wants more time than a dropped connection. */
const THROTTLED_FACTOR = 8

/**
 * Exponential backoff with full jitter, never shorter than what `Retry-After` asks for.
 *
 * @param failures  attempts that have failed so far, at least 1
 */
export function delayAfter(failures: number, error: unknown, policy: RetryPolicy): Milliseconds {
  const throttled = error instanceof BosError && error.status === 429
  const base = policy.baseDelay * (throttled ? THROTTLED_FACTOR : 1)
  const bound = Math.min(policy.maxDelay, base * 2 ** (failures - 1))
  const asked = error instanceof BosError ? (error.retryAfter ?? 0) : 0
  return Math.max(asked, Math.round(policy.random() * bound))
}

export interface Attempt {
  /** From 1. */
  readonly number: number
  /** An earlier attempt may have been executed although it failed. */
  readonly ambiguous: boolean
  /** What is left of the deadline for all attempts: this one must not take longer. */
  readonly timeLeft: Milliseconds
}

/** An attempt that another one follows. */
export interface FailedAttempt {
  /** From 1. */
  readonly number: number
  readonly error: unknown
  /** The pause before the next. */
  readonly delay: Milliseconds
}

export interface RetryingOptions {
  policy: RetryPolicy
  /** Default the policy's. */
  deadline?: Milliseconds | undefined
  /** Default `idempotent`. */
  retryClass?: RetryClass | undefined
  /** Default `isRetryable`. */
  retryable?: ((error: unknown) => boolean) | undefined
  onRetry?: ((failed: FailedAttempt) => void) | undefined
  signal?: AbortSignal | undefined
}

/**
 * Runs `work` until it succeeds, fails for good, or attempts, time or budget are used up; then throws
 * the last error. An aborted signal ends it at once with its reason.
 */
export async function retrying<T>(
  work: (attempt: Attempt) => Promise<T>,
  options: RetryingOptions,
): Promise<T> {
  const { policy, retryable = isRetryable, signal } = options
  const { clock, attempts } = policy
  const budget = policy.budgets[options.retryClass ?? 'idempotent']
  const end = clock.now() + (options.deadline ?? policy.deadline)
  let ambiguous = false
  for (let number = 1; ; number++) {
    signal?.throwIfAborted()
    try {
      const result = await work({ number, ambiguous, timeLeft: end - clock.now() })
      budget.earn()
      return result
    } catch (error) {
      signal?.throwIfAborted()
      if (!retryable(error)) {
        budget.earn()
        throw error
      }
      const delay = delayAfter(number, error, policy)
      if (number >= attempts || clock.now() + delay >= end || !budget.take()) throw error
      ambiguous ||= error instanceof BosError && error.ambiguous
      options.onRetry?.({ number, error, delay })
      await clock.sleep(delay, signal)
    }
  }
}
