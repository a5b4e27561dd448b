/**
 * Open files and directories of the core, as a kernel would give them to a program: it keeps where a
 * descriptor stands and what it was opened for, and refuses what does not fit before the core is asked.
 */
import { Buffer } from 'node:buffer'
import type {
  Attributes,
  Fh,
  Ino,
  Operations,
  RequestContext,
} from '../../../../src/fs/operations.js'
import { ErrnoError } from '../../../../src/util/errno.js'
import { MiB } from '../../../../src/util/units.js'
import { FALLOCATE, SEEK } from '../../../helpers/libc.js'
import { O, type OsDirectory, type OsFile, type Stat } from '../os.js'

const ACCESS_MODE = 3
const TYPE = 0o170000
/** The longest request of the kernel binding. */
const LONGEST = MiB
/** Entries of one reply to READDIRPLUS. */
const PAGE = 50

const TYPES: Readonly<Record<number, Stat['type']>> = {
  0o100000: 'file',
  0o040000: 'directory',
  0o120000: 'symlink',
  0o010000: 'fifo',
  0o140000: 'socket',
}

/** What stat(2) shows. */
export function statOf(attributes: Attributes): Stat {
  const { size, mode, nlink, uid, gid, ino, rdev, atime, mtime, ctime } = attributes
  const nanoseconds = (time: Attributes['atime']): bigint =>
    BigInt(time.seconds) * 1_000_000_000n + BigInt(time.nanoseconds)
  return {
    type: TYPES[mode & TYPE] ?? 'device',
    size,
    mode: mode & 0o7777,
    nlink,
    uid,
    gid,
    ino,
    rdev,
    atime: nanoseconds(atime),
    mtime: nanoseconds(mtime),
    ctime: nanoseconds(ctime),
  }
}

/** An inode that is open, with one lookup that `close` forgets. */
export interface Opened {
  readonly fs: Operations
  readonly context: RequestContext
  readonly ino: Ino
  readonly fh: Fh
  readonly flags: number
}

export class CoreFile implements OsFile {
  readonly opened: Opened
  #position = 0

  constructor(opened: Opened) {
    this.opened = opened
  }

  async read(offset: number, length: number): Promise<Buffer> {
    this.#insist('read')
    const { fs, context, ino, fh } = this.opened
    const pieces: Buffer[] = []
    for (let got = 0; got < length;) {
      const wanted = Math.min(length - got, LONGEST)
      // Copied at once: slices hold until the next turn of the event loop only.
      const piece = Buffer.concat(await fs.read(context, ino, fh, offset + got, wanted))
      pieces.push(piece)
      got += piece.length
      if (piece.length < wanted) break
    }
    return Buffer.concat(pieces)
  }

