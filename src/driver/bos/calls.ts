/**
 * Requests that are repeated, and judged by what became of them rather than by the last answer.
 */
import type { Milliseconds } from '../../util/units.js'
import { BosError, statusOfCode } from './error.js'
import type { ChooseSink, HttpResponse } from './http.js'
import type { Conditions } from './headers.js'
import { readEtag } from './documents.js'
import { isRetryable, retrying, type Attempt, type RetryClass, type RetryPolicy } from './retry.js'
import type { RetryWatcher } from './retry-warnings.js'
import { parseErrorBody } from './answers.js'
import { extraTime, type BosRequest, type Transport } from './transport.js'

/** A copy is given a millisecond for so many bytes: the service answers when all are copied. */
export const COPY_BYTES_PER_MS = 8192

export interface CallOptions {
  signal?: AbortSignal | undefined
}

export function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof BosError && codes.includes(error.code ?? '')
}

function isPrecondition(error: unknown): boolean {
  return error instanceof BosError && (error.status === 412 || error.code === 'FileAlreadyExists')
}

/** Copies and completions may report an error with status 200. */
export function refuseErrorInOk(response: HttpResponse): HttpResponse {
  const document = parseErrorBody(response.body)
  const { code } = document ?? {}
  if (document === undefined || code === undefined) return response
  const requestId = document.requestId ?? response.headers['x-bce-request-id']
  throw new BosError(document.message ?? code, {
    kind: 'response',
    status: statusOfCode(code),
    code,
    ...(requestId === undefined ? {} : { requestId }),
  })
}

/** How a request is repeated. */
export interface RepeatOptions {
  /** Default `idempotent`. */
  retryClass?: RetryClass
  /** Default `isRetryable`. */
  retryable?: (error: unknown) => boolean
  /** Default the policy's, and the time for the bytes. */
  deadline?: Milliseconds
}

/**
 * A request that must be over within the time that is left for all attempts. Written out, because this
 * is done for every request and objects of one shape are cheap.
 */
export function within(request: BosRequest, { timeLeft }: Attempt): BosRequest {
  const { method, key, params, headers, body, expectedBytes, patience, signal } = request
  return { method, key, params, headers, body, expectedBytes, patience, signal, timeLeft }
}

/** How long a write that has failed looks whether it took effect all the same. */
const LAST_LOOK: Milliseconds = 5000

export class Calls {
  readonly transport: Transport
  readonly #policy: RetryPolicy
  readonly #onRetry: RetryWatcher | undefined

  constructor(transport: Transport, policy: RetryPolicy, onRetry?: RetryWatcher) {
    this.transport = transport
    this.#policy = policy
    this.#onRetry = onRetry
  }

  call(
    request: BosRequest,
    chooseSink?: ChooseSink,
    options: RepeatOptions = {},
  ): Promise<HttpResponse> {
    return this.retry(
      request,
      attempt => this.transport.request(within(request, attempt), chooseSink),
      options,
    )
  }

  /** As `call`; an answer that cannot be read counts as a failed attempt. */
  read<T>(request: BosRequest, parse: (response: HttpResponse) => T): Promise<T> {
    return this.retry(request, async attempt =>
      parse(await this.transport.request(within(request, attempt))),
    )
  }

  /** Runs work that sends `request`, or something as big, until it succeeds or cannot. */
  retry<T>(
    request: Pick<BosRequest, 'method' | 'key' | 'signal' | 'body' | 'patience'>,
    work: (attempt: Attempt) => Promise<T>,
    options: RepeatOptions = {},
  ): Promise<T> {
    const deadline = options.deadline ?? this.#policy.deadline + extraTime(request)
    return retrying(work, {
      policy: this.#policy,
      signal: request.signal,
      onRetry: failed => this.#onRetry?.(request, failed),
      retryClass: options.retryClass,
      retryable: options.retryable,
      deadline,
    })
  }

  /**
   * Runs a write that must not be judged by the answer to a repetition: after a lost answer, "it
   * exists already" and "no such upload" may be the echo of our own success, which the etag tells.
   */
  conditional(
    request: BosRequest & { readonly key: string },
    target: { readonly conditions: Conditions; readonly expected: () => string },
    write: (attempt: Attempt) => Promise<string>,
  ): Promise<string> {
    const { key, signal } = request
    const { ifMatch, ifNoneMatch, repeated = false } = target.conditions
    let isDoubtful = repeated
    const hasCondition = ifMatch !== undefined || ifNoneMatch !== undefined
    // Without a condition of ours, 412 says that another writer is at work at this moment.
    const retryable = (error: unknown): boolean =>
      isRetryable(error) || (!hasCondition && isPrecondition(error))
    const written = this.retry(
      request,
      async attempt => {
        try {
          return await write(attempt)
        } catch (error) {
          isDoubtful ||= error instanceof BosError && error.ambiguous
          const mayBeEcho = isPrecondition(error) || isCode(error, 'NoSuchUpload')
          if (!(attempt.ambiguous || repeated) || !mayBeEcho) throw error
          const etag = await this.#etagOf({ method: 'HEAD', key, signal }, attempt)
          if (etag !== target.expected()) throw error
          return etag
        }
      },
      { retryable, retryClass: 'other' },
    )
    const found = this.#lookAgain(written, { hasCondition, key, signal, target })
    return found.catch((error: unknown) => {
      const isUnknown = isDoubtful && error instanceof BosError && !isPrecondition(error)
      if (isUnknown) error.attempted = target.expected()
      throw error
    })
  }

  /** Where the last answer was lost. */
  #lookAgain(
    written: Promise<string>,
    {
      hasCondition,
      key,
      signal,
      target,
    }: {
      readonly hasCondition: boolean
      readonly key: string
      readonly signal: AbortSignal | undefined
      readonly target: { readonly conditions: Conditions; readonly expected: () => string }
    },
  ): Promise<string> {
    if (!hasCondition) return written
    // The condition held if it took effect; a later attempt would not meet it again.
    return written.catch(async (error: unknown) => {
      const isUnclear = error instanceof BosError && error.ambiguous && error.kind !== 'timeout'
      // Only now is the etag worked out: hashing all bytes a second time is not for free.
      if (!isUnclear || target.expected() === target.conditions.ifMatch) throw error
      const head = { method: 'HEAD' as const, key, signal }
      const etag = await this.call(head, undefined, { deadline: LAST_LOOK }).then(
        ({ headers }) => readEtag(headers),
        () => undefined,
      )
      if (etag !== target.expected()) throw error
      return etag
    })
  }

  async #etagOf(head: BosRequest, { timeLeft }: Attempt): Promise<string | undefined> {
    try {
      const { headers } = await this.call(head, undefined, { deadline: timeLeft })
      return readEtag(headers)
    } catch (error) {
      if (error instanceof BosError && error.status === 404) return undefined
      throw error
    }
  }
}
