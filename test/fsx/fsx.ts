/**
 * Random operations on one file of a mount against a buffer: whatever is read must be what the buffer
 * holds. Written in the manner of the old fsx: few operations, many orders of them.
 *
 * Model: `#model` holds what the file must hold, and `#size` of it counts. Where operations may fail
 * (`faulty`), an operation that did leaves two states in which the file may be; all states since the
 * last success of a close are kept, and what is read when the file is opened again must be one of
 * them, whole. No failure is allowed otherwise, and a wrong byte never is.
 *
 * All calls are made at once, on this thread; another process must serve the mount.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { Milliseconds } from '../../src/util/units.js'
import * as libc from '../helpers/libc.js'
import { FALLOCATE, Mapping, SEEK } from '../helpers/libc.js'
import { seededBytes } from '../helpers/oci-image.js'
import { O } from '../suites/posix/os.js'
import { seededRandom, type Random } from './random.js'

export interface FsxOptions {
  readonly seed: number
  /** Folder in which the file lies. */
  readonly folder: string
  readonly maxSize: number
  /** Longest single write, read or other range. */
  readonly maxLength: number
  /** Operations may fail. */
  readonly faulty?: boolean
  /** Ends the mount and makes it again. */
  readonly remount?: () => Promise<void>
}

/** What was wrong, with the operations before it. */
export class FsxError extends Error {
  override readonly name = 'FsxError'
}

type Operation = (random: Random) => string

const DESCRIPTORS = 3
const LAST_OPERATIONS = 60
/**
 * The event loop turns after so many operations, so that the output of the mount's process is read:
 * a process whose log nobody takes waits, and an operation on its mount with it.
 */
const BATCH = { sound: 25, faulty: 1 } as const
const NOISE_SIZE = 1024 * 1024
/** States that are kept of a file whose last close failed. */
const MAX_STATES = 400
const ATTEMPTS = 40
/** A file is given up when its last descriptor has gone, which takes the mount a moment. */
const PAUSE: Milliseconds = 50

export class Fsx {
  readonly #options: FsxOptions
  readonly #random: Random
  readonly #noise: Buffer
  readonly #log: string[] = []
  readonly #operations: readonly (readonly [weight: number, operation: Operation])[]
  readonly #totalWeight: number
  #model: Buffer
  #size = 0
  /** Open descriptors of the file; the last one appends. */
  #fds: number[] = []
  #name = 'fsx-a'
  #count = 0
  #failures = 0
  /** Contents in which a faulty store may have the file, besides the present one. */
  #states: Buffer[] = []

