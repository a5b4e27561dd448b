/**
 * One file under write, from the first write to its last flush.
 *
 * What it holds and how it is cut into parts is told in write-back.ts, which owns all of them; where
 * each byte is, in write-buffer.ts and file-contents.ts; which parts leave early, in sealed-parts.ts; how
 * it is brought to the store, in publication.ts.
 *
 * The mutex keeps flushes, cuts, copies and waiting writes apart. A write that needs no waiting takes
 * effect at once while nobody is in.
 */
import { DriverError, NotFoundError, PreconditionError } from '../driver/errors.js'
import { abortable } from '../util/abort.js'
import { ErrnoError } from '../util/errno.js'
import { Mutex } from '../util/lock.js'
import { formatBytes, MiB } from '../util/units.js'
import type { Bytes } from '../util/units.js'
import type { DirtyFileOwner } from './dirty-file-owner.js'
import { FileContents } from './file-contents.js'
import type { FileStore } from './file-store.js'
import { LostAnswers, originsOf, rebased } from './lost-answers.js'
import type { ObjectId } from './object-id.js'
import type { Origin, Source } from './origins.js'
import { isResident, resident } from './pieces.js'
import { publish } from './publication.js'
import { SealedParts } from './sealed-parts.js'
import type { StagingFile } from './staging.js'
import { UploadSession } from './upload-session.js'
import { WriteBuffer } from './write-buffer.js'

/** Somebody who waits, and may stop waiting; RequestContext is one. Read only when there is a wait. */
export interface Waiter {
  readonly signal: AbortSignal
}

/** Somebody who is told of each failure once, such as an open file descriptor. */
export interface Observer {
  /** `DirtyFile.failures` when it was last told. */
  seen: number
}

/** Bytes handed to the staging file at a time. */
const SPILL: Bytes = MiB

/** One file under write. */
export class DirtyFile {
  readonly #owner: DirtyFileOwner<DirtyFile>
  readonly #store: FileStore
  readonly #buffer: WriteBuffer
  readonly #mutex = new Mutex()
  readonly #session: UploadSession
  readonly #staging: StagingFile | undefined
  readonly #contents: FileContents
  readonly #parts: SealedParts
  #changed: boolean
  /** A flush was tried: if it failed without an answer, it may have succeeded all the same. */
  #attempted = false
  /** Such flushes, by the etags of what they have made if they have succeeded. */
  readonly #unanswered = new LostAnswers()
  /** How often the content was changed. */
  #changes = 0
  #error: unknown
  #failures = 0

