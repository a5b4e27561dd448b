/** What an answer says went wrong: BOS's error documents, and answers that are not BOS's. Pure. */
import type { Milliseconds } from '../../util/units.js'
import { BosError, codeOfStatus } from './error.js'
import type { HttpHead } from './exchange.js'
import type { Outcome } from './gate.js'
import type { HttpResponse } from './http.js'

interface ErrorBody {
  code?: string
  message?: string
  requestId?: string
}

/** Reads an error document; undefined for anything else. */
export function parseErrorBody(body: Buffer): ErrorBody | undefined {
  // Pages of listings are looked at too, and cost 40 times less to search than to parse; six times, if
  // the quotation mark in front were searched for, of which JSON is full.
  if (body[0] !== 0x7b || !body.includes('code"')) return undefined
  try {
    const parsed = JSON.parse(body.toString()) as Record<string, unknown>
    const { code, message, requestId } = parsed
    if (typeof code !== 'string') return undefined
    return {
      code,
      ...(typeof message === 'string' ? { message } : {}),
      ...(typeof requestId === 'string' ? { requestId } : {}),
    }
  } catch {
    return undefined
  }
}

function retryAfter(value: string | undefined, now: Milliseconds): Milliseconds | undefined {
  if (value === undefined) return undefined
  const delay = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now
  return Number.isFinite(delay) ? Math.max(0, delay) : undefined
}

/** The error of an answer that is one. */
export function responseError(response: HttpResponse, now: Milliseconds): BosError {
  const { status, headers, body } = response
  const document = parseErrorBody(body)
  const code = document?.code ?? (body.length > 0 ? `Http${status}` : codeOfStatus(status))
  const requestId = document?.requestId ?? headers['x-bce-request-id']
  const wait = retryAfter(headers['retry-after'], now)
  const serverTime = Date.parse(headers['date'] ?? '')
  return new BosError(document?.message ?? `status ${status}`, {
    kind: 'response',
    status,
    code,
    ...(requestId === undefined ? {} : { requestId }),
    ...(wait === undefined ? {} : { retryAfter: wait }),
    ...(Number.isFinite(serverTime) ? { serverTime } : {}),
  })
}

/** What a failure says about the load of the service. */
export function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof BosError) || error.kind !== 'response') return 'failed'
  return error.status === 429 || error.status === 503 ? 'throttled' : 'answered'
}

export function isSuccess({ status }: HttpHead): boolean {
  return status >= 200 && status < 300
}

/** Login pages and gateways answer 200 with a page of their own. An object that is HTML has an etag. */
export function refuseForeign({ headers }: HttpHead): void {
  const isPage = /^text\/html\b/i.test(headers['content-type'] ?? '')
  if (!isPage || headers['etag'] !== undefined) return
  throw new BosError('the answer is a web page and not from BOS', { kind: 'integrity' })
}
