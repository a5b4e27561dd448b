/**
 * The journal's log: appended to, and safe on the disk when an append resolves. Appends that come while
 * others are being written go out together, by one write for all of them.
 *
 * Model: files `log-00000001` and on, the last of which is written to; a file that has grown large is
 * followed by a new one. Files go in the order in which they were made, as soon as no living record lies
 * in them: so what drops a record never goes before the record.
 *
 * A file is filled with zeros somewhat ahead, and opened with O_DSYNC: a write that changes nothing but
 * bytes costs the disk far less than one which makes the file longer (here 0.15 ms instead of 1 to 2.5).
 *
 * A write for which there is no space changes nothing: what got into the file is cut off again. After any
 * other failure nobody knows what is on the disk: the log takes nothing more.
 */
import { constants } from 'node:fs'
import { open, readdir, readFile, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { MiB, type Bytes } from '../util/units.js'
import { isFull, JournalError } from './errors.js'
import { encodeFrame, locate, scanFrames } from './frame.js'
import type { Drop, Frame, FrameText, Previous } from './frame.js'
import type { LogRecord } from './record.js'
import { syncFolder } from './sync-folder.js'

export interface Change {
  readonly sets?: readonly LogRecord[]
  /** What the slices named OWN in `sets` are cut from. */
  readonly contents?: readonly Uint8Array[]
  readonly drops?: readonly Drop[]
}

export interface LogOptions {
  readonly folder: string
  /** From this size on a new file is begun. */
  readonly fileSize: Bytes
}

interface Waiting extends Change {
  readonly resolve: (sets: readonly LogRecord[]) => void
  readonly reject: (error: unknown) => void
}

interface LogFile {
  readonly name: string
  /** Numbers of living records whose latest frame lies in it. */
  readonly living: Set<number>
}

interface OpenFile {
  readonly handle: FileHandle
  readonly file: LogFile
}

/** Zeros that are written at once. */
const AHEAD: Bytes = MiB
const NAME = /^log-\d{8}$/

export class Log {
  readonly #options: LogOptions
  readonly #files: LogFile[]
  readonly #fileOf = new Map<number, LogFile>()
  readonly #queue: Waiting[] = []
  /** Numbers of living records that are being written. */
  readonly #queued = new Set<number>()
  /** The last of the files, if it is written to. */
  #open: OpenFile | undefined
  /** Safe on the disk up to here. */
  #end: Bytes = 0
  /** How far the file reaches. */
  #zeroed: Bytes = 0
  #last: Previous | undefined
  #next: number
  #writing: Promise<void> | undefined
  #broken: unknown

  private constructor(options: LogOptions, files: LogFile[], last: Previous | undefined) {
    this.#options = options
    this.#files = files
    this.#last = last
    this.#next = files.length === 0 ? 1 : Number(files.at(-1)?.name.slice(4)) + 1
  }

  /**
   * Reads what is in the folder. Writes nothing: what an unfinished write has left at the end of a file
   * stays there.
   *
   * @returns the log, and the living records in their order
   * @throws JournalError about damage
   */
  static async open(
    options: LogOptions,
  ): Promise<{ readonly log: Log; readonly records: readonly LogRecord[] }> {
    const names = (await readdir(options.folder)).filter(name => NAME.test(name)).toSorted()
    const living = new Map<string, { readonly record: LogRecord; readonly file: LogFile }>()
    const files: LogFile[] = []
    let last: Previous | undefined
    for (const [index, name] of names.entries()) {
      checkOrder(options.folder, name, names[index - 1])
      const { frames, end } = await readLog(options.folder, name, last)
      const file: LogFile = { name, living: new Set() }
      files.push(file)
      for (const frame of frames) replay(frame, file, living)
      last = { file: name, end }
    }
    const log = new Log(options, files, last)
    const found = [...living.values()].toSorted((a, b) => a.record.seq - b.record.seq)
    for (const { record, file } of found) log.#settle(record.seq, file)
    return { log, records: found.map(({ record }) => record) }
  }

  /** Whether any record lies in an older file than the one that is written to. */
  get oldest(): ReadonlySet<number> | undefined {
    return this.#files.length > 1 ? this.#files[0]?.living : undefined
  }

  /** Of the file that is written to. */
  get size(): Bytes {
    return this.#open === undefined ? 0 : this.#end
  }

  get files(): readonly string[] {
    return this.#files.map(({ name }) => name)
  }

  /**
   * @returns the records as they are kept, their slices located
   * @throws the error of the file system; nothing has changed then
   */
  append(change: Change): Promise<readonly LogRecord[]> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...change, resolve, reject })
      for (const { seq } of change.sets ?? []) this.#queued.add(seq)
      this.#writing ??= this.#write()
    })
  }

  /** A record is not living any more. */
  forget(seq: number): void {
    // Written again without anybody waiting for it, it would live on.
    this.#queued.delete(seq)
    this.#fileOf.get(seq)?.living.delete(seq)
    this.#fileOf.delete(seq)
  }

  /** Removes the oldest files in which nothing lives. @param isUsed by slices of living records */
  async prune(isUsed: (file: string) => boolean): Promise<void> {
    for (let [oldest] = this.#files; oldest !== undefined; [oldest] = this.#files) {
      const isWritten = oldest === this.#open?.file
      if (isWritten || oldest.living.size > 0 || isUsed(oldest.name)) return
      this.#files.shift()
      await unlink(join(this.#options.folder, oldest.name))
    }
  }

  /** Nothing is living: what was written can go with the next prune. */
  async rest(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
    await this.#endFile()
  }

  async close(): Promise<void> {
    this.#broken ??= new JournalError('the journal is closed')
    while (this.#writing !== undefined) await this.#writing
    await this.#endFile()
  }

  async #write(): Promise<void> {
    // What comes in the same turn goes along.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const group = this.#queue.splice(0)
      try {
        if (this.#broken !== undefined) throw this.#broken
        const written = await this.#writeGroup(group)
        for (const [index, { resolve }] of group.entries()) resolve(written[index] ?? [])
      } catch (error) {
        for (const { reject, sets = [] } of group) {
          for (const { seq } of sets) this.#queued.delete(seq)
          reject(error)
        }
      }
    }
    // In the same turn as the last look at the queue: whoever comes next begins anew.
    this.#writing = undefined
  }

  async #writeGroup(group: readonly Waiting[]): Promise<readonly (readonly LogRecord[])[]> {
    if (this.#end >= this.#options.fileSize) await this.#endFile()
    const { handle, file } = (this.#open ??= await this.#begin())
    const pieces: Uint8Array[] = []
    const written: (readonly LogRecord[])[] = []
    let at = this.#end
    for (const { sets = [], drops = [], contents = [] } of group) {
      const head = encodeFrame(textOf({ sets, drops }), contents, this.#end)
      pieces.push(head, ...contents)
      written.push(sets.map(record => locate(record, file.name, at + head.length)))
      at += head.length + contents.reduce((sum, { length }) => sum + length, 0)
    }
    await this.#append(handle, pieces, at)
    for (const { seq } of written.flat()) if (this.#queued.delete(seq)) this.#settle(seq, file)
    return written
  }

  async #append(handle: FileHandle, pieces: readonly Uint8Array[], end: Bytes): Promise<void> {
    try {
      await this.#zero(handle, end)
      await writeAll(handle, pieces, this.#end)
    } catch (error) {
      if (isFull(error)) await this.#cutOff(handle)
      else this.#broken = error
      throw error
    }
    this.#end = end
    this.#zeroed = Math.max(this.#zeroed, end)
  }

  /** Makes room for small writes up to `end`; where there is none, they make it themselves. */
  async #zero(handle: FileHandle, end: Bytes): Promise<void> {
    if (end <= this.#zeroed || end - this.#end > AHEAD / 4) return
    const zeros = Buffer.alloc(AHEAD)
    try {
      await writeAll(handle, [zeros], this.#zeroed)
      this.#zeroed += zeros.length
    } catch (error) {
      if (!isFull(error)) throw error
      await this.#cutOff(handle)
    }
  }

  async #cutOff(handle: FileHandle): Promise<void> {
    this.#zeroed = this.#end
    await handle.truncate(this.#end).catch((error: unknown) => {
      this.#broken = error
    })
  }

  async #begin(): Promise<OpenFile> {
    const { folder } = this.#options
    const name = `log-${String(this.#next).padStart(8, '0')}`
    const handle = await open(join(folder, name), 'ax', 0o600).catch(async (error: unknown) => {
      // Left by an attempt that failed.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      return await open(join(folder, name), 'w', 0o600)
    })
    try {
      const previous = this.#last
      const head = encodeFrame(previous === undefined ? {} : { previous }, [], 0)
      await handle.writeFile(head)
      await handle.datasync()
      await syncFolder(folder)
      this.#end = head.length
      this.#zeroed = head.length
    } catch (error) {
      await handle.close()
      throw error
    }
    await handle.close()
    this.#next += 1
    // Positions are given with each write; in append mode they would not count.
    const writable = await open(join(folder, name), constants.O_RDWR | constants.O_DSYNC)
    const file: LogFile = { name, living: new Set() }
    this.#files.push(file)
    this.#open = { handle: writable, file }
    return this.#open
  }

  async #endFile(): Promise<void> {
    if (this.#open === undefined) return
    const { handle, file } = this.#open
    this.#open = undefined
    this.#last = { file: file.name, end: this.#end }
    await handle.close()
  }

  #settle(seq: number, file: LogFile): void {
    this.#fileOf.get(seq)?.living.delete(seq)
    this.#fileOf.set(seq, file)
    file.living.add(seq)
  }
}

function textOf({ sets, drops }: Required<Pick<Change, 'sets' | 'drops'>>): FrameText {
  return { ...(sets.length > 0 && { sets }), ...(drops.length > 0 && { drops }) }
}

function checkOrder(folder: string, name: string, before: string | undefined): void {
  if (before === undefined || Number(name.slice(4)) === Number(before.slice(4)) + 1) return
  throw new JournalError(`${folder}: a file between ${before} and ${name} is missing`)
}

async function readLog(
  folder: string,
  name: string,
  before: Previous | undefined,
): Promise<{ readonly frames: readonly Frame[]; readonly end: Bytes }> {
  const { frames, end, isDamaged } = scanFrames(await readFile(join(folder, name)))
  if (isDamaged) throw new JournalError(`${join(folder, name)} is damaged at byte ${end}`)
  const previous = frames[0]?.previous
  if (before !== undefined && previous?.file === before.file && before.end < previous.end) {
    throw new JournalError(`${join(folder, before.file)} is damaged at byte ${before.end}`)
  }
  return { frames, end }
}

function replay(
  frame: Frame,
  file: LogFile,
  living: Map<string, { readonly record: LogRecord; readonly file: LogFile }>,
): void {
  for (const { key, seq } of frame.drops ?? []) {
    if (living.get(key)?.record.seq === seq) living.delete(key)
  }
  for (const record of frame.sets ?? []) {
    living.set(record.key, { record: locate(record, file.name, frame.contents), file })
  }
}

async function writeAll(
  handle: FileHandle,
  pieces: readonly Uint8Array[],
  position: Bytes,
): Promise<void> {
  const total = pieces.reduce((sum, { length }) => sum + length, 0)
  const { bytesWritten } = await handle.writev(pieces, position)
  if (bytesWritten === total) return
  // Seldom: a disk that is nearly full, or a great many pieces.
  const rest = Buffer.concat(pieces).subarray(bytesWritten)
  for (let done = 0; done < rest.length;) {
    const more = await handle.write(rest, done, rest.length - done, position + bytesWritten + done)
    done += more.bytesWritten
  }
}
