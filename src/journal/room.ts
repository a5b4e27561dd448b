/**
 * How much the journal may hold. A writer for whom there is no room waits until something has been sent,
 * for a while; then it is told that there is no space. What was confirmed is never given up for it.
 *
 * A part of the disk stays free whatever the limit says: the log must be able to take note of deletes, and
 * others live there too.
 */
import { statfs } from 'node:fs/promises'
import { QuotaError } from '../driver/errors.js'
import { abortable } from '../util/abort.js'
import { MiB, type Bytes, type Milliseconds } from '../util/units.js'

export interface RoomOptions {
  /** Most bytes of contents, and of what is noted about them. */
  readonly limit: Bytes
  /** Longest wait of a writer. */
  readonly patience: Milliseconds
  /** Whether something is pending, which makes room when it has been sent. */
  readonly isComing: () => boolean
  /** What is free on the disk. */
  readonly free: () => Promise<Bytes>
  /** Somebody waits. */
  readonly hurry: () => void
}

/** What stays free on the disk. */
const FLOOR: Bytes = 64 * MiB
/** Bytes after which the disk is asked again what is free on it. */
const ASKED_EVERY: Bytes = 16 * MiB
/** The same in time: others use the disk as well. */
const ASKED_AFTER: Milliseconds = 500

/** On a disk that others have filled, while nothing is pending: only an open file could make room. */
const STUCK: Milliseconds = 1000

/** What a record takes beside its content. */
export const RECORD: Bytes = 512

export class Room {
  readonly #options: RoomOptions
  #used: Bytes = 0
  #waiting: (() => void)[] = []
  #free: Bytes = 0
  #asked = -Infinity

  constructor(options: RoomOptions) {
    this.#options = options
  }

  get used(): Bytes {
    return this.#used
  }

  get isTight(): boolean {
    return this.#waiting.length > 0 || this.#used > this.#options.limit / 2
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Whether one content of this size could ever be taken. */
  takes(size: Bytes): boolean {
    return size <= this.#options.limit / 4
  }

  /** Takes room, also beyond the limit: for what is there already. */
  add(size: Bytes): void {
    this.#used += size
  }

  /** Gives room back. */
  release(size: Bytes): void {
    this.#used -= size
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  /** Takes room, waiting for it if need be. @throws QuotaError */
  async reserve(size: Bytes, path: string, signal?: AbortSignal): Promise<void> {
    const deadline = performance.now() + this.#options.patience
    let stuck = Infinity
    for (;;) {
      const isFree = await this.#isOnDisk(size)
      if (isFree && (this.#used + size <= this.#options.limit || this.#used === 0)) break
      const now = performance.now()
      stuck = isFree || this.#options.isComing() ? Infinity : Math.min(stuck, now + STUCK)
      const left = Math.min(deadline, stuck) - now
      if (left <= 0 || (this.#used === 0 && !isFree)) {
        const why = isFree ? 'it holds as much as it may' : 'the disk is full'
        throw new QuotaError(`no room for ${path} in the journal: ${why}`, { path })
      }
      await abortable(this.#changed(left), signal)
    }
    this.#used += size
    this.#free -= size
  }

  async #isOnDisk(size: Bytes): Promise<boolean> {
    const isOld = performance.now() - this.#asked > ASKED_AFTER
    if (isOld || this.#free < FLOOR + size + ASKED_EVERY) {
      this.#asked = performance.now()
      this.#free = await this.#options.free()
    }
    return this.#free >= FLOOR + size
  }

  #changed(longest: Milliseconds): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, Math.min(longest, ASKED_AFTER * 2))
      this.#waiting.push(() => {
        clearTimeout(timer)
        resolve()
      })
      this.#options.hurry()
    })
  }
}

/** What is free for this user on the disk of a folder. */
export async function freeSpace(folder: string): Promise<Bytes> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}