  async write(bytes: Uint8Array, offset?: number): Promise<number> {
    this.#insist('write')
    const { fs, context, ino, fh, flags } = this.opened
    const appends = (flags & O.append) !== 0
    const start = appends ? (await this.stat()).size : (offset ?? this.#position)
    for (let done = 0; done < bytes.length; done += LONGEST) {
      const data = bytes.subarray(done, done + LONGEST)
      await fs.write(context, ino, fh, { offset: start + done, data, fromPageCache: false })
    }
    if (offset === undefined) this.#position = start + bytes.length
    return bytes.length
  }

  async truncate(size: number): Promise<void> {
    const { fs, context, ino, fh } = this.opened
    if (size < 0 || !this.#mayWrite) throw new ErrnoError('EINVAL', 'ftruncate')
    await fs.setattr(context, ino, { fh, size })
  }

  async stat(): Promise<Stat> {
    const { fs, context, ino, fh } = this.opened
    return statOf((await fs.getattr(context, ino, fh)).attributes)
  }

  async chmod(mode: number): Promise<void> {
    await this.opened.fs.setattr(this.opened.context, this.opened.ino, { mode })
  }

  fsync(): Promise<void> {
    return this.#sync(false)
  }

  fdatasync(): Promise<void> {
    return this.#sync(true)
  }

  async lseek(offset: number, whence: number): Promise<number> {
    const { fs, context, ino, fh } = this.opened
    if (whence === SEEK.data || whence === SEEK.hole) {
      this.#position = await fs.lseek(context, ino, fh, { offset, whence })
      return this.#position
    }
    const base = whence === SEEK.end ? (await this.stat()).size : whence === 1 ? this.#position : 0
    if (base + offset < 0) throw new ErrnoError('EINVAL', 'lseek')
    this.#position = base + offset
    return this.#position
  }

  async fallocate(mode: number, offset: number, length: number): Promise<void> {
    const { punch, keepSize } = FALLOCATE
    if (offset < 0 || length <= 0) throw new ErrnoError('EINVAL', 'fallocate')
    if ((mode & (punch | keepSize)) === punch) throw new ErrnoError('EOPNOTSUPP', 'fallocate')
    this.#insist('write')
    const { fs, context, ino, fh } = this.opened
    await fs.fallocate(context, ino, fh, { mode, offset, length })
  }

  async copyTo(
    target: OsFile,
    { at, there, length }: { at: number; there: number; length: number },
  ): Promise<number> {
    if (!(target instanceof CoreFile)) throw new TypeError('a file of another file system')
    this.#insist('read')
    target.#insist('write')
    if ((target.opened.flags & O.append) !== 0) throw new ErrnoError('EBADF', 'copy_file_range')
    const count = Math.max(0, Math.min(length, (await this.stat()).size - at))
    const same = target.opened.ino === this.opened.ino
    if (same && Math.abs(at - there) < count) throw new ErrnoError('EINVAL', 'overlapping')
    if (count === 0) return 0
    const { fs, context, ino, fh } = this.opened
    return fs.copyfilerange(context, {
      source: { ino, fh, offset: at },
      target: { ino: target.opened.ino, fh: target.opened.fh, offset: there },
      length: count,
    })
  }

  async close(): Promise<void> {
    const { fs, context, ino, fh } = this.opened
    try {
      await fs.flush(context, ino, fh)
    } finally {
      await fs.release(context, ino, fh)
      fs.forget(ino, 1)
    }
  }

  async #sync(dataOnly: boolean): Promise<void> {
    const { fs, context, ino, fh } = this.opened
    await fs.fsync(context, ino, fh, dataOnly)
  }

  get #mayWrite(): boolean {
    return (this.opened.flags & ACCESS_MODE) !== O.rdonly
  }

  #insist(on: 'read' | 'write'): void {
    const may = on === 'write' ? this.#mayWrite : (this.opened.flags & ACCESS_MODE) !== O.wronly
    if (!may) throw new ErrnoError('EBADF', on)
  }
}

/** A directory that is open as a file: it can be synced and looked at. */
export class CoreDirectoryFile extends CoreFile {
  override async read(): Promise<Buffer> {
    return Promise.reject(new ErrnoError('EISDIR', 'read'))
  }

  override async fsync(): Promise<void> {
    await this.opened.fs.fsyncdir(this.opened.context, this.opened.ino, this.opened.fh)
  }

  override async stat(): Promise<Stat> {
    const { fs, context, ino } = this.opened
    return statOf((await fs.getattr(context, ino)).attributes)
  }

  override async close(): Promise<void> {
    const { fs, context, ino, fh } = this.opened
    await fs.releasedir(context, ino, fh)
    fs.forget(ino, 1)
  }
}

interface Listed {
  readonly name: string
  readonly type: number
  readonly offset: number
}

/** opendir(3) over pages of READDIRPLUS. */
export class CoreDirectory implements OsDirectory {
  readonly #opened: Opened
  #page: Listed[] = []
  #offset = 0

  constructor(opened: Opened) {
    this.#opened = opened
  }

  async next(): Promise<{ readonly name: string; readonly type: number } | undefined> {
    if (this.#page.length === 0) this.#page = await this.#read()
    const entry = this.#page.shift()
    if (entry !== undefined) this.#offset = entry.offset
    return entry
  }

  tell(): number {
    return this.#offset
  }

  seek(position: number | bigint): void {
    this.#page = []
    this.#offset = Number(position)
  }

  async close(): Promise<void> {
    const { fs, context, ino, fh } = this.#opened
    await fs.releasedir(context, ino, fh)
    fs.forget(ino, 1)
  }

  async #read(): Promise<Listed[]> {
    const { fs, context, ino, fh } = this.#opened
    const page: Listed[] = []
    const taken: Ino[] = []
    await fs.readdir(context, ino, fh, {
      offset: this.#offset,
      plus: true,
      add: ({ name, type, offset, entry }) => {
        if (page.length === PAGE) return false
        page.push({ name, offset, type: type >> 12 })
        if (entry !== undefined) taken.push(entry.ino)
        return true
      },
    })
    for (const each of taken) fs.forget(each, 1)
    return page
  }
}
