/**
 * Telling that requests are being tried again, while there is still hope. Once or twice is nothing to
 * speak of; from the third failure on it is a warning. When the service is in trouble all requests are,
 * so there is one warning in a while, which says how many it stands for.
 */
import { systemClock, type Clock } from '../../util/clock.js'
import type { Logger } from '../../util/log.js'
import type { Milliseconds } from '../../util/units.js'
import { BosError } from './error.js'
import type { FailedAttempt } from './retry.js'
import type { BosRequest } from './transport.js'

/** Is told of each attempt that will be followed by another. */
export type RetryWatcher = (
  request: Pick<BosRequest, 'method' | 'key'>,
  failed: FailedAttempt,
) => void

/** Failures of one request before it is spoken of. */
const PATIENCE = 3
/** From one warning to the next. */
const INTERVAL: Milliseconds = 10_000

export function warnOfRetries(log: Logger, clock: Pick<Clock, 'now'> = systemClock): RetryWatcher {
  let lastAt = -Infinity
  let untold = 0
  return ({ method, key = '' }, { number, error, delay }) => {
    if (number < PATIENCE) return
    if (clock.now() - lastAt < INTERVAL) {
      untold++
      return
    }
    const { code, status, requestId } = error instanceof BosError ? error : {}
    log.warn(
      {
        method,
        key,
        attempt: number,
        reason: error instanceof Error ? error.message : String(error),
        ...(code === undefined ? {} : { code }),
        ...(status === undefined ? {} : { status }),
        ...(requestId === undefined ? {} : { requestId }),
        delay,
        untold,
      },
      'BOS fails a request again and again: still trying',
    )
    lastAt = clock.now()
    untold = 0
  }
}