  constructor(options: FsxOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed)
    this.#noise = seededBytes(`fsx ${options.seed}`, NOISE_SIZE)
    this.#model = Buffer.alloc(options.maxSize)
    this.#operations = this.#table()
    this.#totalWeight = this.#operations.reduce((sum, [weight]) => sum + weight, 0)
  }

  get failures(): number {
    return this.#failures
  }

  /** @throws FsxError naming the seed, what was wrong, and the operations that led there */
  async run(count: number): Promise<void> {
    try {
      this.#reopen()
      const batch = this.#options.faulty === true ? BATCH.faulty : BATCH.sound
      for (let i = 0; i < count; i += 1) {
        if (i % batch === 0) await turn()
        if (this.#options.remount !== undefined && this.#random.chance(1 / 1500)) {
          await this.#remount(this.#options.remount)
        } else this.#step()
      }
      this.#close()
      this.#reopen()
      this.#verify()
      this.#close()
    } catch (error) {
      const { seed } = this.#options
      const lines = [...this.#log.slice(-LAST_OPERATIONS), String((error as Error).stack)]
      throw new FsxError(`seed ${seed}, operation ${this.#count}:\n${lines.join('\n')}`, {
        cause: error,
      })
    } finally {
      for (const fd of this.#fds) this.#attempt(() => libc.close(fd))
    }
  }

  #table(): readonly (readonly [number, Operation])[] {
    const always: (readonly [number, Operation])[] = [
      [20, random => this.#read(random)],
      [24, random => this.#write(random)],
      [6, random => this.#append(random)],
      [6, random => this.#truncate(random)],
      [5, random => this.#copy(random)],
      [4, random => this.#mapRead(random)],
      [4, random => this.#closeAndOpen(random)],
      [2, random => this.#sync(random)],
      [3, () => this.#checkSize()],
      [2, random => this.#seek(random)],
      [3, random => this.#punch(random)],
      [3, random => this.#zero(random)],
      [3, random => this.#allocate(random)],
      [1, () => this.#rename()],
      [1, () => this.#verify()],
    ]
    // The kernel writes pages back one by one, when it likes: no whole state to compare with.
    if (this.#options.faulty !== true) always.push([4, random => this.#mapWrite(random)])
    return always
  }

  #step(): void {
    let at = this.#random.below(this.#totalWeight)
    const chosen = this.#operations.find(([weight]) => (at -= weight) < 0)
    this.#count += 1
    const before = this.#options.faulty === true ? this.#present() : undefined
    try {
      this.#log.push(`${this.#count} ${chosen?.[1](this.#random) ?? ''}`)
      if (this.#log.length > LAST_OPERATIONS * 4) this.#log.splice(0, LAST_OPERATIONS * 2)
      if (before !== undefined) this.#keep(before)
    } catch (error) {
      if (before === undefined || !(error instanceof libc.SystemError)) throw error
      this.#log.push(`${this.#count} failed: ${error.message}`)
      this.#failures += 1
      this.#keep(before)
      this.#keep(this.#present())
      this.#recover()
    }
  }

  get #path(): string {
    return `${this.#options.folder}/${this.#name}`
  }

  #present(): Buffer {
    return Buffer.from(this.#model.subarray(0, this.#size))
  }

  #keep(state: Buffer): void {
    const last = this.#states.at(-1)
    if (last?.equals(state) === true) return
    this.#states.push(state)
    if (this.#states.length > MAX_STATES) throw new FsxError('too many states: close more often')
  }

  /** After a failure the file is whatever it is found to be, if it may be that. */
  #recover(): void {
    for (const fd of this.#fds) this.#attempt(() => libc.close(fd))
    this.#fds = []
    const found = this.#again(() => {
      const fd = libc.open(this.#path, O.rdonly | O.creat)
      try {
        return readAll(fd, this.#options.maxSize + 1)
      } finally {
        libc.close(fd)
      }
    })
    if (!this.#states.some(state => state.equals(found))) {
      throw new FsxError(`after a failure the file is ${found.length} bytes that it never was`)
    }
    found.copy(this.#model)
    this.#size = found.length
    this.#states = []
    this.#again(() => this.#reopen())
  }

  /** Tries until it succeeds: the fault is gone some time. */
  #again<T>(work: () => T): T {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return work()
      } catch (error) {
        if (!(error instanceof libc.SystemError) || attempt === ATTEMPTS) throw error
        this.#failures += 1
        pause(PAUSE)
      }
    }
  }

  #attempt(work: () => unknown): void {
    try {
      work()
    } catch (error) {
      if (!(error instanceof libc.SystemError)) throw error
    }
  }

  #reopen(): void {
    while (this.#fds.length < DESCRIPTORS) {
      const last = this.#fds.length === DESCRIPTORS - 1
      this.#fds.push(libc.open(this.#path, O.rdwr | O.creat | (last ? O.append : 0)))
    }
  }

  #close(): void {
    while (this.#fds.length > 0) libc.close(this.#fds.shift() ?? -1)
    this.#states = []
  }

  async #remount(remount: () => Promise<void>): Promise<void> {
    this.#log.push(`${(this.#count += 1)} remount`)
    // Once closed without an error nothing may be lost; the descriptors go before the mount does.
    if (this.#options.faulty === true) this.#again(() => libc.fsync(this.#descriptor()))
    this.#close()
    await remount()
    this.#again(() => this.#reopen())
    this.#again(() => this.#verify())
  }

  /** Any descriptor but the one that appends. */
  #descriptor(): number {
    return this.#fds[this.#random.below(DESCRIPTORS - 1)] ?? -1
  }

  /** A range that begins in the file, or a little behind it if `beyond`. */
  #range(random: Random, beyond: boolean): readonly [offset: number, length: number] {
    const { maxSize, maxLength } = this.#options
    const reach = beyond
      ? Math.min(maxSize - 1, this.#size + maxLength)
      : Math.max(0, this.#size - 1)
    let offset = random.below(reach + 1)
    // Borders of pages are where mistakes are.
    if (random.chance(0.3)) offset -= offset % 4096
    const length = random.chance(0.2) ? random.below(64) : random.below(maxLength)
    return [offset, Math.min(1 + length, maxSize - offset)]
  }

  #noiseOf(random: Random, length: number): Buffer {
    const start = random.below(NOISE_SIZE - Math.min(length, NOISE_SIZE - 1))
    const piece = this.#noise.subarray(start, start + length)
    return piece.length === length ? piece : Buffer.concat([piece], length)
  }

  #set(offset: number, bytes: Uint8Array): void {
    if (offset > this.#size) this.#model.fill(0, this.#size, offset)
    this.#model.set(bytes, offset)
    this.#size = Math.max(this.#size, offset + bytes.length)
  }

  #resize(size: number): void {
    if (size > this.#size) this.#model.fill(0, this.#size, size)
    this.#size = size
  }

  #compare(found: Buffer, offset: number, length: number): void {
    const expected = this.#model.subarray(
      Math.min(offset, this.#size),
      Math.min(offset + length, this.#size),
    )
    if (found.equals(expected)) return
    if (found.length !== expected.length) {
      throw new FsxError(`${found.length} bytes at ${offset}, not ${expected.length}`)
    }
    const at = found.findIndex((byte, index) => byte !== expected[index])
    const end = found.findLastIndex((byte, index) => byte !== expected[index])
    throw new FsxError(
      `wrong bytes from ${offset + at} to ${offset + end}: ` +
        `${found.subarray(at, at + 8).toString('hex')}… not ${expected.subarray(at, at + 8).toString('hex')}…`,
    )
  }

  #read(random: Random): string {
    const [offset, length] = this.#range(random, random.chance(0.1))
    this.#compare(readFrom(this.#descriptor(), offset, length), offset, length)
    return `read ${offset} ${length}`
  }

  #write(random: Random): string {
    const [offset, length] = this.#range(random, random.chance(0.4))
    const bytes = this.#noiseOf(random, length)
    const fd = this.#descriptor()
    // First the model: a write that fails may have happened.
    this.#set(offset, bytes)
    writeAll(fd, bytes, offset)
    return `write ${offset} ${length}`
  }

  #append(random: Random): string {
    const room = this.#options.maxSize - this.#size
    const length = Math.min(room, 1 + random.below(this.#options.maxLength / 8))
    if (length <= 0) return 'append nothing'
    const bytes = this.#noiseOf(random, length)
    const offset = this.#size
    this.#set(offset, bytes)
    const count = libc.write(this.#fds[DESCRIPTORS - 1] ?? -1, bytes)
    if (count !== length) throw new FsxError(`appended ${count} of ${length}`)
    return `append ${length} at ${offset}`
  }

  #truncate(random: Random): string {
    const { maxSize, maxLength } = this.#options
    const near = this.#size + random.below(2 * maxLength) - maxLength
    const wanted = random.chance(0.1) ? 0 : random.chance(0.5) ? near : random.below(maxSize)
    const size = Math.max(0, Math.min(maxSize, wanted))
    const before = this.#size
    const byName = random.chance(0.3)
    const fd = this.#descriptor()
    this.#resize(size)
    if (byName) libc.truncate(this.#path, size)
    else libc.ftruncate(fd, size)
    return `truncate${byName ? ' by name' : ''} ${before} to ${size}`
  }

  #copy(random: Random): string {
    const [at, wanted] = this.#range(random, false)
    const [there] = this.#range(random, true)
    const distance = Math.abs(there - at)
    const length = Math.min(wanted, this.#size - at, distance, this.#options.maxSize - there)
    if (length <= 0) return 'copy nothing'
    const from = this.#descriptor()
    const to = this.#descriptor()
    const piece = Buffer.from(this.#model.subarray(at, at + length))
    for (let done = 0; done < length;) {
      const range = { from, at: at + done, to, there: there + done, length: length - done }
      const count = libc.copyFileRange(range)
      if (count === 0) throw new FsxError(`copied ${done} of ${length} from ${at} to ${there}`)
      this.#set(there + done, piece.subarray(done, done + count))
      done += count
    }
    return `copy ${at} ${length} to ${there}`
  }

  #punch(random: Random): string {
    const [offset, length] = this.#range(random, random.chance(0.2))
    const fd = this.#descriptor()
    if (offset < this.#size) this.#model.fill(0, offset, Math.min(offset + length, this.#size))
    libc.fallocate(fd, FALLOCATE.punch | FALLOCATE.keepSize, offset, length)
    return `punch ${offset} ${length}`
  }

  #zero(random: Random): string {
    const [offset, length] = this.#range(random, random.chance(0.2))
    const keep = random.chance(0.5)
    const fd = this.#descriptor()
    if (offset < this.#size) this.#model.fill(0, offset, Math.min(offset + length, this.#size))
    if (!keep && offset + length > this.#size) this.#resize(offset + length)
    libc.fallocate(fd, FALLOCATE.zero | (keep ? FALLOCATE.keepSize : 0), offset, length)
    return `zero ${offset} ${length}${keep ? ' keeping the size' : ''}`
  }

  #allocate(random: Random): string {
    const [offset, length] = this.#range(random, random.chance(0.5))
    const keep = random.chance(0.5)
    const fd = this.#descriptor()
    if (!keep && offset + length > this.#size) this.#resize(offset + length)
    libc.fallocate(fd, keep ? FALLOCATE.keepSize : FALLOCATE.allocate, offset, length)
    return `allocate ${offset} ${length}${keep ? ' keeping the size' : ''}`
  }

  #mapRead(random: Random): string {
    const [offset, wanted] = this.#range(random, false)
    const length = Math.min(wanted, this.#size - offset)
    if (length <= 0) return 'map nothing'
    const mapping = new Mapping(this.#descriptor(), offset + length, { writable: false })
    try {
      this.#compare(mapping.read(offset, length), offset, length)
    } finally {
      mapping.unmap()
    }
    return `read ${offset} ${length} by mapping`
  }

  #mapWrite(random: Random): string {
    const [offset, wanted] = this.#range(random, false)
    const length = Math.min(wanted, this.#size - offset)
    if (length <= 0) return 'map nothing'
    const bytes = this.#noiseOf(random, length)
    const mapping = new Mapping(this.#descriptor(), offset + length)
    mapping.write(offset, bytes)
    const sync = random.chance(0.5)
    if (sync) mapping.sync()
    mapping.unmap()
    this.#set(offset, bytes)
    return `write ${offset} ${length} by mapping${sync ? ', synced' : ''}`
  }

  #closeAndOpen(random: Random): string {
    // All of them, or one that others go on beside.
    if (random.chance(0.5)) {
      this.#close()
      this.#reopen()
      return 'close all and open'
    }
    const index = random.below(DESCRIPTORS)
    libc.close(this.#fds[index] ?? -1)
    // The descriptor is gone, also when close has failed.
    this.#fds[index] = -1
    const flags = O.rdwr | (index === DESCRIPTORS - 1 ? O.append : 0)
    this.#fds[index] = libc.open(this.#path, flags)
    return `close ${index} and open`
  }

  #sync(random: Random): string {
    const dataOnly = random.chance(0.5)
    if (dataOnly) libc.fdatasync(this.#descriptor())
    else libc.fsync(this.#descriptor())
    return dataOnly ? 'fdatasync' : 'fsync'
  }

  #checkSize(): string {
    const size = libc.lseek(this.#descriptor(), 0, SEEK.end)
    if (size !== this.#size) throw new FsxError(`the size is ${size}, not ${this.#size}`)
    return `size ${size}`
  }

  #seek(random: Random): string {
    if (this.#size === 0) return 'seek nothing'
    const offset = random.below(this.#size)
    const fd = this.#descriptor()
    let data = this.#size
    try {
      data = libc.lseek(fd, offset, SEEK.data)
    } catch (error) {
      if (!(error instanceof libc.SystemError) || error.code !== 'ENXIO') throw error
    }
    const skipped = this.#model.subarray(offset, Math.min(data, this.#size))
    if (data < offset || skipped.some(byte => byte !== 0)) {
      throw new FsxError(`SEEK_DATA from ${offset} gave ${data}, behind bytes that are not zero`)
    }
    const hole = libc.lseek(fd, offset, SEEK.hole)
    if (hole < offset || hole > this.#size) {
      throw new FsxError(`SEEK_HOLE from ${offset} gave ${hole} in ${this.#size} bytes`)
    }
    return `seek ${offset} data ${data} hole ${hole}`
  }

  #rename(): string {
    const next = this.#name === 'fsx-a' ? 'fsx-b' : 'fsx-a'
    const to = `${this.#options.folder}/${next}`
    try {
      libc.rename(this.#path, to)
    } catch (error) {
      // What failed may have happened.
      if (this.#options.faulty !== true || !exists(to) || exists(this.#path)) throw error
      this.#name = next
      throw error
    }
    this.#name = next
    return `rename to ${next}`
  }

  #verify(): string {
    const found = readAll(this.#descriptor(), this.#options.maxSize + 1)
    this.#compare(found, 0, this.#options.maxSize + 1)
    return `verify ${this.#size}`
  }
}

/** Waits on this thread: the file must not be touched meanwhile. */
function pause(time: Milliseconds): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, time)
}

function exists(path: string): boolean {
  try {
    libc.access(path, 0)
    return true
  } catch {
    return false
  }
}

function readAll(fd: number, limit: number): Buffer {
  return readFrom(fd, 0, limit)
}

/** As much as there is, however little comes at a time. */
function readFrom(fd: number, offset: number, length: number): Buffer {
  const pieces: Buffer[] = []
  for (let got = 0; got < length;) {
    const piece = libc.read(fd, Math.min(length - got, NOISE_SIZE), offset + got)
    if (piece.length === 0) break
    pieces.push(piece)
    got += piece.length
  }
  return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces)
}

function writeAll(fd: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.length;) at += libc.write(fd, bytes.subarray(at), offset + at)
}
