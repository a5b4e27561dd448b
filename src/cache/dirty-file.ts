/**
 * One file under write, from the first write to its last flush.
 *
 * What it holds and how it is cut into parts is told in write-back.ts, which owns all of them; what
 * the bytes are and where they come from, in write-buffer.ts.
 *
 * The mutex keeps flushes, truncates and waiting writes apart. A write that needs no waiting takes
 * effect at once while nobody is in.
 */
import type {
  Composition,
  Part,
  PartLimits,
  WriteConditions,
  WriteResult,
} from '../driver/driver.js'
import { abortable } from '../util/abort.js'
import { ErrnoError } from '../util/errno.js'
import type { Extent } from '../util/extents.js'
import { Mutex } from '../util/lock.js'
import { forEachParallel } from '../util/semaphore.js'
import { formatBytes, MiB } from '../util/units.js'
import type { Bytes, Milliseconds } from '../util/units.js'
import type { Budget } from './budget.js'
import type { BufferPool } from './buffer-pool.js'
import type { ObjectId } from './object-id.js'
import { planParts } from './part-plan.js'
import type { PlannedPart } from './part-plan.js'
import { WriteBuffer } from './write-buffer.js'
import type { Piece } from './write-buffer.js'

/** How one file reaches the store. Its path may change between calls, but not during one. */
export interface FileStore {
  put(content: readonly Uint8Array[], conditions: WriteConditions): Promise<WriteResult>
  compose(): Promise<Composition>
  /** The file was published under a name it no longer has: moves it to where it belongs now. */
  moveHere(publishedAt: string): Promise<WriteResult>
  /** Bytes of the version `base`, all of them or a rejection. They need not outlive the next await. */
  readBase(base: ObjectId, offset: Bytes, length: Bytes): Promise<readonly Uint8Array[]>
  /** The driver path now. */
  path(): string
  /** false once the file was unlinked: it then has no place in the store. */
  isLinked(): boolean
  /** The store has all bytes, as this version. Called before another write can go ahead. */
  published(version: ObjectId): void
}

/** Somebody who waits, and may stop waiting; RequestContext is one. Read only when there is a wait. */
export interface Waiter {
  readonly signal: AbortSignal
}

export type Guard = <T>(work: () => Promise<T>) => Promise<T>

/** What all files under write share. */
export interface DirtyFileOwner {
  readonly partSize: Bytes
  readonly limits: PartLimits
  readonly budget: Budget
  readonly pool: BufferPool
  readonly guard: Guard
  /** How long a write may wait for memory. */
  readonly patience: Milliseconds
  /** The file was discarded. */
  forget(file: DirtyFile): void
  /** Aborts an upload that nobody wants any more, and does not fail. */
  dropUpload(composition: Composition): Promise<void>
}

/** Parts of one flush under way at a time, beyond those already being uploaded. */
const FLUSH_PARALLELISM = 4
const ZEROS = new Uint8Array(MiB)

interface Upload {
  readonly settled: Promise<void>
  part: Part | undefined
}

/** One file under write. */
export class DirtyFile {
  readonly #owner: DirtyFileOwner
  readonly #store: FileStore
  readonly #buffer: WriteBuffer
  readonly #mutex = new Mutex()
  readonly #uploads = new Map<number, Upload>()
  #base: ObjectId | undefined
  #composition: Promise<Composition> | undefined
  /** The version in the store that has all sealed bytes, but not yet the file's name. */
  #misplaced: ObjectId | undefined
  #abort = new AbortController()
  #changed: boolean
  /** A flush was tried: if it failed without an answer, it may have succeeded all the same. */
  #attempted = false
  #error: unknown

  constructor(owner: DirtyFileOwner, store: FileStore, base: ObjectId | undefined) {
    this.#owner = owner
    this.#store = store
    this.#base = base
    this.#changed = base === undefined
    this.#buffer = new WriteBuffer(owner.pool, base?.size ?? 0)
  }

  get size(): Bytes {
    return this.#buffer.size
  }

  /** The store lacks something: bytes, or the file itself. */
  get isDirty(): boolean {
    return this.#changed
  }

  /** Nothing of this file has been sent to the store yet, so nothing of it can be there. */
  get isUnsent(): boolean {
    return this.#base === undefined && this.#uploads.size === 0 && !this.#attempted
  }

