/**
 * Deleting, call by call. BOS answers 404 when there is nothing to delete, and after a lost answer that
 * may be the echo of our own success: so what is not there counts as deleted.
 */
import { isCode, refuseErrorInOk, within, type Calls, type CallOptions } from './calls.js'
import { readDeleteFailures, readDeleteToken, type DeleteFailure } from './documents.js'
import { BosError, statusOfCode } from './error.js'
import { documentHeaders } from './headers.js'
import type { BosRequest } from './transport.js'

/** Keys per batch delete. @see https://cloud.baidu.com/doc/BOS/s/tkc5twspg */
export const DELETE_BATCH = 1000

export class Deletions {
  readonly #calls: Calls

  constructor(calls: Calls) {
    this.#calls = calls
  }

  /** @returns whether there was an object; true if an earlier attempt may have deleted it */
  object(key: string, options: CallOptions = {}): Promise<boolean> {
    const request: BosRequest = { method: 'DELETE', key, ...options }
    return this.#calls.retry(request, async attempt => {
      try {
        refuseErrorInOk(await this.#calls.transport.request(within(request, attempt)))
        return true
      } catch (error) {
        if (isCode(error, 'NoSuchKey')) return attempt.ambiguous
        throw error
      }
    })
  }

  /**
   * Deletes at most 1000 objects.
   *
   * @returns what could not be deleted; a key that was not there has been deleted
   */
  async batch(
    keys: readonly string[],
    options: CallOptions = {},
  ): Promise<readonly DeleteFailure[]> {
    const body = Buffer.from(JSON.stringify({ objects: keys.map(key => ({ key })) }))
    const request: BosRequest = {
      method: 'POST',
      params: { delete: '' },
      headers: documentHeaders(body),
      body,
      ...options,
    }
    const failures = await this.#calls.read(request, answer =>
      readDeleteFailures(refuseErrorInOk(answer).body),
    )
    return failures.filter(({ code }) => code !== 'NoSuchKey')
  }

  /** Deletes any number of objects. @throws BosError for the first that could not be deleted */
  async objects(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (let at = 0; at < keys.length; at += DELETE_BATCH) {
      const [failure] = await this.batch(keys.slice(at, at + DELETE_BATCH), options)
      if (failure === undefined) continue
      const { key, code, message } = failure
      const status = statusOfCode(code)
      throw new BosError(`deleting ${key}: ${message}`, { kind: 'response', status, code })
    }
  }

  /**
   * Deletes a directory of a hierarchical bucket with all that is below.
   * @returns whether there was one
   */
  async tree(key: string, options: CallOptions = {}): Promise<boolean> {
    let found = false
    let token: string | undefined
    do {
      const headers = {
        'x-bce-delete-recursive': 'true',
        ...(token === undefined ? {} : { 'x-bce-delete-token': token }),
      }
      const request: BosRequest = { method: 'DELETE', key, headers, ...options }
      try {
        token = await this.#calls.read(request, answer =>
          readDeleteToken(refuseErrorInOk(answer).body),
        )
        found = true
      } catch (error) {
        // What an answer that got lost has deleted is there no more.
        if (!isCode(error, 'NoSuchKey')) throw error
        return found
      }
    } while (token !== undefined)
    return true
  }
}
