/**
 * Removes from the store what mounts have left there that were killed, and gives names back what those
 * mounts owed them.
 *
 * Only ledgers of the same store are looked at, and only those whose mount is known to be dead: its
 * process is gone, or its host has been started anew. Of a mount that cannot be seen from here nothing
 * is touched, until it has not renewed its ledger for an hour. What cannot be removed stays in its
 * ledger for the next mount.
 */
import { randomUUID } from 'node:crypto'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { StorageDriver } from '../driver/driver.js'
import { PathNotFoundError, PreconditionError } from '../driver/errors.js'
import type { LedgerEntry, Move } from '../fs/core/ledger.js'
import { abortBegun } from '../fs/core/uncertain-uploads.js'
import type { Logger } from '../util/log.js'
import { livenessOf, ownIdentity } from '../util/process-identity.js'
import type { ProcessIdentity } from '../util/process-identity.js'
import { forEachParallel } from '../util/semaphore.js'
import type { Milliseconds } from '../util/units.js'
import { LedgerFile, readLedger, RENEWAL } from './ledger-file.js'

export interface RecoveryOptions {
  directory: string
  store: string
  driver: StorageDriver
  self: ProcessIdentity
  log: Logger
  signal: AbortSignal
  /** Unix time; default Date.now. */
  now?: () => Milliseconds
}

const LEDGER_SUFFIX = '.ledger'
/** A mount that has not renewed its ledger for so long does not run any more. */
const SILENCE: Milliseconds = 6 * RENEWAL
const PARALLELISM = 8

/**
 * Never rejects: a mount is of use even if what another left behind cannot be removed.
 *
 * @param keep  is given what a dead mount was moving, before its ledger is removed
 */
export async function recover(
  options: RecoveryOptions,
  keep: (move: Move) => Promise<void>,
): Promise<void> {
  const { directory, log } = options
  const names = await readdir(directory).catch(() => [])
  for (const name of names.filter(each => each.endsWith(LEDGER_SUFFIX))) {
    const file = join(directory, name)
    await recoverOne(options, file, keep).catch((error: unknown) => {
      log.warn({ file, err: error }, 'cannot remove what a mount left behind')
    })
  }
}

async function recoverOne(
  options: RecoveryOptions,
  file: string,
  keep: (move: Move) => Promise<void>,
): Promise<void> {
  const { log, store, signal } = options
  const ledger = readLedger(await readFile(file, 'utf8'))
  if (ledger === undefined || ledger.header.store !== store) return
  if (!(await isDead(options, file, ledger.header.owner))) return
  const owed = new Set(ledger.entries.map(entry => (entry.kind === 'return' ? entry.path : '')))
  // A mount that was killed as it noted what it owes had not struck out that nobody needs it.
  const entries = ledger.entries.filter(({ kind, ...entry }) => {
    return kind !== 'object' || !('path' in entry && owed.has(entry.path))
  })
  await forEachParallel(entries, entry => undo(options, entry, keep), {
    limit: PARALLELISM,
    signal,
  })
  if (entries.length > 0) {
    log.info({ file, removed: entries.length }, 'removed what a killed mount left in the bucket')
  }
  await rm(file, { force: true })
  await rm(`${file}.new`, { force: true })
}

async function isDead(
  { self, now = Date.now }: RecoveryOptions,
  file: string,
  owner: ProcessIdentity,
): Promise<boolean> {
  const liveness = await livenessOf(owner, self)
  if (liveness !== 'unknown') return liveness === 'dead'
  const { mtimeMs } = await stat(file)
  return now() - mtimeMs > SILENCE
}

async function undo(
  { driver, signal }: RecoveryOptions,
  entry: LedgerEntry,
  keep: (move: Move) => Promise<void>,
): Promise<void> {
  if (entry.kind === 'move') return keep({ from: entry.from, to: entry.to })
  if (entry.kind === 'return') return giveBack(driver, entry, signal)
  if (entry.kind === 'begun') return abortBegun(driver, entry, signal)
  const { path } = entry
  if (entry.kind === 'object') return driver.deleteFile(path, { signal })
  const upload = { path, uploadId: entry.uploadId, initiated: new Date(0) }
  await driver.abortUpload(upload, { signal })
}

/** To the name that it was being taken from, unless something lies there. */
async function giveBack(
  driver: StorageDriver,
  { path, to }: { readonly path: string; readonly to: string },
  signal: AbortSignal,
): Promise<void> {
  try {
    await driver.move(path, to, { ifNoneMatch: '*', signal })
  } catch (error) {
    if (error instanceof PathNotFoundError) return
    if (!(error instanceof PreconditionError)) throw error
    await driver.deleteFile(path, { signal })
  }
}

export interface OpenLedgerOptions {
  /** undefined for a mount without a ledger. */
  directory: string | undefined
  store: string
  driver: StorageDriver
  log: Logger
  /** Ends the removal early: what it has not come to stays for the next mount. */
  signal?: AbortSignal
}

/** How long a mount waits for what another left behind to be removed. */
const RECOVERY_TIMEOUT: Milliseconds = 30_000

export interface OpenedLedger {
  readonly ledger: LedgerFile
  /** What dead mounts were moving. */
  readonly unfinishedMoves: readonly Move[]
}

/** Removes what dead mounts of the store left behind, and begins a ledger for this one. */
export async function openLedger(options: OpenLedgerOptions): Promise<OpenedLedger | undefined> {
  const { directory, store, driver, log } = options
  if (directory === undefined) return undefined
  const self = await ownIdentity()
  const file = join(directory, `${randomUUID()}${LEDGER_SUFFIX}`)
  const ledger = new LedgerFile({ file, store, owner: self, log })
  const timeout = AbortSignal.timeout(RECOVERY_TIMEOUT)
  const signal = options.signal ? AbortSignal.any([timeout, options.signal]) : timeout
  const unfinishedMoves: Move[] = []
  await recover({ directory, store, driver, self, log, signal }, async move => {
    // Where nothing is left under the old name there is nothing to finish.
    if (!(await exists(driver, move.from, signal))) return
    await ledger.record({ kind: 'move', ...move })
    unfinishedMoves.push(move)
  })
  return { ledger, unfinishedMoves }
}

async function exists(driver: StorageDriver, path: string, signal: AbortSignal): Promise<boolean> {
  try {
    await driver.stat(path, { expect: 'directory', signal })
    return true
  } catch (error) {
    if (error instanceof PathNotFoundError) return false
    throw error
  }
}
