/**
 * What mounts have left in a bucket that nobody needs: unfinished uploads, and hidden objects. Asked of the
 * server by its raw interface, since a driver hides its own keys. With each comes who knows of it, so
 * that a failure says where to look: the ledgers and journals of a state directory, and what the
 * server was asked about the key.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { RESERVED_NAME } from '../../src/driver/path.js'
import { scanFrames } from '../../src/journal/frame.js'
import type { Frame } from '../../src/journal/frame.js'
import { readAccessLog } from './access-log.js'
import { TestClient, type JsonValue } from './bos-client.js'
import { ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY } from './bosmount.js'
import type { LoggingServer } from './access-log.js'

export interface LeftBehind {
  readonly key: string
  /** Of an upload. */
  readonly uploadId?: string
  /** ISO 8601, when it was begun or stored. */
  readonly since: string
}

/** Requests about a key that a report repeats. */
const REQUESTS = 20

/** Unfinished uploads, and objects below the reserved name. */
export async function leftBehind({ endpoint }: LoggingServer): Promise<readonly LeftBehind[]> {
  const client = new TestClient({
    url: endpoint,
    bucket: BUCKET,
    accessKeyId: ACCESS_KEY_ID,
    secretAccessKey: SECRET_ACCESS_KEY,
  })
  try {
    const rows = async (query: Record<string, string>, name: string): Promise<LeftBehind[]> => {
      const { json, status } = await client.call('GET', { query })
      const found = json?.[name]
      if (!Array.isArray(found)) throw new Error(`${status}: no ${name} in the answer`)
      return found.map(rowOf)
    }
    return [
      ...(await rows({ uploads: '' }, 'uploads')),
      ...(await rows({ prefix: `${RESERVED_NAME}/` }, 'contents')),
    ]
  } finally {
    client.close()
  }
}

/** A report about something that should not be there. @param state  the state directory of the mounts */
export function explainLeft(left: LeftBehind, server: LoggingServer, state: string): unknown {
  const { key, uploadId, since } = left
  const words = [`"/${key}"`, ...(uploadId === undefined ? [] : [`"${uploadId}"`])]
  const files = readdirSync(state, { recursive: true, withFileTypes: true })
    .filter(each => each.isFile())
    .map(each => join(each.parentPath, each.name))
  return {
    ...left,
    age: `${Math.round((Date.now() - Date.parse(since)) / 1000)} s`,
    ledgers: files
      .filter(file => file.endsWith('.ledger'))
      .flatMap(file => mentions(readFileSync(file, 'utf8').split('\n'), words, basename(file))),
    journals: files
      .filter(file => /^log-\d+$/.test(basename(file)))
      .flatMap(file => {
        const lines = scanFrames(readFileSync(file)).frames.map(textOf)
        return mentions(lines, words, basename(file))
      }),
    requests: readAccessLog(server.accessLog)
      .filter(each => each.key === key)
      .slice(-REQUESTS)
      .map(({ time, operation, status }) => `${time} ${operation} ${status}`),
  }
}

function rowOf(row: JsonValue): LeftBehind {
  const { key = '', uploadId, initiated, lastModified } = row as Record<string, string>
  const since = initiated ?? lastModified ?? ''
  return { key, since, ...(uploadId === undefined ? {} : { uploadId }) }
}

function textOf({ sets, drops }: Frame): string {
  return JSON.stringify({ sets, drops })
}

/** The lines that say something of it, and those that take that back. */
function mentions(lines: readonly string[], words: readonly string[], file: string): string[] {
  const found = lines.filter(line => words.some(word => line.includes(word)))
  const notes = found.flatMap(line => [...line.matchAll(/"\*\d+"/g)].map(([note]) => note))
  const all = lines.filter(line => [...words, ...notes].some(word => line.includes(word)))
  return all.map(line => `${file}: ${line.slice(0, 400)}`)
}
