/**
 * The credential of a server that was given none: made once, and kept in its data directory, readable
 * by the owner alone.
 */
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDirectories } from '../util/directories.js'

/** In the data directory. */
export const CREDENTIAL_FILE = 'credentials.json'

export interface KeptCredential {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** The credential kept in a data directory, made at the first call. */
export async function keptCredential(directory: string): Promise<KeptCredential> {
  makeDirectories(directory, 0o700)
  const file = join(directory, CREDENTIAL_FILE)
  const made: KeptCredential = {
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
  if (isCredential(kept)) return kept
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

function isCredential(value: unknown): value is KeptCredential {
  if (typeof value !== 'object' || value === null) return false
  const { accessKeyId, secretAccessKey } = value as Partial<Record<keyof KeptCredential, unknown>>
  return typeof accessKeyId === 'string' && typeof secretAccessKey === 'string'
}