  /** false once it was unlinked: it cannot be flushed, and its bytes are nobody's but its holders'. */
  get isLinked(): boolean {
    return this.#store.isLinked()
  }

  /** Bytes of memory held. */
  get held(): Bytes {
    return this.#buffer.held
  }

  get path(): string {
    return this.#store.path()
  }

  /** The version in the store that this file's clean bytes come from. */
  get base(): ObjectId | undefined {
    return this.#base
  }

  get uploadsUnderWay(): readonly Promise<void>[] {
    return [...this.#uploads.values()]
      .filter(upload => upload.part === undefined)
      .map(upload => upload.settled)
  }

  /**
   * Takes a copy of the data; at once if memory is free and nothing is in the way.
   *
   * @returns the number of bytes, always all
   * @throws the error of an upload that failed in the background, once; EFBIG; the signal's reason
   */
  write(offset: Bytes, data: Uint8Array, waiter?: Waiter): number | Promise<number> {
    this.#throwLatched()
    this.#checkSize(offset + data.length)
    if (this.#mutex.isIdle && !this.#buffer.isSealed(offset, offset + data.length)) {
      const cost = this.#buffer.cost(offset, data.length)
      if (this.#owner.budget.tryReserve(cost)) return this.#take(offset, data)
    }
    return this.#writeSlowly(offset, data, waiter?.signal)
  }

  /**
   * The bytes [offset, offset+length), fewer where the file ends. What is returned at once must be
   * used before the caller's next await; what is promised is the caller's own.
   */
  read(
    offset: Bytes,
    length: Bytes,
    waiter?: Waiter,
  ): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    const pieces = this.#buffer.pieces(offset, offset + length)
    if (pieces.every(piece => piece.kind === 'memory' || piece.kind === 'hole')) {
      return pieces.flatMap(piece => this.#resident(piece))
    }
    if (pieces.some(piece => this.#isOutOfReach(piece))) {
      return this.flush(waiter?.signal).then(() => this.read(offset, length, waiter))
    }
    // Memory may be written to, or reused, while the base is being read.
    const snapshot = pieces.map(piece =>
      piece.kind === 'memory' ? { ...piece, data: Uint8Array.from(piece.data) } : piece,
    )
    const base = this.#base
    const read = this.#assemble(snapshot).catch((error: unknown) => {
      // Published or moved meanwhile, by this mount: the bytes are there, in another version.
      if (this.#base === base) throw error
      return this.read(offset, length, waiter)
    })
    return abortable(read, waiter?.signal)
  }

  /** Whether the bytes can be read only after a flush. */
  #isOutOfReach({ kind }: Piece): boolean {
    return kind === 'sealed' || (kind === 'base' && this.#misplaced !== undefined)
  }

  /** Cuts the file, or extends it by a hole. */
  async truncate(size: Bytes, signal?: AbortSignal): Promise<void> {
    this.#throwLatched()
    this.#checkSize(size)
    for (;;) {
      const cut = this.#mutex.run(async () => {
        signal?.throwIfAborted()
        if (size === 0) await this.#dropUploads()
        if (this.#buffer.isSealed(size, Infinity)) return false
        const before = this.#buffer.held
        this.#buffer.truncate(size)
        this.#owner.budget.release(before - this.#buffer.held)
        if (size === 0) this.#base = undefined
        this.#changed = true
        return true
      })
      if (await abortable(cut, signal)) return
      await this.flush(signal)
    }
  }

  /**
   * Publishes the file. Given up by the signal it goes on in the background, and the next flush
   * waits for it: a program that is interrupted again and again still gets on.
   */
  flush(signal?: AbortSignal): Promise<void> {
    return abortable(
      this.#owner.guard(() => this.flushGuarded()),
      signal,
    )
  }

  /** As `flush`, for callers that hold the guard. */
  flushGuarded(): Promise<void> {
    return this.#mutex.run(() => this.#flushLocked())
  }

  /**
   * Publishes the file, then does what must not be overtaken by a write or another flush, such as
   * moving it. For callers that hold the guard.
   */
  flushAnd<T>(work: () => Promise<T>): Promise<T> {
    return this.#mutex.run(async () => {
      await this.#flushLocked()
      return work()
    })
  }

  /** Does what must not overlap with a write or a flush, such as deleting the file. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#mutex.run(work)
  }

  /** The file lies elsewhere in the store now, or was replaced there while it was not dirty. */
  rebase(base: ObjectId): void {
    if (this.#changed) throw new Error('cannot rebase a dirty file')
    this.#base = base
    this.#buffer.reset(base.size)
  }

  /** The version that clean bytes come from was moved, dirty or not; a copy may have another etag. */
  moved(base: ObjectId): void {
    if (this.#base === undefined) return
    if (this.#base.size !== base.size) throw new Error(`${base.path} changed while it was moved`)
    this.#base = base
  }

  /** Forgets everything that is not in the store, and aborts what is on its way there. */
  async discard(): Promise<void> {
    this.#owner.forget(this)
    await this.#mutex.run(async () => {
      await this.#dropUploads()
      this.#releaseMemory(this.#base?.size ?? 0)
      this.#changed = false
    })
  }

  #throwLatched(): void {
    if (this.#error === undefined) return
    const error = this.#error
    this.#error = undefined
    throw error
  }

  #checkSize(size: Bytes): void {
    const limit = this.#owner.limits.maxParts * this.#owner.partSize
    if (size > limit) {
      throw new ErrnoError('EFBIG', `${this.path}: larger than ${formatBytes(limit)}`)
    }
  }

  async #writeSlowly(offset: Bytes, data: Uint8Array, signal?: AbortSignal): Promise<number> {
    const end = offset + data.length
    for (;;) {
      if (this.#buffer.isSealed(offset, end)) await this.flush(signal)
      const reserved = this.#buffer.cost(offset, data.length)
      await this.#reserve(reserved, signal)
      const turn = this.#mutex.run(async () => {
        const cost = this.#buffer.cost(offset, data.length)
        const blocked = this.#buffer.isSealed(offset, end) || cost > reserved
        // Once the signal is aborted the data is no longer the caller's to lend.
        if (blocked || signal?.aborted === true) {
          this.#owner.budget.release(reserved)
          return undefined
        }
        this.#owner.budget.release(reserved - cost)
        return this.#take(offset, data)
      })
      const written = await abortable(turn, signal)
      if (written !== undefined) return written
      signal?.throwIfAborted()
    }
  }

  async #reserve(bytes: Bytes, signal: AbortSignal | undefined): Promise<void> {
    const patience = AbortSignal.timeout(this.#owner.patience)
    try {
      await this.#owner.budget.reserve(
        bytes,
        signal === undefined ? patience : AbortSignal.any([signal, patience]),
      )
    } catch (error) {
      if (!patience.aborted) throw error
      const waited = `${this.#owner.patience} ms`
      throw new ErrnoError('EIO', `${this.path}: no memory came free within ${waited}`, {
        cause: error,
      })
    }
  }

  /** For callers that have reserved the cost. */
  #take(offset: Bytes, data: Uint8Array): number {
    this.#buffer.write(offset, data)
    this.#changed ||= data.length > 0
    this.#sealParts(offset, offset + data.length)
    return data.length
  }

  #sealParts(start: Bytes, end: Bytes): void {
    const { partSize } = this.#owner
    if (!this.#store.isLinked()) return
    const first = Math.max(0, Math.floor(start / partSize) - 1)
    for (let index = first; (index + 1) * partSize < this.#buffer.size; index += 1) {
      if (index * partSize >= end) return
      if (this.#buffer.isWhollyDirty(index * partSize, (index + 1) * partSize)) this.#upload(index)
    }
  }

  /** Seals a wholly dirty part and sends it. */
  #upload(index: number): void {
    const { start, end } = this.#extent(index)
    const data = this.#buffer.seal(start, end)
    const signal = this.#abort.signal
    const upload: Upload = {
      part: undefined,
      settled: this.#send(index + 1, data).then(
        part => {
          if (signal.aborted) return
          upload.part = part
          this.#owner.budget.release(this.#buffer.drop(start, end))
        },
        (error: unknown) => {
          if (signal.aborted) return
          this.#uploads.delete(index)
          this.#buffer.unseal(start, end)
          this.#error ??= error
        },
      ),
    }
    this.#uploads.set(index, upload)
  }

  async #send(partNumber: number, data: readonly Uint8Array[]): Promise<Part> {
    const { signal } = this.#abort
    const composition = await this.#compose()
    signal.throwIfAborted()
    return composition.uploadPart(partNumber, data, { signal })
  }

  #compose(): Promise<Composition> {
    this.#composition ??= this.#store.compose().catch((error: unknown) => {
      this.#composition = undefined
      throw error
    })
    return this.#composition
  }

  async #flushLocked(): Promise<void> {
    if (!this.#changed) return
    if (!this.#store.isLinked()) throw new ErrnoError('ESTALE', `${this.path} was unlinked`)
    await Promise.all(this.uploadsUnderWay)
    // What failed in the background is tried again now; this attempt's outcome is what counts.
    this.#error = undefined
    this.#attempted = true
    if (this.#misplaced !== undefined) await this.#putInPlace(this.#misplaced)
    let version = this.#base
    if (version === undefined || !this.#isAll(version)) version = await this.#publish()
    this.#changed = false
    this.#store.published(version)
  }

  /** Whether the file is what that version is. */
  #isAll({ size }: ObjectId): boolean {
    return size === this.#buffer.size && this.#buffer.isClean(0, size)
  }

  async #publish(): Promise<ObjectId> {
    const isSmall = this.#uploads.size === 0 && this.#buffer.size <= this.#owner.partSize
    const version = isSmall ? await this.#putWhole() : await this.#composeWhole()
    this.#checkStored(version, this.#buffer.size)
    this.#uploads.clear()
    this.#composition = undefined
    this.#releaseMemory(version.size)
    this.#base = version
    // A directory above was renamed after the composition had been begun.
    return version.path === this.path ? version : this.#putInPlace(version)
  }

  /** The file lies in the store under a name that is no longer its own. If this fails it is retried. */
  async #putInPlace(misplaced: ObjectId): Promise<ObjectId> {
    this.#misplaced = misplaced
    const { etag, size } = await this.#store.moveHere(misplaced.path)
    this.#checkStored({ size }, misplaced.size)
    this.#misplaced = undefined
    this.#base = { path: this.path, etag, size }
    return this.#base
  }

  #checkStored({ size }: { size: Bytes }, expected: Bytes): void {
    if (size === expected) return
    const message = `${this.path}: the store reports ${size} bytes instead of ${expected}`
    throw new ErrnoError('EIO', message)
  }

  async #putWhole(): Promise<ObjectId> {
    // Of an upload none of whose parts arrived.
    await this.#dropComposition()
    const usesBase = this.#usesBase()
    const content = await this.#assemble(this.#buffer.pieces(0, this.#buffer.size))
    const { etag, size } = await this.#store.put(content, this.#conditions(usesBase))
    return { path: this.path, etag, size }
  }

  async #composeWhole(): Promise<ObjectId> {
    const composition = await this.#composeHere()
    const plan = this.#plan()
    const usesBase = this.#usesBase()
    const made = await this.#makeParts(composition, plan)
    const uploaded = [...this.#uploads.values()].flatMap(({ part }) => (part ? [part] : []))
    const parts = [...uploaded, ...made].toSorted((a, b) => a.partNumber - b.partNumber)
    const total = parts.reduce((sum, part) => sum + part.size, 0)
    if (total !== this.#buffer.size) {
      const wanted = `${this.#buffer.size} bytes`
      throw new ErrnoError('EIO', `${this.path}: parts make ${total} bytes instead of ${wanted}`)
    }
    // A directory above may have been renamed since the composition was begun. Then the old name is
    // not this file's any more: whoever has it now must not be replaced.
    const conditions: WriteConditions =
      composition.path === this.path ? this.#conditions(usesBase) : { ifNoneMatch: '*' }
    const stored = await composition
      .complete(parts, { ...conditions, signal: this.#abort.signal })
      .catch((error: unknown) => this.#abandon(composition, error))
    return { path: composition.path, etag: stored.etag, size: stored.size }
  }

  #plan(): PlannedPart[] {
    return planParts({
      size: this.#buffer.size,
      partSize: this.#owner.partSize,
      maxPartSize: this.#owner.limits.maxPartSize,
      isSent: index => this.#uploads.has(index),
      isClean: (start, end) => this.#base !== undefined && this.#buffer.isClean(start, end),
    })
  }

  async #makeParts(composition: Composition, plan: readonly PlannedPart[]): Promise<Part[]> {
    const made: Part[] = []
    const make = async ({ kind, partNumber, start, end }: PlannedPart): Promise<void> => {
      made.push(
        kind === 'copy'
          ? await this.#copy(composition, partNumber, { start, end })
          : await this.#send(partNumber, await this.#assemble(this.#buffer.pieces(start, end))),
      )
    }
    await forEachParallel(plan, make, { limit: FLUSH_PARALLELISM }).catch((error: unknown) =>
      this.#abandon(composition, error),
    )
    return made
  }

  async #copy(composition: Composition, partNumber: number, { start, end }: Extent): Promise<Part> {
    if (this.#base === undefined) throw new Error('there is nothing to copy from')
    const range = { path: this.path, etag: this.#base.etag, offset: start, length: end - start }
    return composition.copyPart(partNumber, range, { signal: this.#abort.signal })
  }

  /** The composition to go on with: one at the present path, unless parts depend on another. */
  async #composeHere(): Promise<Composition> {
    const composition = await this.#compose()
    if (composition.path === this.path || this.#uploads.size > 0) return composition
    await this.#dropComposition()
    return this.#compose()
  }

  /** Ends a composition that no byte of the file depends on. For callers that hold the mutex. */
  async #dropComposition(): Promise<void> {
    const composition = await this.#composition
    this.#composition = undefined
    if (composition !== undefined) await this.#owner.dropUpload(composition)
  }

  /** Ends a failed composition, unless parts that are not in memory any more depend on it. */
  async #abandon(composition: Composition, error: unknown): Promise<never> {
    if (this.#uploads.size === 0) {
      this.#composition = undefined
      await this.#owner.dropUpload(composition)
    }
    throw error
  }

  #usesBase(): boolean {
    return this.#buffer.pieces(0, this.#buffer.size).some(({ kind }) => kind === 'base')
  }

  /** What was made from a version may replace that version only. */
  #conditions(usesBase: boolean): WriteConditions {
    return usesBase && this.#base !== undefined ? { ifMatch: this.#base.etag } : {}
  }

  async #assemble(pieces: readonly Piece[]): Promise<Uint8Array[]> {
    const parts = await Promise.all(
      pieces.map(async piece => {
        if (piece.kind !== 'base') return this.#resident(piece)
        if (this.#base === undefined) throw new Error('a file without a base has base bytes')
        const slices = await this.#store.readBase(this.#base, piece.offset, piece.length)
        // They are valid until the next await only, and other pieces are still being waited for.
        return slices.map(slice => Uint8Array.from(slice))
      }),
    )
    return parts.flat()
  }

  #resident(piece: Piece): Uint8Array[] {
    if (piece.kind === 'memory') return [piece.data]
    if (piece.kind !== 'hole') throw new Error(`a ${piece.kind} piece is not in memory`)
    const zeros: Uint8Array[] = []
    for (let left = piece.length; left > 0; left -= ZEROS.length) {
      zeros.push(ZEROS.subarray(0, Math.min(left, ZEROS.length)))
    }
    return zeros
  }

  /** Calls off all uploads and gives up what was uploaded. */
  async #dropUploads(): Promise<void> {
    const composition = this.#composition
    if (composition === undefined && this.#uploads.size === 0) return
    this.#abort.abort(new Error('the upload was called off'))
    const underWay = this.uploadsUnderWay
    this.#abort = new AbortController()
    await Promise.all(underWay)
    this.#uploads.clear()
    this.#composition = undefined
    this.#releaseMemory(0)
    await composition?.then(
      started => this.#owner.dropUpload(started),
      () => undefined,
    )
  }

  #releaseMemory(size: Bytes): void {
    const { held } = this.#buffer
    this.#buffer.reset(size)
    this.#owner.budget.release(held)
  }

  #extent(index: number): Extent {
    const start = index * this.#owner.partSize
    return { start, end: Math.min(start + this.#owner.partSize, this.#buffer.size) }
  }
}
