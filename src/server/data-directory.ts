/**
 * Opens a data directory: makes it or checks that it is one, takes ownership, and sweeps what a dead
 * owner left half done.
 *
 * Layout: `format.json` names the format; `index/` is the LMDB index; `data/` holds the data files;
 * `credentials.json` may hold the credential that was made for it.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { makeDirectories } from '../util/directories.js'
import type { Logger } from '../util/log.js'
import { DataFiles } from './data-files.js'
import { CREDENTIAL_FILE } from './kept-credential.js'
import { LmdbIndex } from './lmdb-index.js'
import { LmdbStore } from './lmdb-store.js'
import { currentOwner, isOwnerAlive } from './owner.js'

const FORMAT = { format: 'bosmount-server', version: 1 } as const

/** For the user of the server alone, wherever the data directory lies. */
const PRIVATE = 0o700

/** Why a server cannot start. */
export class ServerStartError extends Error {
  override readonly name = 'ServerStartError'
}

export interface DataDirectoryOptions {
  readonly path: string
  readonly sync: boolean
  readonly now: () => number
  readonly log: Logger
}

export interface DataDirectory {
  readonly store: LmdbStore
  readonly files: DataFiles
  close(): Promise<void>
}

/** @throws ServerStartError saying what to do */
export async function openDataDirectory(options: DataDirectoryOptions): Promise<DataDirectory> {
  const { path, sync, now, log } = options
  prepare(path)
  const { files, index } = openParts(path, sync)
  const claim = index.claim(currentOwner(), isOwnerAlive)
  if (claim.blockedBy !== undefined) {
    await index.close()
    throw new ServerStartError(
      `the data directory ${path} is in use by process ${claim.blockedBy.pid}; ` +
        'stop that server or choose another directory',
    )
  }
  const store = new LmdbStore({ index, files, now, sync })
  if (!claim.clean) {
    const removed = await files.sweep(id => store.isAlive(id))
    log.info(
      { path, removed },
      'the last server on this directory may have left files behind: swept it',
    )
  }
  return {
    store,
    files,
    close: async () => {
      await files.close()
      await index.release(!files.hasLeftovers)
      await index.close()
    },
  }
}

function openParts(path: string, sync: boolean): { files: DataFiles; index: LmdbIndex } {
  try {
    // LMDB makes its files readable by all, and small objects are in them.
    const index = join(path, 'index')
    mkdirSync(index, { recursive: true, mode: PRIVATE })
    chmodSync(index, PRIVATE)
    const files = new DataFiles({ directory: join(path, 'data'), sync })
    return { files, index: new LmdbIndex(index) }
  } catch (cause) {
    throw unusable(path, cause)
  }
}

function unusable(path: string, cause: unknown): ServerStartError {
  const { code } = cause as NodeJS.ErrnoException
  const hint =
    code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
      ? `it is not writable for user ${process.getuid?.() ?? 'unknown'} (${code})`
      : code === 'ENOENT'
        ? `nothing can be made there (${code})`
        : String(cause)
  return new ServerStartError(`cannot use ${path} as data directory: ${hint}`, { cause })
}

function prepare(path: string): void {
  try {
    makeDirectories(path, PRIVATE)
    const formatFile = join(path, 'format.json')
    if (existsSync(formatFile)) {
      checkFormat(path, readFileSync(formatFile, 'utf8'))
      return
    }
    const draft = 'format.json.new'
    // The credential may have been made before the server was first started.
    const early = [draft, CREDENTIAL_FILE]
    if (readdirSync(path).some(name => !early.includes(name))) {
      throw new ServerStartError(
        `${path} is not empty and not a data directory of this server; choose an empty one`,
      )
    }
    writeFileSync(join(path, draft), `${JSON.stringify(FORMAT)}\n`, { mode: 0o600 })
    renameSync(join(path, draft), formatFile)
  } catch (cause) {
    if (cause instanceof ServerStartError) throw cause
    throw unusable(path, cause)
  }
}

function checkFormat(path: string, text: string): void {
  const found = parseFormat(text)
  if (found === undefined || found['format'] !== FORMAT.format) {
    throw new ServerStartError(`${path} has a format.json that is not this server's`)
  }
  if (found['version'] !== FORMAT.version) {
    throw new ServerStartError(
      `the data directory ${path} has format version ${String(found['version'])}; ` +
        `this server knows version ${FORMAT.version}`,
    )
  }
}

function parseFormat(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}
