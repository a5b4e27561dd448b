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
 * INVARIANT: one process uses a folder. What keeps others out is a socket in the abstract name space of
 * Linux, which goes when its process ends, however it ends.
 */
import { createHash } from 'node:crypto'
import {
  chmod,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  statfs,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { LRUCache } from 'lru-cache'
import type { Logger } from '../util/log.js'
import { MiB, type Bytes, type Milliseconds } from '../util/units.js'

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

/** A block, and the size of the file that it belongs to. */
export interface StoredBlock {
  readonly data: Buffer
  readonly fileSize: Bytes
}

/** Bytes waiting to be written. */
const MAX_QUEUED: Bytes = 64 * MiB
/** Blocks kept, however small: each costs some 200 bytes of memory. */
const MAX_BLOCKS = 500_000
/** How often the file system is asked for its space. */
const SPACE_CHECK: Milliseconds = 1000
/** Longest wait for writes at the end. */
const LAST_WRITES: Milliseconds = 2000

const MAGIC = 0x424f5331
/** Magic number, CRC-32, length of the block, size of the file. */
const HEADER = 4 + 4 + 4 + 8
const NEW = 'new'

export class DiskCache {
  readonly #directory: string
  readonly #log: Logger
  readonly #keepFree: number
  readonly #patience: Milliseconds
  readonly #space: (directory: string) => Promise<Space>
  readonly #lock: Server
  /** Bytes on disk by id. */
  readonly #blocks: LRUCache<string, Bytes>
  #isOff = false
  #queued: Bytes = 0
  #writes: Promise<void> = Promise.resolve()
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
      sizeCalculation: size => size,
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
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const { uid, mode } = await stat(directory)
    if (process.getuid !== undefined && uid !== process.getuid()) {
      throw new Error(`cache-dir: ${directory} belongs to another user; give a folder of your own`)
    }
    if ((mode & 0o077) !== 0) await chmod(directory, 0o700)
    const cache = new DiskCache({ ...options, directory }, await lock(directory))
    try {
      await rm(join(directory, NEW), { recursive: true, force: true })
      await mkdir(join(directory, NEW), { mode: 0o700 })
      await cache.#scan()
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

  /** A block as it was written; undefined if it is not there or not as it was. Never rejects. */
  async read(id: string): Promise<StoredBlock | undefined> {
    if (!this.has(id)) return undefined
    const late = new AbortController()
    try {
      const found = await Promise.race([
        this.#read(id),
        sleep(this.#patience, 'late' as const, { signal: late.signal, ref: false }),
      ])
      if (found === 'late') {
        this.#fail(new Error(`a read has taken more than ${this.#patience} ms`))
        return undefined
      }
      // Used now; its file says so to the next process.
      if (found === undefined) this.#blocks.delete(id)
      else this.#blocks.get(id)
      return found
    } catch (error) {
      if (codeOf(error) === 'ENOENT') this.#blocks.delete(id)
      else this.#fail(error)
      return undefined
    } finally {
      late.abort()
    }
  }

  /** Keeps a block, if it can be done; `data` is copied before this returns. */
  write(id: string, data: Uint8Array, fileSize: Bytes): void {
    if (this.#isOff || this.#blocks.has(id) || this.#queued + data.length > MAX_QUEUED) return
    const file = encode(id, data, fileSize)
    this.#queued += file.length
    this.#writes = this.#writes
      .then(() => this.#write(id, file))
      .catch((error: unknown) => {
        if (codeOf(error) === 'ENOSPC') this.#isFull = true
        else this.#fail(error)
      })
      .finally(() => (this.#queued -= file.length))
  }

  /** Resolves when all that was to be written is. */
  async settled(): Promise<void> {
    await this.#writes
  }

  /** Finishes what can be finished soon, and lets others use the folder. Idempotent. */
  async close(): Promise<void> {
    await Promise.race([this.#writes, sleep(LAST_WRITES, undefined, { ref: false })])
    this.#isOff = true
    await new Promise<void>(closed => this.#lock.close(() => closed()))
  }

  async #read(id: string): Promise<StoredBlock | undefined> {
    const size = this.#blocks.peek(id) ?? 0
    const path = this.#path(id)
    const handle = await open(path, 'r')
    try {
      // One byte more than there should be shows a file that is too long.
      const file = Buffer.allocUnsafe(size + 1)
      let filled = 0
      for (;;) {
        const { bytesRead } = await handle.read(file, filled, file.length - filled, filled)
        filled += bytesRead
        if (bytesRead === 0 || filled === file.length) break
      }
      const block = decode(id, file.subarray(0, filled))
      if (block === undefined) {
        this.#log.warn({ path }, 'a file of the disk cache is damaged; its block is fetched again')
      } else void utimes(path, new Date(), new Date()).catch(() => undefined)
      return block
    } finally {
      await handle.close()
    }
  }

  async #write(id: string, file: Buffer): Promise<void> {
    if (this.#isOff || this.#blocks.has(id) || (await this.#lacksSpace())) return
    this.#written += 1
    const beside = join(this.#directory, NEW, String(this.#written))
    const path = this.#path(id)
    try {
      await writeFile(beside, file, { mode: 0o600, flag: 'wx' })
      await mkdir(join(path, '..'), { recursive: true, mode: 0o700 })
      await rename(beside, path)
    } catch (error) {
      await rm(beside, { force: true }).catch(() => undefined)
      throw error
    }
    this.#blocks.set(id, file.length)
  }

  /** Keeps a share of the file system free, by dropping blocks that were not used for long. */
  async #lacksSpace(): Promise<boolean> {
    const now = performance.now()
    if (now - this.#spaceChecked < SPACE_CHECK) return this.#isFull
    this.#spaceChecked = now
    const { size, free } = await this.#space(this.#directory)
    let missing = Math.ceil(size * this.#keepFree) - free
    this.#isFull = missing > 0
    while (missing > 0) {
      const dropped = this.#blocks.size === 0 ? undefined : this.#blocks.pop()
      if (dropped === undefined) break
      missing -= dropped
    }
    return this.#isFull
  }

  #remove(id: string): void {
    rm(this.#path(id), { force: true }).catch((error: unknown) => this.#fail(error))
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
    return join(this.#directory, id.slice(0, 2), id)
  }

  /** Finds what an earlier process has left, the least recently used first. */
  async #scan(): Promise<void> {
    const found: { id: string; size: Bytes; used: Milliseconds }[] = []
    for (const folder of await readdir(this.#directory)) {
      if (!/^[0-9a-f]{2}$/.test(folder)) continue
      for (const id of await readdir(join(this.#directory, folder))) {
        const { size, mtimeMs } = await stat(join(this.#directory, folder, id))
        found.push({ id, size, used: mtimeMs })
      }
    }
    found.sort((a, b) => a.used - b.used)
    for (const { id, size } of found) this.#blocks.set(id, Math.max(1, size))
  }
}

function encode(id: string, data: Uint8Array, fileSize: Bytes): Buffer {
  const file = Buffer.allocUnsafe(HEADER + data.length)
  file.writeUInt32LE(MAGIC, 0)
  file.writeUInt32LE(data.length, 8)
  file.writeDoubleLE(fileSize, 12)
  file.set(data, HEADER)
  file.writeUInt32LE(checksum(id, file), 4)
  return file
}

function decode(id: string, file: Buffer): StoredBlock | undefined {
  if (file.length < HEADER || file.readUInt32LE(0) !== MAGIC) return undefined
  if (file.readUInt32LE(8) !== file.length - HEADER) return undefined
  if (file.readUInt32LE(4) !== checksum(id, file)) return undefined
  return { data: file.subarray(HEADER), fileSize: file.readDoubleLE(12) }
}

/** Over all but the checksum itself, and the name: a file in another's place is no block. */
function checksum(id: string, file: Buffer): number {
  return crc32(file.subarray(8), crc32(id))
}

async function spaceOf(directory: string): Promise<Space> {
  const { bsize, blocks, bavail } = await statfs(directory)
  return { size: blocks * bsize, free: bavail * bsize }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

/** Keeps other processes out of a folder. @throws Error */
async function lock(directory: string): Promise<Server> {
  // By what it is, not by how it is called: a link leads to the same folder.
  const { dev, ino } = await stat(directory)
  const name = createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 32)
  const server = createServer(socket => socket.destroy())
  await new Promise<void>((listening, failed) => {
    server.once('error', failed)
    server.listen({ path: `\0bosmount-cache-${name}` }, listening)
  }).catch((error: unknown) => {
    if (codeOf(error) !== 'EADDRINUSE') throw error
    throw new Error(
      `cache-dir: ${directory} is in use by another mount; give each mount a folder of its own`,
      { cause: error },
    )
  })
  return server.unref()
}
