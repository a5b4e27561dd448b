/**
 * Brings the files that are being written to the store: parts leave while a file is still growing,
 * the rest at flush, all files together within one memory budget.
 *
 * Model: a file is cut into parts of one size; part k holds bytes [k*partSize, (k+1)*partSize) and
 * has part number k+1. A part that is wholly dirty, with the file reaching beyond it, is sealed and
 * uploaded at once, and its memory given back. `flush` publishes the file: a small one that has no
 * sealed part by one put; any other by completing a composition, whose missing parts are uploaded
 * (dirty bytes, filled up from the base) or, where nothing changed, copied inside the store.
 *
 * Uploaded parts cannot be read back before they are published, so whatever needs a sealed byte (a
 * read, an overwrite, a truncate) flushes first, and goes on over the published file as its base.
 *
 * Locks, taken in this order: the guard (shared; held exclusively while a directory is renamed, so
 * that nothing is put under a path that is about to change), then the file's mutex. Writes take the
 * mutex only. Work that needs no waiting, while nobody is in, takes neither.
 *
 * Promises: after `flush` has resolved the store has every byte written before it was called. After
 * it has rejected nothing is lost: the file is still dirty and `flush` can be tried again. A
 * composition with a missing part is never completed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Composition, PartLimits } from '../driver/driver.js'
import type { Logger } from '../util/log.js'
import type { Bytes, Milliseconds } from '../util/units.js'
import { Budget } from './budget.js'
import { BufferPool } from './buffer-pool.js'
import { DirtyFile } from './dirty-file.js'
import type { DirtyFileOwner, FileStore, Guard } from './dirty-file.js'
import type { ObjectId } from './object-id.js'
import { PAGE_SIZE } from './write-buffer.js'

export interface WriteBackOptions {
  limits: PartLimits
  /** Memory for dirty bytes of all files. */
  memory: Bytes
  /** How long a write may wait for memory before it fails with EIO. */
  patience: Milliseconds
  /** How soon a file that could not be flushed to free memory is tried again; default 1 s. */
  retryDelay?: Milliseconds
  /** Held shared around everything that publishes. */
  guard: Guard
  log: Logger
}

const DEFAULT_RETRY_DELAY: Milliseconds = 1000

export class WriteBack implements DirtyFileOwner {
  readonly partSize: Bytes
  readonly limits: PartLimits
  readonly budget: Budget
  readonly pool: BufferPool
  readonly guard: Guard
  readonly patience: Milliseconds
  readonly #retryDelay: Milliseconds
  readonly #log: Logger
  readonly #files = new Set<DirtyFile>()
  #relieving = false

  constructor(options: WriteBackOptions) {
    const { limits, memory, patience, retryDelay = DEFAULT_RETRY_DELAY, guard, log } = options
    this.limits = limits
    this.guard = guard
    this.patience = patience
    this.#retryDelay = retryDelay
    this.#log = log
    // Whole pages per part, so that each page belongs to one part; BOS advises whole MiB anyway.
    this.partSize = Math.max(PAGE_SIZE, Math.floor(limits.partSize / PAGE_SIZE) * PAGE_SIZE)
    // Less could not hold the part that is filling and the one that is leaving.
    this.budget = new Budget(Math.max(memory, 3 * this.partSize), () => this.#onPressure())
    this.pool = new BufferPool(PAGE_SIZE, Math.ceil(this.budget.capacity / PAGE_SIZE / 4))
  }

  /** Files that hold bytes the store does not have. */
  get dirtyFiles(): readonly DirtyFile[] {
    return [...this.#files].filter(file => file.isDirty)
  }

  /** Starts writing to a file whose present version is `base`, or that is not in the store yet. */
  open(store: FileStore, base: ObjectId | undefined): DirtyFile {
    const file = new DirtyFile(this, store, base)
    this.#files.add(file)
    return file
  }

  /** Discards every file, so that nothing of those that could not be flushed is left in the store. */
  async close(): Promise<void> {
    await Promise.all([...this.#files].map(file => file.discard()))
  }

  /** Called by a file that was discarded. */
  forget(file: DirtyFile): void {
    this.#files.delete(file)
  }

  /** Drops an upload that nobody wants any more; that this fails is no reason for others to fail. */
  async dropUpload(composition: Composition): Promise<void> {
    const { path, uploadId } = composition
    await composition.abort().catch((error: unknown) => {
      this.#log.warn({ path, uploadId, err: error }, 'cannot abort an upload')
    })
  }

  #onPressure(): void {
    if (this.#relieving) return
    this.#relieving = true
    void this.#relieve().finally(() => {
      this.#relieving = false
    })
  }

  /**
   * Memory is short and somebody waits. Uploads under way will bring some; failing that, the file
   * that holds most is published before its time, as the kernel does with dirty pages.
   */
  async #relieve(): Promise<void> {
    const failed = new Set<DirtyFile>()
    while (this.budget.wanted > 0) {
      const uploads = [...this.#files].flatMap(file => file.uploadsUnderWay)
      if (uploads.length > 0) {
        await Promise.race(uploads)
        continue
      }
      const fullest = [...this.#files]
        .filter(file => file.held > 0 && file.isLinked && !failed.has(file))
        .toSorted((a, b) => b.held - a.held)[0]
      if (fullest === undefined) {
        // Whoever waits goes on waiting: the store may be back by then.
        failed.clear()
        await sleep(this.#retryDelay)
        continue
      }
      try {
        await fullest.flush()
      } catch (error) {
        failed.add(fullest)
        this.#log.warn({ path: fullest.path, err: error }, 'cannot free memory by flushing a file')
      }
    }
  }
}
