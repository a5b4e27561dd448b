/** What a mount does about journals: opens its own, or sees to it that none is left behind. */
import type { StorageDriver } from '../driver/driver.js'
import type { Logger } from '../util/log.js'
import type { Bytes, Milliseconds } from '../util/units.js'
import { JournaledDriver } from './driver.js'
import { JournalError } from './errors.js'
import { lookInto } from './place.js'

export interface OpenJournalOptions {
  readonly folder: string
  readonly store: string
  readonly size: Bytes
  readonly delay: Milliseconds
  readonly exclusive: 'store' | 'journal'
  readonly log: Logger
}

/** How long a mount waits for what another has left to be sent; it serves it from the journal then. */
const REPLAY: Milliseconds = 30_000

/**
 * Opens a journal over a store, and sends what is in it first.
 *
 * @throws JournalError that says what to do
 */
export async function openJournal(
  remote: StorageDriver,
  options: OpenJournalOptions,
): Promise<JournaledDriver> {
  const { folder, log } = options
  const driver = await JournaledDriver.open(remote, options)
  const { recovered } = driver
  if (recovered === 0) return driver
  try {
    await driver.drain(AbortSignal.timeout(REPLAY))
    log.info(
      { folder, changes: recovered },
      'what an earlier mount had left in the journal is in BOS',
    )
  } catch (error) {
    log.warn(
      { folder, err: error },
      'the journal is not empty yet: it is served, and sent meanwhile',
    )
  }
  return driver
}

/**
 * For mounts without a journal: what lies in one would be missing from them.
 *
 * @throws JournalError unless `isReadOnly`, or another process is sending it
 */
export async function refuseLeftovers(
  { folder, store }: Pick<OpenJournalOptions, 'folder' | 'store'>,
  isReadOnly: boolean,
  log: Logger,
): Promise<void> {
  const { changes, isInUse } = await lookInto(folder, store)
  if (changes === 0) return
  const what = `${changes} changes to this bucket are in the journal ${folder} and not in BOS`
  if (!isReadOnly && !isInUse) {
    throw new JournalError(
      `${what}: mount with --durability journal, or bring them there by bosmount recover`,
    )
  }
  log.warn({ folder, changes }, `${what}: this mount does not show them yet`)
}
