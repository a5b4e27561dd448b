/**
 * Faults on demand: rules that make the server delay, refuse, cut or lie, so that a test can see what a
 * client makes of it. Rules act on authenticated requests, after routing.
 *
 * All rules that match a request act on it. A rule first lets `skip` matching requests pass and then acts
 * on `count` of them, or by chance on some: the chances of a rule follow from its seed alone.
 */
import type { Bytes, Milliseconds } from '../util/units.js'
import type { Operation } from './router.js'

/** One thing that goes wrong. */
export type Fault =
  /** The request is handled after a pause. */
  | { readonly kind: 'delay'; readonly delay: Milliseconds }
  /** Nothing is done and this is answered. */
  | {
      readonly kind: 'error'
      readonly status: number
      readonly code: string
      readonly message?: string
      /** Value of a Retry-After header. */
      readonly retryAfter?: string
    }
  /** Nothing is done and nothing is ever answered. */
  | { readonly kind: 'hang' }
  /** The operation is performed but never answered. */
  | { readonly kind: 'hang-response' }
  /** After this many bytes of the response body nothing more comes. */
  | { readonly kind: 'hang-download'; readonly after: Bytes }
  /** Nothing is done and a page of HTML is answered, as gateways do. Default status 502. */
  | { readonly kind: 'html'; readonly status?: number }
  /** Nothing is done and the connection is reset. */
  | { readonly kind: 'reset' }
  /** The connection is reset once this many bytes of the request body have come in. Nothing is stored. */
  | { readonly kind: 'reset-upload'; readonly after: Bytes }
  /** The connection is reset once this many bytes of the response body went out. */
  | { readonly kind: 'reset-download'; readonly after: Bytes }
  /** The connection ends in good order after this many bytes of the response body: fewer than announced. */
  | { readonly kind: 'truncate'; readonly after: Bytes }
  /** The answer is sent whole and the connection reset behind it, when a client may want it again. */
  | { readonly kind: 'reset-after' }
  /** The Content-Length of the response is off by this much, and the connection ends. */
  | { readonly kind: 'wrong-length'; readonly by: Bytes }
  /** One bit of the byte at `at` of the response body is wrong. Default 0. */
  | { readonly kind: 'corrupt'; readonly at?: Bytes }
  /** One bit of the byte at `at` of the request body is wrong when the server sees it. Default 0. */
  | { readonly kind: 'corrupt-upload'; readonly at?: Bytes }
  /** The operation is performed but the connection is reset instead of the answer. */
  | { readonly kind: 'drop-response' }
  /** Nothing is done, and status 200 comes with an error body, as copies may end. */
  | { readonly kind: 'error-in-ok'; readonly code: string; readonly message?: string }
  /** The Date header of the response is off by this much. */
  | { readonly kind: 'skew-date'; readonly skew: Milliseconds }

export interface FaultRule {
  /** Default: any. */
  readonly operation?: Operation | readonly Operation[]
  /** Default: any. */
  readonly bucket?: string
  /** The whole key, or a pattern. Default: any. */
  readonly key?: string | RegExp
  /** Matching requests to let pass first. Default 0. */
  readonly skip?: number
  /** Requests to act on. Default: all. */
  readonly count?: number
  /** Of acting on a request that is neither skipped nor beyond the count. Default 1. */
  readonly probability?: number
  /** Of the chances. Default 1. */
  readonly seed?: number
  readonly fault: Fault
}

/** A rule in force. */
export interface ActiveFault {
  /** How many requests it has acted on. */
  readonly hits: number
  remove(): void
}

export interface FaultRequest {
  readonly operation: Operation
  readonly bucket: string
  readonly key: string
}

interface Entry {
  readonly rule: FaultRule
  readonly random: () => number
  matched: number
  hits: number
}

/** The rules of one server. */
export class Faults {
  readonly #entries = new Set<Entry>()

  constructor(rules: readonly FaultRule[] = []) {
    for (const rule of rules) this.add(rule)
  }

  add(rule: FaultRule): ActiveFault {
    const entry: Entry = { rule, random: randomFrom(rule.seed ?? 1), matched: 0, hits: 0 }
    this.#entries.add(entry)
    return {
      get hits() {
        return entry.hits
      },
      remove: () => {
        this.#entries.delete(entry)
      },
    }
  }

  /** Puts these rules in the place of all. */
  replace(rules: readonly FaultRule[]): void {
    this.clear()
    for (const rule of rules) this.add(rule)
  }

  clear(): void {
    this.#entries.clear()
  }

  /** The faults that act on this request; counts it. */
  take(request: FaultRequest): readonly Fault[] {
    if (this.#entries.size === 0) return []
    const faults: Fault[] = []
    for (const entry of this.#entries) {
      if (!matches(entry.rule, request)) continue
      entry.matched += 1
      const { skip = 0, count = Infinity, probability = 1, fault } = entry.rule
      if (entry.matched <= skip || entry.hits >= count) continue
      if (probability < 1 && entry.random() >= probability) continue
      entry.hits += 1
      faults.push(fault)
    }
    return faults
  }
}

/** A sequence of numbers in [0, 1) that a seed determines (the generator known as mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function matches(rule: FaultRule, request: FaultRequest): boolean {
  const { operation, bucket, key } = rule
  if (operation !== undefined && ![operation].flat().includes(request.operation)) return false
  if (bucket !== undefined && bucket !== request.bucket) return false
  if (key === undefined) return true
  return typeof key === 'string' ? key === request.key : request.key.search(key) !== -1
}
