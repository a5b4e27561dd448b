/**
 * The bytes that the journal holds: files of their own for large contents, and the log for small ones.
 *
 * Files are counted by the slices that refer to them, and go with the last. Whoever reads holds what he
 * reads, so that it does not go meanwhile. Files that nothing refers to were left by a process that died
 * before it had recorded them.
 */
import { randomUUID } from 'node:crypto'
import { constants, mkdirSync } from 'node:fs'
import { open, readdir, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bytes } from '../util/units.js'
import { JournalError } from './errors.js'
import { cutSlices } from './record.js'
import type { Slice } from './record.js'
import { syncFolder } from './sync-folder.js'

/** Slices of such a file begin with this. */
const CONTENT = 'content/'
/** Files that are kept open for the next read. */
const OPEN = 32

interface OpenFile {
  readonly handle: Promise<FileHandle>
  users: number
}

export class Contents {
  readonly #folder: string
  readonly #references = new Map<string, number>()
  /** The one that was used last at the end. */
  readonly #open = new Map<string, OpenFile>()

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(join(folder, CONTENT), { recursive: true, mode: 0o700 })
  }

  isUsed(file: string): boolean {
    return this.#references.has(file)
  }

  /** Keeps the files of these slices until they are released as often. */
  hold(slices: readonly Slice[]): void {
    for (const { file } of slices) {
      this.#references.set(file, (this.#references.get(file) ?? 0) + 1)
    }
  }

  /** Never rejects: a file that cannot be removed is removed when the journal is opened again. */
  async release(slices: readonly Slice[]): Promise<void> {
    for (const { file } of slices) {
      const left = (this.#references.get(file) ?? 0) - 1
      if (left > 0) this.#references.set(file, left)
      else {
        this.#references.delete(file)
        await this.#closeFile(file)
        if (file.startsWith(CONTENT)) await unlink(join(this.#folder, file)).catch(() => undefined)
      }
    }
  }

  /** An empty file for the parts of one content. The caller ends it. */
  async create(): Promise<ContentFile> {
    const name = `${CONTENT}${randomUUID()}`
    const { O_RDWR, O_CREAT, O_EXCL } = constants
    const handle = await open(join(this.#folder, name), O_RDWR | O_CREAT | O_EXCL, 0o600)
    return new ContentFile(this.#folder, name, handle)
  }

  /**
   * Reads from a content into all of `targets` but what lies behind its end. For callers who hold it.
   *
   * @throws JournalError if bytes are missing
   */
  async read(
    slices: readonly Slice[],
    offset: Bytes,
    targets: readonly Uint8Array[],
  ): Promise<void> {
    let at = offset
    for (const target of targets) {
      let filled = 0
      for (const slice of cutSlices(slices, at, target.length)) {
        await this.#readSlice(slice, target.subarray(filled, filled + slice.length))
        filled += slice.length
      }
      at += target.length
    }
  }

  /** Removes the files that nothing refers to. @returns how many there were */
  async sweep(): Promise<number> {
    let count = 0
    for (const name of await readdir(join(this.#folder, CONTENT))) {
      if (this.isUsed(CONTENT + name)) continue
      await unlink(join(this.#folder, CONTENT, name))
      count += 1
    }
    return count
  }

  async close(): Promise<void> {
    for (const file of this.#open.keys()) await this.#closeFile(file)
  }

  async #readSlice({ file, offset, length }: Slice, target: Uint8Array): Promise<void> {
    const opened = this.#opened(file)
    opened.users += 1
    try {
      const handle = await opened.handle
      for (let done = 0; done < length;) {
        const { bytesRead } = await handle.read(target, done, length - done, offset + done)
        if (bytesRead === 0) {
          throw new JournalError(`${join(this.#folder, file)} ends before byte ${offset + length}`)
        }
        done += bytesRead
      }
    } finally {
      opened.users -= 1
      await this.#closeIdle()
    }
  }

  #opened(file: string): OpenFile {
    const known = this.#open.get(file)
    const opened = known ?? { handle: open(join(this.#folder, file), 'r'), users: 0 }
    opened.handle.catch(() => this.#open.delete(file))
    this.#open.delete(file)
    this.#open.set(file, opened)
    return opened
  }

  async #closeIdle(): Promise<void> {
    for (const [file, { users }] of this.#open) {
      if (this.#open.size <= OPEN) return
      if (users === 0) await this.#closeFile(file)
    }
  }

  async #closeFile(file: string): Promise<void> {
    const opened = this.#open.get(file)
    if (opened === undefined) return
    this.#open.delete(file)
    await opened.handle.then(handle => handle.close()).catch(() => undefined)
  }
}

/** A file that parts are appended to, in parallel, before it is referred to. */
export class ContentFile {
  readonly name: string
  readonly #folder: string
  readonly #handle: FileHandle
  #size: Bytes = 0

  constructor(folder: string, name: string, handle: FileHandle) {
    this.#folder = folder
    this.name = name
    this.#handle = handle
  }

  get size(): Bytes {
    return this.#size
  }

  async append(data: readonly Uint8Array[]): Promise<Slice> {
    const length = data.reduce((sum, piece) => sum + piece.length, 0)
    const offset = this.#size
    this.#size += length
    let at = offset
    for (const piece of data) {
      for (let done = 0; done < piece.length;) {
        const left = piece.length - done
        const { bytesWritten } = await this.#handle.write(piece, done, left, at + done)
        done += bytesWritten
      }
      at += piece.length
    }
    return { file: this.name, offset, length }
  }

  /** All that was appended is safe on the disk, under the file's name. */
  async sync(): Promise<void> {
    await this.#handle.datasync()
    await syncFolder(join(this.#folder, CONTENT))
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  /** Nothing will refer to it. */
  async discard(): Promise<void> {
    await this.close()
    await unlink(join(this.#folder, this.name)).catch(() => undefined)
  }
}
