/** What the embedded server was asked: its access log, one JSON object per line. */
import { readFileSync } from 'node:fs'

export interface Access {
  /** ISO 8601, when the request came in. */
  readonly time: string
  readonly method: string
  /** The operation's name as in the documentation of BOS, e.g. `PutObject`. */
  readonly operation: string
  readonly key?: string
  readonly status: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** All requests logged so far. */
export function readAccessLog(path: string): Access[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Access)
}

/** How often each operation was asked for, the most frequent first. */
export function countOperations(accesses: readonly Access[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { operation } of accesses) counts.set(operation, (counts.get(operation) ?? 0) + 1)
  return new Map([...counts].sort(([, one], [, other]) => other - one))
}
