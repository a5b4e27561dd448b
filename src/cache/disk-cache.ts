/**
 * Blocks of files kept on a local disk: a second tier that survives restarts.
 *
 * Model: a folder of files, one per block, named by a hash of what the block is (see disk-tier.ts); which
 * are there, and which were used least recently, is known in memory. A file is written beside its place
 * and renamed into it, and carries a checksum over its name, its header and its bytes: whatever a crash,
 * a full or a failing disk leaves behind is either a right block or none. So nothing is ever synced.
 *
 * The tier is a help and no more. Nobody waits for its writes, of which a bounded number is under way;
 * a read that takes too long, or any failure that is not a missing file or a full disk, turns the tier
 * off for the rest of the mount, with one warning.
 *
 * INVARIANT: one process uses a folder (disk-folder.ts).
 */
import { mkdir, rename, rm, statfs, writeFile } from 'node:fs/promises'
import type { Server } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { Logger } from '../util/log.js'
import { KiB, MiB, type Bytes, type Milliseconds } from '../util/units.js'
import {
  decodeBlock,
  encodeBlock,
  fileLength,
  readBeginning,
  type StoredBlock,
} from './block-file.js'
import { BufferPool } from './buffer-pool.js'
import { filesLeft, placeOf, takeFolder } from './disk-folder.js'

export interface DiskCacheOptions {
  /** Made, for its owner alone, if it is not there. */
  directory: string
  /** Most bytes kept. */
  capacity: Bytes
  log: Logger
  /** Share of the file system that stays free; default 0.1. */
  keepFree?: number
  /** Longest that a read may take; default 1 s. */
  patience?: Milliseconds
  /** Size of and space left on the file system of a folder; default statfs(2). */
  space?: (directory: string) => Promise<Space>
}

export interface Space {
  readonly size: Bytes
  readonly free: Bytes
}

/** Bytes waiting to be written. */
const MAX_QUEUED: Bytes = 64 * MiB
/** Blocks kept, however small: each costs some 200 bytes of memory. */
const MAX_BLOCKS = 500_000
/** How often the file system is asked for its space. */
const SPACE_CHECK: Milliseconds = 1000
/** In so many steps is counted how long a read takes. */
const STEPS = 10
/** Longest wait for writes at the end. */
const LAST_WRITES: Milliseconds = 2000

/** How old the note of a file's last use may become: it only tells the next process what to drop first. */
const NOTE_EVERY: Milliseconds = 60 * 60_000
/** Memory for files on their way, which is used again: touching fresh memory costs more than to fill it. */
const FILE_BUFFER: Bytes = 129 * KiB
const MAX_BUFFERS = 32

/** A file of a block. */
interface Kept {
  readonly size: Bytes
  /** When its last use was noted, in the time of the file system. */
  noted: Milliseconds
}

const NEW = 'new'

export class DiskCache {
  readonly #directory: string
  readonly #log: Logger
  readonly #keepFree: number
  readonly #patience: Milliseconds
  readonly #space: (directory: string) => Promise<Space>
  readonly #lock: Server
  readonly #blocks: LRUCache<string, Kept>
  readonly #buffers = new BufferPool(MAX_BUFFERS * FILE_BUFFER)
  #isOff = false
  #queued: Bytes = 0
  #writes: Promise<void> = Promise.resolve()
  /** Blocks that were dropped and whose files are still there. */
  readonly #leaving = new Set<string>()
  #removals: Promise<void> = Promise.resolve()
  #written = 0
  #spaceChecked: Milliseconds = -Infinity
  #isFull = false

