/**
 * Brings the files that are being written to the store: parts leave while a file is still growing,
 * the rest at flush, all files together within one memory budget.
 *
 * Model: a file is cut into parts along a grid (driver/parts.ts). A part of it that is wholly dirty, with
 * the file reaching beyond it, is sealed and uploaded at once, and its memory given back. `flush`
 * publishes the file (publication.ts): a small one that has no sealed part by one put; any other by
 * completing a composition, whose missing bytes are uploaded or, where an object in the store has them,
 * copied inside the store.
 *
 * Uploaded parts cannot be read back from the store before they are published. What needs a sealed byte
 * again (a read, an overwrite, a truncate) takes it from local disk if it is there: the first part
 * always, every part of a file that has needed one before. Otherwise the file is flushed first, and goes
 * on over the published version as its base.
 *
 * When memory is short and nothing is on its way out, the file that holds most is moved to local disk;
 * if that is full or there is none, it is published before its time.
 *
 * What is sent along with dirty bytes and is not in memory (staged bytes, or those of an object that are
 * too few to be copied as a part) has a share of the memory of its own: whoever has some of that waits for
 * the store alone, so it comes free again whatever else is waited for.
 *
 * A file may be made from ranges of others, which are copied at its flush. Before any of these changes
 * in the store, by this mount, the file is flushed. Such dependences have no cycles: a file is clean when
 * it is copied from, so it depends on none.
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
import { PartLayout } from '../driver/parts.js'
import { ErrnoError } from '../util/errno.js'
import type { Logger } from '../util/log.js'
import { TransientMap } from '../util/transient-map.js'
import type { Bytes, Milliseconds } from '../util/units.js'
import { Budget } from './budget.js'
import { BufferPool } from './buffer-pool.js'
import { DirtyFile } from './dirty-file.js'
import type { DirtyFileOwner, Guard } from './dirty-file-owner.js'
import type { FileStore } from './file-store.js'
import type { ObjectId } from './object-id.js'
import type { Staging } from './staging.js'
import { PAGE_SIZE } from './write-buffer.js'

export interface WriteBackOptions {
  limits: PartLimits
  /** Memory for dirty bytes of all files, and for what is put together with them to be sent. */
  memory: Bytes
  /** How long a write may wait for memory before it fails with EIO. */
  patience: Milliseconds
  /** How soon a file that could not be flushed to free memory is tried again; default 1 s. */
  retryDelay?: Milliseconds
  /** Local disk for what does not fit into memory; none if absent. */
  staging?: Staging | undefined
  /** Held shared around everything that publishes. */
  guard: Guard
  log: Logger
}

/** Parts put together at a time from bytes that are not in memory; a quarter of the memory at most. */
const ASSEMBLED_PARTS = 4
const ASSEMBLY_SHARE = 4
/** Of the memory, kept for use again while nobody uses it; it comes on top. */
const IDLE_SHARE = 8
const DEFAULT_RETRY_DELAY: Milliseconds = 1000

export class WriteBack implements DirtyFileOwner {
  readonly limits: PartLimits
  readonly layout: PartLayout
  readonly staging: Staging | undefined
  readonly budget: Budget
  readonly assembly: Budget
  readonly pool: BufferPool
  readonly guard: Guard
  readonly patience: Milliseconds
  readonly #retryDelay: Milliseconds
  readonly #log: Logger
  readonly #files = new TransientMap<number, DirtyFile>()
  #nextFile = 1
  #relieving = false
  #keepsUploads = false

