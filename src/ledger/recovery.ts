/**
 * Removes from the store what mounts have left there that were killed.
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
import type { LedgerEntry } from '../fs/core/ledger.js'
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

export const LEDGER_SUFFIX = '.ledger'
/** A mount that has not renewed its ledger for so long does not run any more. */
const SILENCE: Milliseconds = 6 * RENEWAL
const PARALLELISM = 8

/** Never rejects: a mount is of use even if what another left behind cannot be removed. */
export async function recover(options: RecoveryOptions): Promise<void> {
  const { directory, log } = options
  const names = await readdir(directory).catch(() => [])
  for (const name of names.filter(each => each.endsWith(LEDGER_SUFFIX))) {
    const file = join(directory, name)
    await recoverOne(options, file).catch((error: unknown) => {
      log.warn({ file, err: error }, 'cannot remove what a mount left behind')
    })
  }
}

async function recoverOne(options: RecoveryOptions, file: string): Promise<void> {
  const { driver, log, store, signal } = options
  const ledger = readLedger(await readFile(file, 'utf8'))
  if (ledger === undefined || ledger.header.store !== store) return
  if (!(await isDead(options, file, ledger.header.owner))) return
  const { entries } = ledger
  await forEachParallel(entries, entry => undo(driver, entry, signal), {
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

async function undo(driver: StorageDriver, entry: LedgerEntry, signal: AbortSignal): Promise<void> {
  const { path } = entry
  if (entry.kind === 'object') await driver.deleteFile(path, { signal })
  else
    await driver.abortUpload({ path, uploadId: entry.uploadId, initiated: new Date(0) }, { signal })
}

export interface OpenLedgerOptions {
  /** undefined for a mount without a ledger. */
  directory: string | undefined
  store: string
  driver: StorageDriver
  log: Logger
}

/** How long a mount waits for what another left behind to be removed. */
const RECOVERY_TIMEOUT: Milliseconds = 30_000

/** Removes what dead mounts of the store left behind, and begins a ledger for this one. */
export async function openLedger(options: OpenLedgerOptions): Promise<LedgerFile | undefined> {
  const { directory, store, driver, log } = options
  if (directory === undefined) return undefined
  const self = await ownIdentity()
  const signal = AbortSignal.timeout(RECOVERY_TIMEOUT)
  await recover({ directory, store, driver, self, log, signal })
  const file = join(directory, `${randomUUID()}${LEDGER_SUFFIX}`)
  return new LedgerFile({ file, store, owner: self, log })
}
