/**
 * Local disk for what does not fit into memory: one sparse file for each file under write that needs
 * one, in a directory that nobody else can read, all together within a limit.
 *
 * A staging file holds bytes at the offsets that they have in the file itself. It loses its name as soon
 * as it is open, so it is gone with the process, however that ends. What is counted against the
 * limit is every byte that was ever written, until `clear`: an overwrite takes no more room.
 */
import { constants } from 'node:fs'
import { mkdtemp, open, rmdir, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDirectories } from '../util/directories.js'
import { ErrnoError } from '../util/errno.js'
import { Extents } from '../util/extents.js'
import type { Bytes } from '../util/units.js'

const PRIVATE_DIRECTORY = 0o700
const PRIVATE_FILE = 0o600

export interface StagingOptions {
  /** Where staging files are made, each in a directory of its own; made itself if it is not there. */
  directory: string
  /** Most bytes that all staging files may hold. */
  capacity: Bytes
}

export class Staging {
  readonly directory: string
  readonly capacity: Bytes
  #used: Bytes = 0

  constructor({ directory, capacity }: StagingOptions) {
    this.directory = directory
    this.capacity = capacity
  }

  /** Bytes of disk that are accounted for. */
  get used(): Bytes {
    return this.#used
  }

  open(): StagingFile {
    return new StagingFile(this)
  }

  /** @throws ErrnoError ENOSPC if the limit does not allow it */
  take(bytes: Bytes): void {
    if (this.#used + bytes > this.capacity) {
      throw new ErrnoError('ENOSPC', `${this.directory}: the limit for staged bytes is reached`)
    }
    this.#used += bytes
  }

  give(bytes: Bytes): void {
    this.#used -= bytes
  }

  /** A new file without a name. While it had one, it was in a directory that only we can enter. */
  async create(): Promise<FileHandle> {
    makeDirectories(this.directory, PRIVATE_DIRECTORY)
    const parent = await mkdtemp(join(this.directory, 'bosmount-staging-'))
    const path = join(parent, 'file')
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    let file: FileHandle | undefined
    try {
      file = await open(path, flags, PRIVATE_FILE)
      await unlink(path)
      return file
    } catch (error) {
      await file?.close()
      throw error
    } finally {
      await rmdir(parent)
    }
  }
}

/** The bytes of one file on local disk. Made on disk by the first write. */
export class StagingFile {
  readonly #staging: Staging
  readonly #allocated = new Extents()
  #file: Promise<FileHandle> | undefined

  constructor(staging: Staging) {
    this.#staging = staging
  }

  /**
   * Takes all bytes or none that count.
   *
   * @throws ErrnoError ENOSPC when the limit or the disk is reached
   */
  async write(offset: Bytes, data: readonly Uint8Array[]): Promise<void> {
    const length = data.reduce((sum, piece) => sum + piece.length, 0)
    const end = offset + length
    let missing = 0
    for (const range of this.#allocated.split(offset, end)) {
      if (!range.inside) missing += range.end - range.start
    }
    this.#staging.take(missing)
    this.#allocated.insert(offset, end)
    const file = await this.#open()
    let position = offset
    for (const piece of data) {
      for (let done = 0; done < piece.length;) {
        const at = position + done
        const { bytesWritten } = await file
          .write(piece, done, piece.length - done, at)
          .catch(failed)
        if (bytesWritten === 0) throw new ErrnoError('EIO', 'a staging file takes no bytes')
        done += bytesWritten
      }
      position += piece.length
    }
  }

  /** Bytes that were written before; the caller owns them. */
  async read(offset: Bytes, length: Bytes): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length)
    await this.readInto(offset, bytes)
    return bytes
  }

  /** Fills `bytes` with what was written before. */
  async readInto(offset: Bytes, bytes: Uint8Array): Promise<void> {
    const file = await this.#open()
    const { length } = bytes
    for (let done = 0; done < length;) {
      const { bytesRead } = await file.read(bytes, done, length - done, offset + done).catch(failed)
      if (bytesRead === 0)
        throw new ErrnoError('EIO', 'a staging file is shorter than it should be')
      done += bytesRead
    }
  }

  /**
   * Forgets all bytes, and gives their room back. No write or read may be under way.
   *
   * @returns undefined if there is nothing to wait for: nothing was ever written
   */
  clear(): Promise<void> | undefined {
    const file = this.#file
    if (file === undefined) return this.#giveBack()
    this.#file = undefined
    // Closing it frees the disk as well, since it has no name.
    return file
      .then(
        opened => opened.close(),
        () => undefined,
      )
      .then(() => this.#giveBack())
  }

  #giveBack(): undefined {
    this.#staging.give(this.#allocated.total)
    this.#allocated.clear()
  }

  #open(): Promise<FileHandle> {
    this.#file ??= this.#staging.create().catch((error: unknown) => {
      this.#file = undefined
      return failed(error)
    })
    return this.#file
  }
}

/** Errors of the local disk that a writer should see as they are. */
function failed(error: unknown): never {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    throw new ErrnoError('ENOSPC', 'no room for staged bytes', { cause: error })
  }
  throw new ErrnoError('EIO', 'the staging directory cannot be used', { cause: error })
}
