/**
 * Random operations on one file of a mount against a buffer: whatever is read must be what the buffer
 * holds. Written in the manner of the old fsx: few operations, many orders of them.
 *
 * The model holds what the file must hold. Where operations may fail
 * (`faulty`), an operation that did leaves two states in which the file may be; all states since the
 * last success of a close are kept, and what is read when the file is opened again must be one of
 * them, whole. No failure is allowed otherwise, and a wrong byte never is.
 *
 * The file system is a mount, which another process must serve, as calls are made on this thread; or
 * the core without a kernel.
 */
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import type { Milliseconds } from '../../src/util/units.js'
import { FALLOCATE, Mapping, SEEK } from '../helpers/libc.js'
import { seededBytes } from '../helpers/oci-image.js'
import { descriptorOf, HostOs } from '../suites/posix/host-os.js'
import { codeOf, isFailure, O, readAll, writeAll } from '../suites/posix/os.js'
import type { MaybePromise, Os, OsFile } from '../suites/posix/os.js'
import { FsxError, Model } from './model.js'
import { seededRandom, type Random } from './random.js'

export interface FsxOptions {
  readonly seed: number
  /** The file lies in its root. A function, as remounting may make another. */
  readonly os: () => Os
  readonly maxSize: number
  /** Longest single write, read or other range. */
  readonly maxLength: number
  /** Operations may fail. */
  readonly faulty?: boolean
  /** Ends the mount and makes it again. */
  readonly remount?: () => Promise<void>
}

