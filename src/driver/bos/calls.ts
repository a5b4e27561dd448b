/**
 * Requests that are repeated, and judged by what became of them rather than by the last answer.
 */
import { BosError, statusOfCode } from './error.js'
import type { ChooseSink, HttpResponse } from './http.js'
import type { Conditions } from './headers.js'
import { readEtag } from './documents.js'
import { isRetryable, retrying, type Attempt, type RetryPolicy } from './retry.js'
import { parseErrorBody, type BosRequest, type Transport } from './transport.js'

export interface CallOptions {
  signal?: AbortSignal | undefined
}

export function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof BosError && codes.includes(error.code ?? '')
}

export function isPrecondition(error: unknown): boolean {
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

export class Calls {
  readonly transport: Transport
  readonly #policy: RetryPolicy

  constructor(transport: Transport, policy: RetryPolicy) {
    this.transport = transport
    this.#policy = policy
  }

  call(request: BosRequest, chooseSink?: ChooseSink): Promise<HttpResponse> {
    return this.retry(request, () => this.transport.request(request, chooseSink))
  }

  retry<T>(
    { signal }: CallOptions,
    work: (attempt: Attempt) => Promise<T>,
    retryable: (error: unknown) => boolean = isRetryable,
  ): Promise<T> {
    return retrying(work, { policy: this.#policy, retryable, signal })
  }

  /**
   * Runs a write that must not be judged by the answer to a repetition: after a lost answer, "it
   * exists already" and "no such upload" may be the echo of our own success, which the etag tells.
   */
  conditional(
    options: CallOptions & Conditions,
    target: { readonly key: string; readonly expected: () => string },
    write: () => Promise<string>,
  ): Promise<string> {
    const { signal, ifMatch, ifNoneMatch } = options
    const hasCondition = ifMatch !== undefined || ifNoneMatch !== undefined
    // Without a condition of ours, 412 says that another writer is at work at this moment.
    const retryable = (error: unknown): boolean =>
      isRetryable(error) || (!hasCondition && isPrecondition(error))
    return this.retry(
      options,
      async ({ ambiguous }) => {
        try {
          return await write()
        } catch (error) {
          const mayBeEcho = isPrecondition(error) || isCode(error, 'NoSuchUpload')
          if (!ambiguous || !mayBeEcho) throw error
          const etag = await this.#etagOf(target.key, signal)
          if (etag !== target.expected()) throw error
          return etag
        }
      },
      retryable,
    )
  }

  async #etagOf(key: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    try {
      const { headers } = await this.call({ method: 'HEAD', key, signal })
      return readEtag(headers)
    } catch (error) {
      if (error instanceof BosError && error.status === 404) return undefined
      throw error
    }
  }
}
