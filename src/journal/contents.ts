/**
 * The bytes that the journal holds: files of their own for large contents, and the log for small ones.
 *
 * Files are counted by the slices that refer to them, and go with the last. Whoever reads holds what he
 * reads, so that it does not go meanwhile. Files that nothing refers to were left by a process that died
 * before it had recorded them.
 *
 * What lies in a file of its own is checked against its checksums whenever it is read (content-sums.ts), the
 * log when it is opened.
 */
import { randomUUID } from 'node:crypto'
import { constants, mkdirSync } from 'node:fs'
import { open, readdir, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32Of } from '../util/checksum.js'
import type { Bytes } from '../util/units.js'
import { ContentFile } from './content-file.js'
import { ContentSums, SUMMED, TRAILER } from './content-sums.js'
import { DamagedError } from './errors.js'
import { cutSlices } from './record.js'
import type { Slice } from './record.js'

/** Slices of such a file begin with this. */
const CONTENT = 'content/'
/** Files that are kept open for the next read. */
const OPEN = 32

interface OpenFile {
  readonly handle: Promise<FileHandle>
  users: number
}

interface Filled {
  readonly file: string
  readonly offset: Bytes
  readonly target: Uint8Array
}

export class Contents {
  readonly #folder: string
  readonly #references = new Map<string, number>()
  /** The one that was used last at the end. */
  readonly #open = new Map<string, OpenFile>()
  readonly #releasing = new Set<Promise<void>>()
  /** Checksums of files that somebody has used. */
  readonly #sums = new Map<string, Promise<ContentSums>>()

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
    const releasing = this.#release(slices).finally(() => this.#releasing.delete(releasing))
    this.#releasing.add(releasing)
    await releasing
  }

  /** An empty file for the parts of one content. The caller ends it. */
  async create(): Promise<ContentFile> {
    const name = `${CONTENT}${randomUUID()}`
    const { O_RDWR, O_CREAT, O_EXCL } = constants
    const handle = await open(join(this.#folder, name), O_RDWR | O_CREAT | O_EXCL, 0o600)
    const file = new ContentFile(this.#folder, name, handle)
    this.#sums.set(name, Promise.resolve(file.sums))
    return file
  }

  /**
   * Reads from a content into all of `targets` but what lies behind its end. For callers who hold it.
   *
   * @throws DamagedError if it is not what was written
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
    await Promise.all(this.#releasing)
    for (const file of this.#open.keys()) await this.#closeFile(file)
  }

  async #release(slices: readonly Slice[]): Promise<void> {
    for (const { file } of slices) {
      const left = (this.#references.get(file) ?? 0) - 1
      if (left > 0) this.#references.set(file, left)
      else {
        this.#references.delete(file)
        await this.#closeFile(file)
        this.#sums.delete(file)
        if (file.startsWith(CONTENT)) await unlink(join(this.#folder, file)).catch(() => undefined)
      }
    }
  }

  async #readSlice({ file, offset, length }: Slice, target: Uint8Array): Promise<void> {
    const opened = this.#opened(file)
    opened.users += 1
    try {
      const handle = await opened.handle.catch((error: unknown) => {
        const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT'
        throw isGone ? this.#damaged(file, 'is missing') : error
      })
      await this.#fill(handle, { file, offset, target })
      if (file.startsWith(CONTENT)) await this.#check(handle, { file, offset, length }, target)
    } finally {
      opened.users -= 1
      await this.#closeIdle()
    }
  }

  async #fill(handle: FileHandle, { file, offset, target }: Filled): Promise<void> {
    for (let done = 0; done < target.length;) {
      const left = target.length - done
      const { bytesRead } = await handle.read(target, done, left, offset + done)
      if (bytesRead === 0) throw this.#damaged(file, `ends before byte ${offset + target.length}`)
      done += bytesRead
    }
  }

  /** Checks what was read, with what of its first and last block was not asked for. */
  async #check(
    handle: FileHandle,
    { file, offset, length }: Slice,
    read: Uint8Array,
  ): Promise<void> {
    const sums = await this.#sumsOf(file, handle)
    const at = async (from: Bytes, to: Bytes): Promise<Uint8Array> => {
      const piece = Buffer.allocUnsafe(Math.max(0, to - from))
      await this.#fill(handle, { file, offset: from, target: piece })
      return piece
    }
    const end = offset + length
    for (const block of sums.covering(offset, length)) {
      const { start, length: size, crc } = block
      const before = await at(start, Math.min(offset, start + size))
      const wanted = read.subarray(Math.max(start - offset, 0), Math.max(start + size - offset, 0))
      const after = await at(Math.max(end, start), start + size)
      const isAll = Math.min(end, start + SUMMED) <= start + size
      if (isAll && crc32Of([before, wanted, after]) === crc) continue
      throw this.#damaged(file, `is damaged between bytes ${start} and ${start + SUMMED}`)
    }
  }

  #sumsOf(file: string, handle: FileHandle): Promise<ContentSums> {
    const known = this.#sums.get(file)
    if (known !== undefined) return known
    const loaded = this.#loadSums(file, handle)
    this.#sums.set(file, loaded)
    // It may be a disk that fails now and then.
    loaded.catch(() => this.#sums.delete(file))
    return loaded
  }

  async #loadSums(file: string, handle: FileHandle): Promise<ContentSums> {
    const { size } = await handle.stat()
    const damaged = (): DamagedError => this.#damaged(file, 'has lost its checksums')
    if (size < TRAILER) throw damaged()
    const trailer = Buffer.allocUnsafe(TRAILER)
    await this.#fill(handle, { file, offset: size - TRAILER, target: trailer })
    const length = ContentSums.tableLength(trailer)
    if (length === undefined || length > size - TRAILER) throw damaged()
    const table = Buffer.allocUnsafe(length)
    await this.#fill(handle, { file, offset: size - TRAILER - length, target: table })
    const sums = ContentSums.decode(table, trailer)
    if (sums === undefined) throw damaged()
    return sums
  }

  #damaged(file: string, what: string): DamagedError {
    return new DamagedError(`${join(this.#folder, file)} ${what}`)
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