  constructor(owner: DirtyFileOwner<DirtyFile>, store: FileStore, base: ObjectId | undefined) {
    this.#owner = owner
    this.#store = store
    this.#changed = base === undefined
    this.#buffer = new WriteBuffer(owner.pool, base?.size ?? 0)
    this.#staging = owner.staging?.open()
    this.#session = new UploadSession({
      begin: () => store.compose(),
      dropUpload: composition => owner.dropUpload(composition),
    })
    this.#contents = new FileContents({ store, staging: this.#staging, base })
    this.#parts = new SealedParts({
      buffer: this.#buffer,
      session: this.#session,
      staging: this.#staging,
      layout: owner.layout,
      budget: owner.budget,
      failed: error => this.#failed(error),
    })
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
    return this.#contents.base === undefined && this.#session.sent.size === 0 && !this.#attempted
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
    return this.#contents.base
  }

  get uploadsUnderWay(): readonly Promise<void>[] {
    return this.#session.underWay
  }

  /** How often bringing the file to the store has failed; a flush that succeeds makes all good. */
  get failures(): number {
    return this.#failures
  }

  /** Whether bytes of this file are to be copied from another one whose path is such. */
  copiesFrom(isSuch: (path: string) => boolean): boolean {
    for (const { source } of this.#buffer.origins) {
      if (source !== 'base' && isSuch(source.path)) return true
    }
    return false
  }

  /** @throws the error of the latest failure that is not made good, if the observer has not seen it */
  report(observer: Observer): void {
    const isNews = observer.seen < this.#failures
    observer.seen = this.#failures
    if (isNews && this.#error !== undefined) throw this.#error
  }

  /**
   * Takes a copy of the data; at once if memory is free and nothing is in the way.
   *
   * @returns the number of bytes, always all
   * @throws EFBIG; ENOSPC when neither memory nor disk nor store take any more; the signal's reason
   */
  write(offset: Bytes, data: Uint8Array, waiter?: Waiter): number | Promise<number> {
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
    if (pieces.every(isResident)) return pieces.flatMap(resident)
    if (pieces.some(piece => this.#contents.isOutOfReach(piece))) {
      this.#parts.keepsAll = true
      return this.flush(waiter?.signal).then(() => this.read(offset, length, waiter))
    }
    // Memory may be written to, or reused, while the others are being waited for.
    const snapshot = pieces.map(piece =>
      piece.kind === 'memory' ? { ...piece, data: Uint8Array.from(piece.data) } : piece,
    )
    const base = this.#contents.base
    const read = this.#contents.assemble(snapshot).catch(async (error: unknown) => {
      // Published or moved meanwhile, by this mount: the bytes are there, in another version.
      const isElsewhere = this.#contents.base !== base || (await this.#isOurEcho(error))
      if (!isElsewhere) throw error
      return this.read(offset, length, waiter)
    })
    return abortable(read, waiter?.signal)
  }

  /** Cuts the file, or extends it by a hole. */
  async truncate(size: Bytes, signal?: AbortSignal): Promise<void> {
    this.#checkSize(size)
    const empty = async (): Promise<void> => {
      await this.#dropUploads()
      this.#contents.base = undefined
    }
    await this.#change({ start: size, end: Infinity }, () => this.#buffer.truncate(size), {
      signal,
      ...(size === 0 && { prepare: empty }),
    })
  }

  /** Makes a hole of a range; the file grows to its end if it may. */
  async zero(
    { start, end, grow = false }: { start: Bytes; end: Bytes; grow?: boolean },
    signal?: AbortSignal,
  ): Promise<void> {
    if (grow) this.#checkSize(end)
    await this.#change({ start, end }, () => this.#buffer.zero(start, end, grow), { signal })
  }

  /** Makes the file at least this long. */
  async extend(size: Bytes, signal?: AbortSignal): Promise<void> {
    if (size > this.size) await this.zero({ start: size, end: size, grow: true }, signal)
  }

  /**
   * Makes bytes from `offset` the same as a range of another file's version, or of this file's own; no
   * byte moves before the flush.
   *
   * @param isCurrent asked at the last moment; if it is not so nothing happens
   * @returns whether it was so
   */
  async copyFrom(
    source: { readonly object: ObjectId; readonly from: Bytes; readonly length: Bytes },
    offset: Bytes,
    { isCurrent, signal }: { isCurrent: () => boolean; signal?: AbortSignal },
  ): Promise<boolean> {
    const { object, from, length } = source
    const end = offset + length
    this.#checkSize(end)
    let done = false
    await this.#change(
      { start: offset, end },
      () => {
        done = isCurrent()
        if (!done) return false
        const isOwn = object.path === this.path && object.etag === this.#contents.base?.etag
        const origin: Source = isOwn ? 'base' : object
        this.#buffer.copy({ start: offset, end, source: origin, from })
        return true
      },
      { signal },
    )
    return done
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
    this.#contents.base = base
    this.#buffer.reset(base.size)
  }

  /** The version that clean bytes come from was moved, dirty or not; a copy may have another etag. */
  moved(base: ObjectId): void {
    if (this.#contents.base === undefined) return
    if (this.#contents.base.size !== base.size)
      throw new Error(`${base.path} changed while it was moved`)
    this.#contents.base = base
  }

  /**
   * Moves all that memory holds to the staging file, except what is being sent.
   *
   * @throws ErrnoError ENOSPC when that is full; what was moved by then stays moved
   */
  spill(): Promise<void> {
    return this.#mutex.run(async () => {
      const { budget } = this.#owner
      for (const range of this.#buffer.dirtyRanges) {
        for (let start = range.start; start < range.end; start += SPILL) {
          const end = Math.min(start + SPILL, range.end)
          const data = this.#buffer.pieces(start, end).flatMap(resident)
          await this.#staging?.write(start, data)
          budget.release(this.#buffer.stage(start, end))
        }
      }
    })
  }

  /**
   * Forgets everything that is not in the store, and aborts what is on its way there.
   *
   * @returns undefined if that is done: nothing was on its way, and nobody is in
   */
  discard(): Promise<void> | undefined {
    this.#owner.forget(this)
    if (this.#mutex.isIdle && this.#session.isIdle) return this.#forgetAll()
    return this.#mutex.run(async () => {
      await this.#dropUploads()
      await this.#forgetAll()
    })
  }

  #forgetAll(): Promise<void> | undefined {
    this.#changed = false
    return this.#forgetBytes(this.#contents.base?.size ?? 0)
  }

  #checkSize(size: Bytes): void {
    const limit = this.#owner.layout.maxSize
    if (size > limit) {
      throw new ErrnoError('EFBIG', `${this.path}: larger than ${formatBytes(limit)}`)
    }
  }

  /** Changes a range otherwise than by a write, once no part of it has left. */
  async #change(
    { start, end }: { start: Bytes; end: Bytes },
    apply: () => boolean | void,
    options: { signal?: AbortSignal | undefined; prepare?: () => Promise<void> },
  ): Promise<void> {
    const { signal, prepare } = options
    for (;;) {
      const turn = this.#mutex.run(async () => {
        signal?.throwIfAborted()
        await prepare?.()
        if (this.#buffer.isSealed(start, end)) return false
        const before = this.#buffer.held
        if (apply() !== false) this.#touch()
        this.#owner.budget.release(before - this.#buffer.held)
        return true
      })
      if (await abortable(turn, signal)) return
      await this.#unseal(start, end, signal)
    }
  }

  async #writeSlowly(offset: Bytes, data: Uint8Array, signal?: AbortSignal): Promise<number> {
    const end = offset + data.length
    for (;;) {
      await this.#unseal(offset, end, signal)
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

  /** Brings parts back that have left: from the staging file, or else by publishing the file. */
  async #unseal(start: Bytes, end: Bytes, signal?: AbortSignal): Promise<void> {
    if (!this.#buffer.isSealed(start, end)) return
    await abortable(this.#parts.settled(start, end), signal)
    const recall = this.#mutex.run(async () => this.#parts.recall(start, end))
    await abortable(recall, signal)
    if (!this.#buffer.isSealed(start, end)) return
    this.#parts.keepsAll = true
    await this.flush(signal)
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
    if (data.length === 0) return 0
    this.#touch()
    // While nobody knows what the store has made of the parts that it has, no more of them leave.
    const maySend = this.#unanswered.isEmpty && this.#store.isLinked()
    if (maySend) this.#parts.send(offset, offset + data.length)
    return data.length
  }

  #touch(): void {
    this.#changed = true
    this.#changes += 1
  }

  #failed(error: unknown): void {
    this.#failures += 1
    this.#error = error
  }

  async #flushLocked(): Promise<void> {
    if (!this.#changed) return
    try {
      await this.#bring()
    } catch (error) {
      this.#failed(error)
      throw error
    }
    this.#error = undefined
  }

  async #bring(): Promise<void> {
    if (!this.#store.isLinked()) throw new ErrnoError('ESTALE', `${this.path} was unlinked`)
    // What has left or failed in the background; what failed is tried again now.
    if (this.#session.sent.size > 0) await Promise.all(this.uploadsUnderWay)
    await this.#owner.settleGuarded(this.path)
    this.#attempted = true
    if (this.#contents.misplaced !== undefined) await this.#putInPlace(this.#contents.misplaced)
    await this.#lookForAnswer()
    const version = await this.#bringAll()
    this.#unanswered.clear()
    this.#changed = false
    this.#store.published(version)
  }

  /** The version that is what the file is: a new one, unless there is one. */
  async #bringAll(): Promise<ObjectId> {
    const { base } = this.#contents
    if (base !== undefined && this.#isAll(base)) return base
    try {
      return await this.#publish()
    } catch (error) {
      if (!isReplaced(error) || !(await this.#findOut())) throw error
      return this.#bringAll()
    }
  }

  /** Whether a version is missed because of what was not answered, and the file goes on from that now. */
  async #isOurEcho(error: unknown): Promise<boolean> {
    if (!isReplaced(error) || this.#unanswered.isEmpty) return false
    return this.#owner.guard(() => this.#mutex.run(() => this.#findOut()))
  }

  /** As `#lookForAnswer`, for callers who have an error to tell of already. */
  #findOut(): Promise<boolean> {
    return this.#lookForAnswer().catch(() => false)
  }

  /**
   * An answer was lost, and the file may have changed since. If what lies under its name is what was sent
   * then, this file goes on from there, as it would have with the answer.
   *
   * @returns whether it does
   */
  async #lookForAnswer(): Promise<boolean> {
    if (this.#unanswered.isEmpty) return false
    const version = await this.#store.stat()
    const attempt = version && this.#unanswered.get(version.etag)
    if (version === undefined || attempt?.size !== version.size) return false
    const origins = rebased(originsOf(this.#buffer.pieces(0, this.#buffer.size)), attempt)
    if (origins === undefined) return false
    await this.#session.callOff(async () => {
      this.#contents.base = version
      if (attempt.changes === this.#changes) await this.#forgetBytes(version.size)
      else this.#adopt(origins)
    })
    this.#unanswered.clear()
    this.#store.published(version)
    return true
  }

  /** The base has all parts that have left, as none has left since; and the origins. */
  #adopt(origins: readonly Origin[]): void {
    const { held } = this.#buffer
    this.#buffer.adopt(origins)
    this.#owner.budget.release(held - this.#buffer.held)
  }

  /** Whether the file is what that version is. */
  #isAll({ size }: ObjectId): boolean {
    return size === this.#buffer.size && this.#buffer.isClean(0, size)
  }

  async #publish(): Promise<ObjectId> {
    const { size } = this.#buffer
    const attempt = {
      size,
      changes: this.#changes,
      origins: originsOf(this.#buffer.pieces(0, size)),
    }
    try {
      return await this.#publishWith()
    } catch (error) {
      const attempted = error instanceof DriverError ? error.attempted : undefined
      if (attempted !== undefined) this.#unanswered.note(attempted, attempt)
      throw error
    }
  }

  async #publishWith(): Promise<ObjectId> {
    const version = await publish({
      size: this.#buffer.size,
      path: this.path,
      base: this.#contents.base,
      store: this.#store,
      session: this.#session,
      owner: this.#owner,
      pieces: (start, end) => this.#buffer.pieces(start, end),
      assemble: pieces => this.#contents.assemble(pieces),
      objectOf: source => this.#contents.objectOf(source),
    })
    this.#checkStored(version, this.#buffer.size)
    // A directory above was renamed after the composition had been begun.
    const isMisplaced = version.path !== this.path
    // All at once: whoever reads meanwhile finds every byte in the version or, if that is misplaced, waits.
    const forgotten = this.#forgetBytes(version.size)
    this.#contents.base = version
    if (isMisplaced) this.#contents.misplaced = version
    await forgotten
    return isMisplaced ? this.#putInPlace(version) : version
  }

  /** The file lies in the store under a name that is no longer its own. If this fails it is retried. */
  async #putInPlace(misplaced: ObjectId): Promise<ObjectId> {
    this.#contents.misplaced = misplaced
    const { etag, size } = await this.#store.moveHere(misplaced.path)
    this.#checkStored({ size }, misplaced.size)
    this.#contents.misplaced = undefined
    this.#contents.base = { path: this.path, etag, size }
    return this.#contents.base
  }

  #checkStored({ size }: { size: Bytes }, expected: Bytes): void {
    if (size === expected) return
    const message = `${this.path}: the store reports ${size} bytes instead of ${expected}`
    throw new ErrnoError('EIO', message)
  }

  /** Calls off all uploads and gives up what was uploaded, and all that was written. */
  async #dropUploads(): Promise<void> {
    await this.#session.callOff(async () => this.#forgetBytes(0))
  }

  /** @returns undefined if there is nothing to wait for */
  #forgetBytes(size: Bytes): Promise<void> | undefined {
    const { held } = this.#buffer
    this.#buffer.reset(size)
    this.#owner.budget.release(held)
    return this.#staging?.clear()
  }
}

/** The version, or the upload, that was asked for is not there, or another one is. */
function isReplaced(error: unknown): boolean {
  if (error instanceof ErrnoError) return error.code === 'ESTALE' || error.code === 'EEXIST'
  return error instanceof PreconditionError || error instanceof NotFoundError
}