  private constructor(options: DiskCacheOptions, lock: Server) {
    this.#directory = options.directory
    this.#log = options.log
    this.#keepFree = options.keepFree ?? 0.1
    this.#patience = options.patience ?? 1000
    this.#space = options.space ?? spaceOf
    this.#lock = lock
    this.#blocks = new LRUCache({
      max: MAX_BLOCKS,
      maxSize: Math.max(1, options.capacity),
      sizeCalculation: ({ size }) => size,
      dispose: (_, id, reason) => {
        if (reason === 'evict' || reason === 'delete') this.#remove(id)
      },
    })
  }

  /**
   * Takes a folder into use.
   * @throws Error that says what to do: another process uses it, or it cannot be used at all
   */
  static async open(options: DiskCacheOptions): Promise<DiskCache> {
    const directory = resolve(options.directory)
    const cache = new DiskCache({ ...options, directory }, await takeFolder(directory))
    try {
      await rm(join(directory, NEW), { recursive: true, force: true })
      await mkdir(join(directory, NEW), { mode: 0o700 })
      for (const { id, size, used } of await filesLeft(directory)) {
        cache.#blocks.set(id, { size: Math.max(1, size), noted: used })
      }
    } catch (error) {
      cache.#lock.close()
      throw error
    }
    return cache
  }

  /** Bytes kept. */
  get size(): Bytes {
    return this.#blocks.calculatedSize
  }

  /** Whether a failure has turned it off. */
  get isOff(): boolean {
    return this.#isOff
  }

  has(id: string): boolean {
    return !this.#isOff && this.#blocks.has(id)
  }

  /**
   * What `use` makes of a block as it was written, which is there during the call only; undefined if it is
   * not there or not as it was. Never rejects; `use` must not throw.
   */
  async read<T>(id: string, use: (block: StoredBlock) => T): Promise<T | undefined> {
    const kept = this.has(id) ? this.#blocks.get(id) : undefined
    if (kept === undefined) return undefined
    // One byte more than there should be shows a file that is too long.
    const buffer = this.#take(kept.size + 1)
    const room = buffer.subarray(0, kept.size + 1)
    const now = Date.now()
    const used = now - kept.noted > NOTE_EVERY ? new Date(now) : undefined
    if (used !== undefined) kept.noted = now
    const path = this.#path(id)
    const reading = readBeginning(path, room, used)
    // However late it is: until then the system may write to it.
    const giveBack = (): void => this.#buffers.give(buffer)
    try {
      const filled = await this.#patiently(reading)
      const block = decodeBlock(id, room.subarray(0, filled))
      if (block !== undefined) return use(block)
      this.#blocks.delete(id)
      this.#log.warn({ path }, 'a file of the disk cache is damaged; its block is fetched again')
    } catch (error) {
      if (codeOf(error) === 'ENOENT') this.#blocks.delete(id)
      else this.#fail(error)
    } finally {
      reading.then(giveBack, giveBack)
    }
    return undefined
  }

  /** Keeps a block, if it can be done; `data` is copied before this returns. */
  write(id: string, data: Uint8Array, fileSize: Bytes): void {
    const size = fileLength(data)
    if (this.#isOff || this.#blocks.has(id) || this.#queued + size > MAX_QUEUED) return
    const buffer = this.#take(size)
    encodeBlock(buffer, id, { data, fileSize })
    this.#queued += size
    this.#writes = this.#writes
      .then(() => this.#write(id, buffer.subarray(0, size)))
      .catch((error: unknown) => {
        if (codeOf(error) === 'ENOSPC') this.#isFull = true
        else this.#fail(error)
      })
      .finally(() => {
        this.#queued -= size
        this.#buffers.give(buffer)
      })
  }

  /** Resolves when all that was to be written is, and the files of what was dropped are gone. */
  async settled(): Promise<void> {
    await this.#writes
    await this.#removals
  }

  /** Finishes what can be finished soon, and lets others use the folder. Idempotent. */
  async close(): Promise<void> {
    await Promise.race([this.#writes, sleep(LAST_WRITES, undefined, { ref: false })])
    this.#isOff = true
    await new Promise<void>(closed => this.#lock.close(() => closed()))
  }

  #take(size: Bytes): Buffer {
    return size <= FILE_BUFFER ? this.#buffers.take(FILE_BUFFER) : Buffer.allocUnsafeSlow(size)
  }

  /**
   * Counts in short steps, and a late one as one: a process that stood still has not waited for the disk.
   * @throws Error when it takes too long
   */
  #patiently<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let left = STEPS
      const step = (): void => {
        if (left === 0) reject(new Error(`a read has taken more than ${this.#patience} ms`))
        else timer = setTimeout(step, this.#patience / STEPS).unref()
        left -= 1
      }
      let timer: NodeJS.Timeout | undefined
      step()
      const inTime = (): void => clearTimeout(timer)
      work.then(resolve, reject).then(inTime, inTime)
    })
  }

  async #write(id: string, file: Buffer): Promise<void> {
    if (this.#isOff || this.#blocks.has(id) || (await this.#lacksSpace())) return
    if (this.#leaving.has(id)) await this.#removals
    this.#written += 1
    const beside = join(this.#directory, NEW, String(this.#written))
    const path = this.#path(id)
    try {
      await writeFile(beside, file, { mode: 0o600, flag: 'wx' })
      await rename(beside, path).catch(async (error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw error
        await mkdir(join(path, '..'), { recursive: true, mode: 0o700 })
        await rename(beside, path)
      })
    } catch (error) {
      await rm(beside, { force: true }).catch(() => undefined)
      throw error
    }
    this.#blocks.set(id, { size: file.length, noted: Date.now() })
  }

  /** Keeps a share of the file system free, by dropping blocks that were not used for long. */
  async #lacksSpace(): Promise<boolean> {
    const now = performance.now()
    if (now - this.#spaceChecked < SPACE_CHECK) return this.#isFull
    this.#spaceChecked = now
    await this.#removals
    const { size, free } = await this.#space(this.#directory)
    let missing = Math.ceil(size * this.#keepFree) - free
    this.#isFull = missing > 0
    while (missing > 0) {
      const dropped = this.#blocks.size === 0 ? undefined : this.#blocks.pop()
      if (dropped === undefined) break
      missing -= dropped.size
    }
    return this.#isFull
  }

  #remove(id: string): void {
    const isIdle = this.#leaving.size === 0
    this.#leaving.add(id)
    if (!isIdle) return
    this.#removals = this.#removeLeaving().catch((error: unknown) => this.#fail(error))
  }

  /** One after the other: of a folder that has become too large they are many, and reads would wait behind them. */
  async #removeLeaving(): Promise<void> {
    for (const id of this.#leaving) {
      if (this.#isOff) break
      await rm(this.#path(id), { force: true })
      this.#leaving.delete(id)
    }
    this.#leaving.clear()
  }

  #fail(error: unknown): void {
    if (this.#isOff) return
    this.#isOff = true
    this.#log.warn(
      { directory: this.#directory, err: error },
      'the disk cache has failed and is not used any more; the mount goes on without it',
    )
  }

  #path(id: string): string {
    return placeOf(this.#directory, id)
  }
}

async function spaceOf(directory: string): Promise<Space> {
  const { bsize, blocks, bavail } = await statfs(directory)
  return { size: blocks * bsize, free: bavail * bsize }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
