/** What the embedded server was asked: its access log, one JSON object per line. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

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

/** A server that logs into a file. */
export interface LoggingServer {
  /** URL */
  readonly endpoint: string
  /** Path of its access log. */
  readonly accessLog: string
}

const LANDMARK = 'landmark-of-the-access-log'
const DEADLINE = 60_000
let landmarks = 0

/** All requests logged so far; one that was answered a moment ago may be missing: see `accessesOf`. */
export function readAccessLog(path: string): Access[] {
  return linesOf(path).filter(({ key }) => key?.startsWith(LANDMARK) !== true)
}

/**
 * All requests that were answered before the call. A server logs after it has answered, and writes
 * the log when it comes to it: what stands before a request of our own is complete.
 */
export async function accessesOf({ endpoint, accessLog }: LoggingServer): Promise<Access[]> {
  const landmark = `${LANDMARK}-${process.pid}-${(landmarks += 1)}`
  const answer = await fetch(`${endpoint}/no-such-bucket/${landmark}`)
  await answer.arrayBuffer()
  for (const end = Date.now() + DEADLINE; Date.now() < end; await sleep(2)) {
    if (linesOf(accessLog).some(({ key }) => key === landmark)) return readAccessLog(accessLog)
  }
  throw new Error(`the request for ${landmark} was not logged within ${DEADLINE} ms`)
}

function linesOf(path: string): Access[] {
  const text = readFileSync(path, 'utf8')
  // The last line may not be all there yet.
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
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