type Operation = (random: Random) => string | Promise<string>

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
  readonly #model: Model
  /** Open several times; the last one appends. */
  #files: OsFile[] = []
  #path = '/fsx-a'
  #count = 0
  #failures = 0
  /** Contents in which a faulty store may have the file, besides the present one. */
  #states: Buffer[] = []

  constructor(options: FsxOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed)
    this.#noise = seededBytes(`fsx ${options.seed}`, NOISE_SIZE)
    this.#model = new Model(Buffer.alloc(options.maxSize))
    this.#operations = this.#table()
    this.#totalWeight = this.#operations.reduce((sum, [weight]) => sum + weight, 0)
  }

  get failures(): number {
    return this.#failures
  }

  /** @throws FsxError naming the seed, what was wrong, and the operations that led there */
  async run(count: number): Promise<void> {
    try {
      await this.#again(() => this.#reopen())
      const batch = this.#options.faulty === true ? BATCH.faulty : BATCH.sound
      for (let i = 0; i < count; i += 1) {
        if (i % batch === 0) await turn()
        if (this.#options.remount !== undefined && this.#random.chance(1 / 1500)) {
          await this.#remount(this.#options.remount)
        } else await this.#step()
      }
      await this.#closeAndCompare(() => Promise.resolve())
      await this.#close()
    } catch (error) {
      const { seed } = this.#options
      const lines = [...this.#log.slice(-LAST_OPERATIONS), String((error as Error).stack)]
      throw new FsxError(`seed ${seed}, operation ${this.#count}:\n${lines.join('\n')}`, {
        cause: error,
      })
    } finally {
      await this.#closeAnyhow()
    }
  }

  #table(): readonly (readonly [number, Operation])[] {
    const always: (readonly [number, Operation])[] = [
      [20, random => this.#read(random)],
      [24, random => this.#write(random)],
      [6, random => this.#append(random)],
      [6, random => this.#truncate(random)],
      [5, random => this.#copy(random)],
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
    // A core without a kernel has no mappings.
    if (!this.#isMount) return always
    always.push([4, random => this.#mapRead(random)])
    // The kernel writes pages back one by one, when it likes: no whole state to compare with.
    if (this.#options.faulty !== true) always.push([4, random => this.#mapWrite(random)])
    return always
  }

  async #step(): Promise<void> {
    let at = this.#random.below(this.#totalWeight)
    const chosen = this.#operations.find(([weight]) => (at -= weight) < 0)
    this.#count += 1
    const before = this.#options.faulty === true ? this.#present() : undefined
    try {
      this.#log.push(`${this.#count} ${(await chosen?.[1](this.#random)) ?? ''}`)
      if (this.#log.length > LAST_OPERATIONS * 4) this.#log.splice(0, LAST_OPERATIONS * 2)
      if (before !== undefined) this.#keep(before)
    } catch (error) {
      if (before === undefined || !isFailure(error)) throw error
      this.#log.push(`${this.#count} failed: ${String(error)}`)
      checkOwn(error)
      this.#failures += 1
      this.#keep(before)
      this.#keep(this.#present())
      await this.#recover()
    }
  }

  get #os(): Os {
    return this.#options.os()
  }

  /** Whether a kernel is in between. */
  get #isMount(): boolean {
    return this.#os instanceof HostOs
  }

  #present(): Buffer {
    return Buffer.from(this.#model.slice(0, this.#model.limit))
  }

  #keep(state: Buffer): void {
    const last = this.#states.at(-1)
    if (last?.equals(state) === true) return
    this.#states.push(state)
    if (this.#states.length > MAX_STATES) throw new FsxError('too many states: close more often')
  }

  /** After a failure the file is whatever it is found to be, if it may be that. */
  async #recover(): Promise<void> {
    await this.#closeAnyhow()
    const found = await this.#again(async () => {
      const file = await this.#os.open(this.#path, O.rdonly | O.creat)
      try {
        return await readAll(file, 0, this.#model.limit + 1)
      } finally {
        await file.close()
      }
    })
    if (!this.#states.some(state => state.equals(found))) {
      throw new FsxError(`after a failure the file is ${found.length} bytes that it never was`)
    }
    this.#model.become(found)
    this.#states = []
    await this.#again(() => this.#reopen())
  }

  /** Tries until it succeeds: the fault is gone some time. */
  async #again<T>(work: () => MaybePromise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work()
      } catch (error) {
        const isOver = this.#options.faulty !== true || attempt === ATTEMPTS
        if (!isFailure(error) || isOver) throw error
        if (codeOf(error) !== 'ENOENT') checkOwn(error)
        this.#failures += 1
        await delay(PAUSE)
      }
    }
  }

  async #reopen(): Promise<void> {
    while (this.#files.length < DESCRIPTORS) {
      const last = this.#files.length === DESCRIPTORS - 1
      const flags = O.rdwr | O.creat | (last ? O.append : 0)
      this.#files.push(await this.#os.open(this.#path, flags))
    }
  }

  async #close(): Promise<void> {
    for (let file = this.#files.shift(); file !== undefined; file = this.#files.shift()) {
      await file.close()
    }
    this.#states = []
  }

  async #closeAnyhow(): Promise<void> {
    for (const file of this.#files.splice(0)) {
      try {
        await file.close()
      } catch (error) {
        if (!isFailure(error)) throw error
        checkOwn(error)
      }
    }
  }

  async #remount(remount: () => Promise<void>): Promise<void> {
    this.#log.push(`${(this.#count += 1)} remount`)
    await this.#closeAndCompare(remount)
  }

  /** Once closed without an error nothing may be lost. The descriptors go before the mount does. */
  async #closeAndCompare(remount: () => Promise<void>): Promise<void> {
    if (this.#options.faulty === true) await this.#again(() => this.#file().fsync())
    await this.#close()
    await remount()
    await this.#again(() => this.#reopen())
    await this.#again(() => this.#verify())
  }

  /** Any descriptor but the one that appends. */
  #file(): OsFile {
    return this.#nth(this.#random.below(DESCRIPTORS - 1))
  }

  #nth(index: number): OsFile {
    const file = this.#files[index]
    if (file === undefined) throw new RangeError(`descriptor ${index} is not open`)
    return file
  }

  /** A range that begins in the file, or a little behind it if `beyond`. */
  #range(random: Random, beyond: boolean): readonly [offset: number, length: number] {
    const { maxSize, maxLength } = this.#options
    const { size } = this.#model
    const reach = beyond ? Math.min(maxSize - 1, size + maxLength) : Math.max(0, size - 1)
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

  async #read(random: Random): Promise<string> {
    const [offset, length] = this.#range(random, random.chance(0.1))
    this.#model.compare(await readAll(this.#file(), offset, length), offset, length)
    return `read ${offset} ${length}`
  }

  async #write(random: Random): Promise<string> {
    const [offset, length] = this.#range(random, random.chance(0.4))
    const bytes = this.#noiseOf(random, length)
    const file = this.#file()
    // First the model: a write that fails may have happened.
    this.#model.write(offset, bytes)
    await writeAll(file, bytes, offset)
    return `write ${offset} ${length}`
  }

  async #append(random: Random): Promise<string> {
    const { size: offset, limit } = this.#model
    const length = Math.min(limit - offset, 1 + random.below(this.#options.maxLength / 8))
    if (length <= 0) return 'append nothing'
    const bytes = this.#noiseOf(random, length)
    this.#model.write(offset, bytes)
    const count = await this.#nth(DESCRIPTORS - 1).write(bytes)
    if (count !== length) throw new FsxError(`appended ${count} of ${length}`)
    return `append ${length} at ${offset}`
  }

  async #truncate(random: Random): Promise<string> {
    const { maxSize, maxLength } = this.#options
    const before = this.#model.size
    const near = before + random.below(2 * maxLength) - maxLength
    const wanted = random.chance(0.1) ? 0 : random.chance(0.5) ? near : random.below(maxSize)
    const size = Math.max(0, Math.min(maxSize, wanted))
    const byName = random.chance(0.3)
    const file = this.#file()
    this.#model.resize(size)
    if (byName) await this.#os.truncate(this.#path, size)
    else await file.truncate(size)
    return `truncate${byName ? ' by name' : ''} ${before} to ${size}`
  }

  async #copy(random: Random): Promise<string> {
    const [at, wanted] = this.#range(random, false)
    const [there] = this.#range(random, true)
    const distance = Math.abs(there - at)
    const { size, limit } = this.#model
    const length = Math.min(wanted, size - at, distance, limit - there)
    if (length <= 0) return 'copy nothing'
    const from = this.#file()
    const to = this.#file()
    const piece = Buffer.from(this.#model.slice(at, length))
    for (let done = 0; done < length;) {
      const range = { at: at + done, there: there + done, length: length - done }
      const count = await from.copyTo(to, range)
      if (count === 0) throw new FsxError(`copied ${done} of ${length} from ${at} to ${there}`)
      this.#model.write(there + done, piece.subarray(done, done + count))
      done += count
    }
    return `copy ${at} ${length} to ${there}`
  }

  async #punch(random: Random): Promise<string> {
    const [offset, length] = this.#range(random, random.chance(0.2))
    const file = this.#file()
    this.#model.clear(offset, length)
    await file.fallocate(FALLOCATE.punch | FALLOCATE.keepSize, offset, length)
    return `punch ${offset} ${length}`
  }

  async #zero(random: Random): Promise<string> {
    const [offset, length] = this.#range(random, random.chance(0.2))
    const keep = random.chance(0.5)
    const file = this.#file()
    this.#model.clear(offset, length)
    if (!keep) this.#reach(offset + length)
    await file.fallocate(FALLOCATE.zero | (keep ? FALLOCATE.keepSize : 0), offset, length)
    return `zero ${offset} ${length}${keep ? ' keeping the size' : ''}`
  }

  async #allocate(random: Random): Promise<string> {
    const [offset, length] = this.#range(random, random.chance(0.5))
    const keep = random.chance(0.5)
    const file = this.#file()
    if (!keep) this.#reach(offset + length)
    await file.fallocate(keep ? FALLOCATE.keepSize : FALLOCATE.allocate, offset, length)
    return `allocate ${offset} ${length}${keep ? ' keeping the size' : ''}`
  }

  #reach(size: number): void {
    if (size > this.#model.size) this.#model.resize(size)
  }

  async #mapRead(random: Random): Promise<string> {
    const [offset, length] = this.#mapped(random)
    if (length <= 0) return 'map nothing'
    const mapping = new Mapping(descriptorOf(this.#file()), offset + length, { writable: false })
    try {
      this.#model.compare(mapping.read(offset, length), offset, length)
    } finally {
      mapping.unmap()
    }
    return Promise.resolve(`read ${offset} ${length} by mapping`)
  }

  async #mapWrite(random: Random): Promise<string> {
    const [offset, length] = this.#mapped(random)
    if (length <= 0) return 'map nothing'
    const bytes = this.#noiseOf(random, length)
    const mapping = new Mapping(descriptorOf(this.#file()), offset + length)
    mapping.write(offset, bytes)
    const sync = random.chance(0.5)
    if (sync) mapping.sync()
    mapping.unmap()
    this.#model.write(offset, bytes)
    return Promise.resolve(`write ${offset} ${length} by mapping${sync ? ', synced' : ''}`)
  }

  #mapped(random: Random): readonly [offset: number, length: number] {
    const [offset, wanted] = this.#range(random, false)
    return [offset, Math.min(wanted, this.#model.size - offset)]
  }

  async #closeAndOpen(random: Random): Promise<string> {
    // All of them, or one that others go on beside.
    if (random.chance(0.5)) {
      await this.#close()
      await this.#reopen()
      return 'close all and open'
    }
    const index = random.below(DESCRIPTORS)
    const [file] = this.#files.splice(index, 1)
    // The descriptor is gone, also when close has failed.
    await file?.close()
    const flags = O.rdwr | (index === DESCRIPTORS - 1 ? O.append : 0)
    this.#files.splice(index, 0, await this.#os.open(this.#path, flags))
    return `close ${index} and open`
  }

  async #sync(random: Random): Promise<string> {
    const dataOnly = random.chance(0.5)
    if (dataOnly) await this.#file().fdatasync()
    else await this.#file().fsync()
    return dataOnly ? 'fdatasync' : 'fsync'
  }

  async #checkSize(): Promise<string> {
    const size = await this.#file().lseek(0, SEEK.end)
    if (size !== this.#model.size) {
      throw new FsxError(`the size is ${size}, not ${this.#model.size}`)
    }
    return `size ${size}`
  }

  async #seek(random: Random): Promise<string> {
    const { size } = this.#model
    if (size === 0) return 'seek nothing'
    const offset = random.below(size)
    const file = this.#file()
    let data = size
    try {
      data = await file.lseek(offset, SEEK.data)
    } catch (error) {
      if (!isFailure(error) || codeOf(error) !== 'ENXIO') throw error
    }
    const skipped = this.#model.slice(offset, data - offset)
    if (data < offset || skipped.some(byte => byte !== 0)) {
      throw new FsxError(`SEEK_DATA from ${offset} gave ${data}, behind bytes that are not zero`)
    }
    const hole = await file.lseek(offset, SEEK.hole)
    if (hole < offset || hole > size) {
      throw new FsxError(`SEEK_HOLE from ${offset} gave ${hole} in ${size} bytes`)
    }
    return `seek ${offset} data ${data} hole ${hole}`
  }

  async #rename(): Promise<string> {
    const next = this.#path === '/fsx-a' ? '/fsx-b' : '/fsx-a'
    try {
      await this.#os.rename(this.#path, next)
    } catch (error) {
      // What failed may have happened.
      if ((await this.#exists(next)) && !(await this.#exists(this.#path))) this.#path = next
      throw error
    }
    this.#path = next
    return `rename to ${next}`
  }

  #exists(path: string): Promise<boolean> {
    return this.#again(async () => {
      try {
        await this.#os.access(path, 0)
        return true
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return false
        throw error
      }
    })
  }

  async #verify(): Promise<string> {
    const found = await readAll(this.#file(), 0, this.#model.limit + 1)
    this.#model.compare(found, 0, this.#model.limit + 1)
    return `verify ${this.#model.size}`
  }
}

/** What only somebody else can cause, and there is nobody else: no fault of the store may end so. */
const OTHERS = new Set(['ESTALE', 'EEXIST', 'ENOENT'])

/** @throws FsxError if it is a failure that a fault must not cause */
function checkOwn(error: unknown): void {
  if (!OTHERS.has(codeOf(error))) return
  throw new FsxError(`nobody else is there: ${String(error)}`, { cause: error })
}
