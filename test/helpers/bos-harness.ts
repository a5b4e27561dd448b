/** A server on a directory of its own with a client for it, both gone at the end of the test. */
import { createCipheriv, createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { AccessLogEntry } from '../../src/server/access-log.js'
import { startBosServer, type BosServer, type BosServerOptions } from '../../src/server/server.js'
import { ACCESS_KEY_ID, SECRET_ACCESS_KEY, TestClient } from './bos-client.js'

export interface Harness {
  readonly server: BosServer
  readonly client: TestClient
  readonly directory: string
  readonly log: AccessLogEntry[]
}

export const CREDENTIALS = [
  { accessKeyId: ACCESS_KEY_ID, secretAccessKey: SECRET_ACCESS_KEY },
] as const

export function temporaryDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'bos-server-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export async function startHarness(
  t: Test,
  options: Partial<BosServerOptions> = {},
): Promise<Harness> {
  const directory = options.dataDirectory ?? temporaryDirectory(t)
  const log: AccessLogEntry[] = []
  const server = await startBosServer({
    dataDirectory: directory,
    buckets: ['test-bucket'],
    credentials: CREDENTIALS,
    accessLog: entry => log.push(entry),
    ...options,
  })
  const client = new TestClient({
    url: server.url,
    ...(options.now === undefined ? {} : { now: options.now }),
  })
  t.teardown(async () => {
    client.close()
    await server.close()
  })
  return { server, client, directory, log }
}

/** The same bytes for the same size, and no repetition that could hide a misplaced piece. */
export function seededBytes(size: number): Buffer {
  const key = createHash('sha256').update(`seed ${size}`).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size))
}

export function md5Of(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}

/** Names of the data files of a server, with their directories. */
export function dataFiles(directory: string): readonly string[] {
  return readdirSync(join(directory, 'data'), { recursive: true })
    .map(String)
    .filter(name => name.includes('/'))
}
