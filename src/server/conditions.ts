/**
 * Evaluates the If-* headers of reads, writes and copy sources against one version of an object. Pure.
 *
 * Times are compared in whole seconds, because that is all HTTP dates have. A date that cannot be
 * parsed makes its header count as absent, as HTTP demands.
 *
 * @see BOS GetObject, PutObject, CopyObject; RFC 9110 section 13
 */

/** The version that conditions are compared with. */
export interface Version {
  /** Without quotes. */
  readonly etag: string
  /** Milliseconds since the epoch. */
  readonly modified: number
}

export interface Conditions {
  readonly ifMatch?: string | undefined
  readonly ifNoneMatch?: string | undefined
  readonly ifModifiedSince?: string | undefined
  readonly ifUnmodifiedSince?: string | undefined
}

export type ReadVerdict = 'proceed' | 'not-modified' | 'failed'

type Headers = Readonly<Record<string, string | string[] | undefined>>

/**
 * Collects the conditions of a request; an empty header counts as absent.
 * @param prefix `` for the request's own, `x-bce-copy-source-` for those on a copy source
 */
export function readConditions(headers: Headers, prefix = ''): Conditions {
  function header(name: string): string | undefined {
    const value = headers[prefix + name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  return {
    ifMatch: header('if-match'),
    ifNoneMatch: header('if-none-match'),
    ifModifiedSince: header('if-modified-since'),
    ifUnmodifiedSince: header('if-unmodified-since'),
  }
}

/** If-Match overrides If-Unmodified-Since, If-None-Match overrides If-Modified-Since. */
export function judgeRead(version: Version, conditions: Conditions): ReadVerdict {
  if (!holdsForward(version, conditions)) return 'failed'
  return holdsReversed(version, conditions) ? 'proceed' : 'not-modified'
}

/** Conditions on a copy source all fail alike: there is no "not modified" for a copy. */
export function holdsForCopySource(version: Version, conditions: Conditions): boolean {
  return judgeRead(version, conditions) === 'proceed'
}

/**
 * Whether a write may go ahead.
 * @param current undefined when nothing is stored at the key
 */
export function holdsForWrite(current: Version | undefined, conditions: Conditions): boolean {
  if (conditions.ifNoneMatch !== undefined && matches(conditions.ifNoneMatch, current)) return false
  if (conditions.ifMatch !== undefined) return matches(conditions.ifMatch, current)
  return current === undefined || holdsForward(current, conditions)
}

function holdsForward(version: Version, conditions: Conditions): boolean {
  if (conditions.ifMatch !== undefined) return matches(conditions.ifMatch, version)
  const since = parseDate(conditions.ifUnmodifiedSince)
  return since === undefined || seconds(version.modified) <= since
}

function holdsReversed(version: Version, conditions: Conditions): boolean {
  if (conditions.ifNoneMatch !== undefined) return !matches(conditions.ifNoneMatch, version)
  const since = parseDate(conditions.ifModifiedSince)
  return since === undefined || seconds(version.modified) > since
}

function matches(condition: string, version: Version | undefined): boolean {
  if (version === undefined) return false
  if (condition.trim() === '*') return true
  return condition.split(',').some(etag => unquote(etag) === version.etag)
}

/** Strips white space, a weakness mark and quotes. */
export function unquote(etag: string): string {
  return etag
    .trim()
    .replace(/^W\//, '')
    .replace(/^"(.*)"$/, '$1')
}

function parseDate(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const time = Date.parse(text)
  return Number.isNaN(time) ? undefined : seconds(time)
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000)
}
