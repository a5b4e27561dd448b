/**
 * Takes what was deleted here out of the store, many by one request.
 *
 * What was decided long ago, or by a process that has died, is looked at first: another host may have made
 * the file anew, and then it stays. And of what that process was sending as it died something may
 * arrive after the delete: it is looked for once more, a moment later.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { StorageDriver } from '../driver/driver.js'
import { withoutSlash } from '../driver/path.js'
import type { Logger } from '../util/log.js'
import { forEachParallel } from '../util/semaphore.js'
import type { Milliseconds } from '../util/units.js'
import { isMarkerKey } from './record.js'
import type { JournalRecord } from './record.js'
import type { Sender } from './sender.js'

export interface DeleterOptions {
  readonly remote: Pick<StorageDriver, 'deleteFile' | 'deleteMany' | 'removeDirectoryMarker'>
  readonly sender: Sender
  readonly log: Logger
}

export interface Deletion {
  readonly record: JournalRecord
  /** It was decided by another process, or tried before. */
  readonly isDoubtful: boolean
}

export interface Deleted {
  /** Keys that could not be deleted. */
  readonly failures: ReadonlyMap<string, unknown>
  /** Keys under which another host has put something since. */
  readonly kept: ReadonlySet<string>
}

const PARALLELISM = 8
/** In which a request arrives that a dead process has sent. */
const STRAGGLERS: Milliseconds = 1000

export class Deleter {
  readonly #options: DeleterOptions

  constructor(options: DeleterOptions) {
    this.#options = options
  }

  /** Never rejects. */
  async remove(deletions: readonly Deletion[], signal: AbortSignal): Promise<Deleted> {
    const failures = new Map<string, unknown>()
    const kept = new Set<string>()
    await this.#each(deletions, failures, async deletion => {
      if (await this.#isOutdated(deletion, signal)) kept.add(deletion.record.key)
    })
    const isLeft = ({ record }: Deletion): boolean =>
      !kept.has(record.key) && !failures.has(record.key)
    await this.#delete(deletions.filter(isLeft), failures, signal)
    await this.#deleteStragglers(deletions.filter(isLeft), failures, signal)
    return { failures, kept }
  }

  async #delete(
    deletions: readonly Deletion[],
    failures: Map<string, unknown>,
    signal: AbortSignal,
  ): Promise<void> {
    const { remote } = this.#options
    const paths = deletions.map(({ record }) => record.key)
    const [only] = paths
    if (only === undefined) return
    try {
      if (paths.length === 1) await this.#deleteOne(only, signal)
      else {
        for (const { path, error } of await remote.deleteMany(paths, { signal })) {
          failures.set(path, error)
        }
      }
    } catch (error) {
      for (const path of paths) failures.set(path, error)
    }
  }

  async #deleteOne(key: string, signal: AbortSignal): Promise<void> {
    const { remote } = this.#options
    if (isMarkerKey(key)) await remote.removeDirectoryMarker(withoutSlash(key), { signal })
    else await remote.deleteFile(key, { signal })
  }

  async #deleteStragglers(
    deletions: readonly Deletion[],
    failures: Map<string, unknown>,
    signal: AbortSignal,
  ): Promise<void> {
    const { sender } = this.#options
    const doubtful = deletions.filter(
      ({ record, isDoubtful }) =>
        isDoubtful && !isMarkerKey(record.key) && (record.base.own ?? []).length > 0,
    )
    if (doubtful.length === 0) return
    // Cut short, it is done again: what was not noted as sent is in the journal still.
    await sleep(STRAGGLERS, undefined, { signal }).catch(() => undefined)
    await this.#each(doubtful, failures, async ({ record }) => {
      if (await sender.isOwnThere(record, signal)) await this.#deleteOne(record.key, signal)
    })
  }

  async #each(
    deletions: readonly Deletion[],
    failures: Map<string, unknown>,
    work: (deletion: Deletion) => Promise<void>,
  ): Promise<void> {
    const run = async (deletion: Deletion): Promise<void> => {
      try {
        await work(deletion)
      } catch (error) {
        failures.set(deletion.record.key, error)
      }
    }
    await forEachParallel(deletions, run, { limit: PARALLELISM })
  }

  async #isOutdated({ record, isDoubtful }: Deletion, signal: AbortSignal): Promise<boolean> {
    if (record.kind !== 'delete') return false
    const { sender, log } = this.#options
    if (!(await sender.isOutdated(record, { isDoubtful, signal }))) return false
    const path = record.key
    log.error({ path }, 'not deleted: another host has stored it since it was unlinked here')
    return true
  }
}
