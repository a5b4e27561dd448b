/**
 * Uploads that nobody goes on with and that may still be in the store: those of a process that has died, and
 * those of this one whose beginning or abort was not answered. They are looked for again and again,
 * ever less often, until nothing of them can be left; the log keeps their notes until then.
 *
 * An upload whose id is known is aborted by it. Of one that was begun without an answer only its path and
 * the time are known, and another host may have begun one there at that moment. The two differ in that
 * the other host's soon has parts: what is aborted has had none for some time. And what a dead process has
 * asked for may come about later than anybody looks for it, so it is looked for a while.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { DriverOptions, StorageDriver, UploadInfo } from '../driver/driver.js'
import { Mutex } from '../util/lock.js'
import type { Logger } from '../util/log.js'
import type { Milliseconds } from '../util/units.js'
import type { Journal } from './journal.js'
import type { UploadNote } from './record.js'

export interface LeftUploadsOptions {
  readonly journal: Pick<Journal, 'clock' | 'endUpload'>
  readonly remote: Pick<StorageDriver, 'uploads' | 'abortUpload'>
  /** Whether an upload is, or may be, under way here. */
  readonly isOwn: (upload: UploadInfo) => boolean
  /** Until something is looked for the second time, then twice as long, and so on; default 1 s. */
  readonly pace?: Milliseconds
  readonly log: Logger
}

/** By which clocks may differ. */
const SKEW: Milliseconds = 60_000
/** All attempts of a driver to begin an upload. */
const ATTEMPTS: Milliseconds = 2 * 60_000
/** In which a request arrives that a dead process has sent. */
const STRAGGLERS: Milliseconds = 2 * 60_000
/** In paces: what is empty for so long does not get parts any more. */
const PATIENCE = 5
const LONGEST_PAUSE: Milliseconds = 30_000

interface Left {
  readonly note: UploadNote
  /** Ids of what may be it, and when they were first seen; a clock that never goes back. */
  readonly suspects: Map<string, Milliseconds>
}

export class LeftUploads {
  readonly #options: LeftUploadsOptions
  readonly #pace: Milliseconds
  readonly #left = new Set<Left>()
  readonly #alone = new Mutex()
  readonly #stop = new AbortController()
  #pause: Milliseconds
  #timer: NodeJS.Timeout | undefined

  constructor(options: LeftUploadsOptions) {
    this.#options = options
    this.#pace = options.pace ?? 1000
    this.#pause = this.#pace
  }

  get size(): number {
    return this.#left.size
  }

  /** Looks for it from now on. */
  add(note: UploadNote): void {
    this.#left.add({ note, suspects: new Map() })
    this.#pause = this.#pace
    clearTimeout(this.#timer)
    this.#schedule(0)
  }

  /** Looks for all of them once, now. Never rejects: what fails is tried again. */
  async look(signal: AbortSignal = this.#stop.signal): Promise<void> {
    await this.#alone.run(async () => {
      for (const left of this.#left) await this.#tryToDrop(left, signal)
    })
  }

  /** Looks until all that was found is gone, or cannot be removed now. Never rejects. */
  async settled(signal: AbortSignal = this.#stop.signal): Promise<void> {
    for (let looks = 0; looks < 2 * PATIENCE; looks += 1) {
      await this.look(signal)
      const isWaiting = [...this.#left].some(({ suspects }) => suspects.size > 0)
      if (!isWaiting || signal.aborted) return
      await sleep(this.#pace, undefined, { signal }).catch(() => undefined)
    }
  }

  /** What is left is left to the next process. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the journal is being closed'))
    clearTimeout(this.#timer)
    await this.#alone.run(async () => undefined)
  }

  #schedule(pause: Milliseconds): void {
    if (this.#stop.signal.aborted) return
    this.#timer = setTimeout(() => void this.#lookAgain(), pause).unref()
  }

  async #lookAgain(): Promise<void> {
    await this.look()
    if (this.#left.size === 0) return
    clearTimeout(this.#timer)
    this.#schedule(this.#pause)
    this.#pause = Math.min(LONGEST_PAUSE, this.#pause * 2)
  }

  async #tryToDrop(left: Left, signal: AbortSignal): Promise<void> {
    const { journal, log } = this.#options
    const { note } = left
    try {
      signal.throwIfAborted()
      if (!(await this.#drop(left, { signal }))) return
      this.#left.delete(left)
      journal.endUpload(note)
    } catch (error) {
      if (signal.aborted) return
      log.warn({ path: note.path, err: error }, 'cannot look for an upload that was left')
    }
  }

  /** @returns whether nothing of it can be left */
  async #drop({ note, suspects }: Left, io: DriverOptions): Promise<boolean> {
    const { remote, isOwn, journal } = this.#options
    const { path, begun, uploadId } = note
    // Attempts to begin it may have begun others, which are found below.
    if (uploadId !== undefined)
      await remote.abortUpload({ path, uploadId, initiated: new Date(begun) }, io)
    const now = performance.now()
    let isSettled = uploadId !== undefined || journal.clock() - begun > STRAGGLERS
    const seen = new Set<string>()
    for await (const upload of remote.uploads(path, io)) {
      const after = upload.initiated.getTime() - begun
      const isTheTime = after > -SKEW && after < SKEW + ATTEMPTS
      if (upload.path !== path || upload.uploadId === uploadId || !isTheTime) continue
      if (isOwn(upload)) continue
      const first = suspects.get(upload.uploadId) ?? now
      suspects.set(upload.uploadId, first)
      seen.add(upload.uploadId)
      if (now - first < PATIENCE * this.#pace) isSettled = false
      else await remote.abortUpload(upload, { ...io, onlyEmpty: true })
    }
    for (const each of suspects.keys()) if (!seen.has(each)) suspects.delete(each)
    return isSettled
  }
}
