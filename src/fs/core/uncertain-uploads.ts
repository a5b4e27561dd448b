/**
 * Uploads of which nobody knows whether they were begun: the store did not answer, and chooses the id.
 *
 * Before an upload is begun its path and the time are noted in the ledger, and struck out when the store
 * has answered. If it never does, the note stays; at the end of the mount, or at the beginning of the
 * next one, the uploads of that path that were begun at that time and have no part are aborted. The store has no
 * room for a mark that would tell whose an upload is: another host's that was begun in the same minute
 * is spared by having a part, which it has as soon as its first bytes have arrived.
 */
import type { StorageDriver } from '../../driver/driver.js'
import { isUnclear } from '../../driver/errors.js'
import type { Logger } from '../../util/log.js'
import { forEachParallel } from '../../util/semaphore.js'
import type { Milliseconds } from '../../util/units.js'
import type { Ledger, LedgerEntry } from './ledger.js'

type Begun = Extract<LedgerEntry, { kind: 'begun' }>

export interface UncertainUploadsOptions {
  readonly driver: StorageDriver
  readonly ledger: Ledger
  /** Unix time. */
  readonly clock: () => Milliseconds
  readonly log: Logger
}

/** Between when an upload was begun here and there; clocks may differ somewhat. */
const SAME_TIME: Milliseconds = 60_000
/** Notes kept of a store that does not answer for hours. */
const MOST = 1000
const PARALLELISM = 8
/** How long the end of the mount waits; what is left stays in the ledger. */
const PATIENCE: Milliseconds = 10_000

export class UncertainUploads {
  readonly #options: UncertainUploadsOptions
  readonly #left = new Set<Begun>()

  constructor(options: UncertainUploadsOptions) {
    this.#options = options
  }

  /**
   * Does what may begin an upload at `path`, of which nothing is known if no answer comes.
   *
   * @param isFilled  what is begun may have parts by the time it is known
   */
  async noting<T>(
    path: string,
    work: () => Promise<T>,
    { isFilled = false }: { readonly isFilled?: boolean } = {},
  ): Promise<T> {
    const { ledger, log, clock } = this.#options
    const entry: Begun = { kind: 'begun', path, at: clock(), ...(isFilled && { isFilled }) }
    await ledger.record(entry).catch((error: unknown) => {
      log.warn({ path, err: error }, 'cannot note an upload')
    })
    try {
      const result = await work()
      ledger.strike(entry)
      return result
    } catch (error) {
      if (!isFilled && isUnclear(error) && this.#left.size < MOST) this.#left.add(entry)
      else ledger.strike(entry)
      throw error
    }
  }

  /** Aborts what was begun after all. Never rejects: the ledger has what is left. */
  async close(): Promise<void> {
    const { driver, ledger, log } = this.#options
    const signal = AbortSignal.timeout(PATIENCE)
    const abort = async (entry: Begun): Promise<void> => {
      await abortBegun(driver, entry, signal)
      this.#left.delete(entry)
      ledger.strike(entry)
    }
    await forEachParallel([...this.#left], abort, { limit: PARALLELISM, signal }).catch(
      (error: unknown) => {
        log.warn({ err: error }, 'uploads that may have been begun are left to the next mount')
      },
    )
  }
}

/** Aborts the uploads of a path that were begun when this one was; of another host's see above. */
export async function abortBegun(
  driver: StorageDriver,
  { path, at, isFilled = false }: Begun,
  signal: AbortSignal,
): Promise<void> {
  for await (const upload of driver.uploads(path, { signal })) {
    const isSameTime = Math.abs(upload.initiated.getTime() - at) < SAME_TIME
    if (upload.path !== path || !isSameTime) continue
    await driver.abortUpload(upload, { signal, onlyEmpty: !isFilled })
  }
}