  constructor(options: WriteBackOptions) {
    const { limits, memory, patience, retryDelay = DEFAULT_RETRY_DELAY, guard, log } = options
    // Whole pages per part, so that each page belongs to one part; BOS advises whole MiB anyway.
    const partSize = Math.max(PAGE_SIZE, Math.floor(limits.partSize / PAGE_SIZE) * PAGE_SIZE)
    this.limits = { ...limits, partSize }
    this.layout = new PartLayout(this.limits)
    this.staging = options.staging
    this.guard = guard
    this.patience = patience
    this.#retryDelay = retryDelay
    this.#log = log
    // Less could not hold the part that is filling, the one that is leaving and one put together.
    const total = Math.max(memory, 4 * partSize)
    const most = Math.min(ASSEMBLED_PARTS * partSize, total / ASSEMBLY_SHARE)
    this.assembly = new Budget(Math.max(partSize, Math.floor(most)))
    this.budget = new Budget(total - this.assembly.capacity, () => this.#onPressure())
    this.pool = new BufferPool(this.budget.capacity / IDLE_SHARE)
  }

  /** Files that hold bytes the store does not have. */
  get dirtyFiles(): readonly DirtyFile[] {
    return [...this.#files.values()].filter(file => file.isDirty)
  }

  /** Bytes in memory and on local disk that the store does not have, or not under their name. */
  get heldBytes(): Bytes {
    return this.budget.reserved + this.assembly.reserved + (this.staging?.used ?? 0)
  }

  /** Parts on their way to the store. */
  get uploadsUnderWay(): number {
    return this.dirtyFiles.reduce((sum, file) => sum + file.uploadsUnderWay.length, 0)
  }

  /**
   * Stores all files that have copied from the object at one of the paths, or below one, and not stored
   * that yet. To be called before the object changes, without the guard.
   */
  async settle(...paths: readonly string[]): Promise<void> {
    for (const file of this.#copiers(paths)) await file.flush()
  }

  /** As `settle`, for callers that hold the guard. */
  async settleGuarded(path: string): Promise<void> {
    for (const file of this.#copiers([path])) await file.flushGuarded()
  }

  #copiers(paths: readonly string[]): readonly DirtyFile[] {
    const isMeant = (source: string): boolean =>
      paths.some(path => source === path || source.startsWith(`${path}/`))
    const copiers: DirtyFile[] = []
    // Each flush asks: nothing is made for the many files that copy nothing.
    for (const file of this.#files.values()) {
      if (file.copiesFrom(isMeant) && file.isDirty && file.isLinked) copiers.push(file)
    }
    return copiers
  }

  /** Starts writing to a file whose present version is `base`, or that is not in the store yet. */
  open(store: FileStore, base: ObjectId | undefined): DirtyFile {
    const number = this.#nextFile
    this.#nextFile += 1
    const file = new DirtyFile(this, number, { store, base })
    this.#files.set(number, file)
    return file
  }

  /**
   * Discards every file, so that nothing of those that could not be flushed is left in the store, unless
   * that is not to be asked for anything more.
   */
  async close({ keepsUploads = false } = {}): Promise<void> {
    this.#keepsUploads = keepsUploads
    await Promise.all([...this.#files.values()].map(async file => file.discard()))
  }

  /** Called by a file that was discarded. */
  forget(number: number): void {
    this.#files.delete(number)
  }

  /** Drops an upload that nobody wants any more; that this fails is no reason for others to fail. */
  async dropUpload(composition: Composition): Promise<void> {
    if (this.#keepsUploads) return
    const { path, uploadId } = composition
    await composition.abort().catch((error: unknown) => {
      this.#log.warn({ path, uploadId, err: error }, 'cannot abort an upload')
    })
  }

  #onPressure(): void {
    if (!this.#relieving) void this.#relieve()
  }

  /**
   * Memory is short and somebody waits. It ends in the moment in which nobody does: who comes later
   * begins it again.
   */
  async #relieve(): Promise<void> {
    const failed = new Set<DirtyFile>()
    this.#relieving = true
    try {
      while (this.budget.wanted > 0) await this.#relieveSome(failed)
    } finally {
      this.#relieving = false
    }
  }

  /**
   * Uploads under way will bring some memory; failing that, the file that holds most goes to local disk,
   * or is published before its time, as the kernel does with dirty pages.
   */
  async #relieveSome(failed: Set<DirtyFile>): Promise<void> {
    const files = [...this.#files.values()]
    const uploads = files.flatMap(file => file.uploadsUnderWay)
    if (uploads.length > 0) return Promise.race(uploads)
    const fullest = files
      .filter(file => file.held > 0 && !failed.has(file) && this.#canRelieve(file))
      .toSorted((a, b) => b.held - a.held)[0]
    if (fullest === undefined && !files.some(file => file.held > 0 && file.isLinked)) {
      this.budget.refuse(new ErrnoError('ENOSPC', 'neither memory nor local disk has room'))
      return
    }
    if (fullest === undefined) {
      // Whoever waits goes on waiting: the store may be back by then.
      failed.clear()
      return sleep(this.#retryDelay)
    }
    try {
      if (await this.#spill(fullest)) return
      failed.add(fullest)
      if (!fullest.isLinked) return
      await fullest.flush()
      failed.delete(fullest)
    } catch (error) {
      failed.add(fullest)
      this.#log.warn({ path: fullest.path, err: error }, 'cannot free memory by flushing a file')
    }
  }

  /** A file that was unlinked has no place in the store. */
  #canRelieve(file: DirtyFile): boolean {
    return file.isLinked || this.staging !== undefined
  }

  /** Whether local disk has taken what the file holds in memory. */
  async #spill(file: DirtyFile): Promise<boolean> {
    if (this.staging === undefined) return false
    try {
      await file.spill()
      return true
    } catch (error) {
      const isFull = error instanceof ErrnoError && error.code === 'ENOSPC'
      if (!isFull)
        this.#log.warn({ path: file.path, err: error }, 'cannot use the staging directory')
      return false
    }
  }
}
