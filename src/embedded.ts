/**
 * The embedded BOS server inside a mounting process: `mount --embedded DIR`.
 *
 * Its credentials come from the same parameters as a real bucket's; if there are none they are made
 * once and kept in the data directory, readable by its owner alone.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startBosServer } from './server/server.js'
import type { Logger } from './util/log.js'

export const EMBEDDED_BUCKET = 'bosmount'
const CREDENTIALS_FILE = 'credentials.json'

export interface EmbeddedOptions {
  directory: string
  /** Parameters that were given; a bucket and credentials among them are used. */
  bos: Readonly<Record<string, unknown>>
  log: Logger
}

export interface Embedded {
  /** What a driver needs to reach the server. */
  readonly parameters: Readonly<Record<string, unknown>>
  close(): Promise<void>
}

export interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export async function openEmbedded({ directory, bos, log }: EmbeddedOptions): Promise<Embedded> {
  const keys = givenKeys(bos) ?? (await keysOf(directory))
  const bucket = typeof bos['bucket'] === 'string' ? bos['bucket'] : EMBEDDED_BUCKET
  const server = await startBosServer({
    dataDirectory: directory,
    buckets: [bucket],
    credentials: [keys],
    log,
  })
  return {
    parameters: {
      accesskeyid: keys.accessKeyId,
      accesskeysecret: keys.secretAccessKey,
      region: 'bj',
      bucket,
      endpoint: server.url,
      secure: false,
    },
    close: () => server.close(),
  }
}

/** The keys kept in a data directory, made at the first call. */
export async function keysOf(directory: string): Promise<Keys> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const file = join(directory, CREDENTIALS_FILE)
  const made: Keys = {
    accessKeyId: randomBytes(16).toString('hex'),
    secretAccessKey: randomBytes(16).toString('hex'),
  }
  try {
    await writeFile(file, `${JSON.stringify(made, undefined, 2)}\n`, { flag: 'wx', mode: 0o600 })
    return made
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const kept: unknown = await readJson(file)
  if (isKeys(kept)) return kept
  throw new Error(`${file} holds no credentials: remove it, and new ones are made`)
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function isKeys(value: unknown): value is Keys {
  if (typeof value !== 'object' || value === null) return false
  const { accessKeyId, secretAccessKey } = value as Partial<Record<keyof Keys, unknown>>
  return typeof accessKeyId === 'string' && typeof secretAccessKey === 'string'
}

function givenKeys(bos: Readonly<Record<string, unknown>>): Keys | undefined {
  const { accesskeyid, accesskeysecret } = bos
  if (typeof accesskeyid !== 'string' || typeof accesskeysecret !== 'string') return undefined
  return { accessKeyId: accesskeyid, secretAccessKey: accesskeysecret }
}
