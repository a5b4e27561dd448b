/**
 * One file under write, from the first write to its last flush.
 *
 * What it holds and how it is cut into parts is told in write-back.ts, which owns all of them; where
 * each byte is, in write-buffer.ts and file-contents.ts, and what that takes, in held-bytes.ts; what a change
 * waits for, in edits.ts; which parts leave early, in sealed-parts.ts; how it is brought to the store, in
 * storing.ts and publication.ts.
 *
 * The mutex keeps flushes, cuts, copies and waiting writes apart. A write that needs no waiting takes
 * effect at once while nobody is in.
 */
import { abortable } from '../util/abort.js'
import { Mutex } from '../util/lock.js'
import { MiB } from '../util/units.js'
import type { Bytes } from '../util/units.js'
import type { DirtyFileOwner } from './dirty-file-owner.js'
import { Edits } from './edits.js'
import type { Waiter } from './edits.js'
import { FileContents } from './file-contents.js'
import type { FileStore } from './file-store.js'
import { HeldBytes } from './held-bytes.js'
import type { ObjectId } from './object-id.js'
import type { Source } from './origins.js'
import { isResident, resident } from './pieces.js'
import { SealedParts } from './sealed-parts.js'
import { Storing } from './storing.js'
import type { StagingFile } from './staging.js'
import { UploadSession } from './upload-session.js'
import { WriteBuffer } from './write-buffer.js'

/** Somebody who is told of each failure once, such as an open file descriptor. */
export interface Observer {
  /** `DirtyFile.failures` when it was last told. */
  seen: number
}

/** Bytes handed to the staging file at a time. */
const SPILL: Bytes = MiB

/** One file under write. */
export class DirtyFile {
  readonly #owner: DirtyFileOwner
  readonly #number: number
  readonly #store: FileStore
  readonly #buffer: WriteBuffer
  readonly #mutex = new Mutex()
  readonly #session: UploadSession
  readonly #staging: StagingFile | undefined
  readonly #contents: FileContents
  readonly #parts: SealedParts
  readonly #bytes: HeldBytes
  readonly #storing: Storing
  readonly #edits: Edits
  #error: unknown
  #failures = 0

  /** @param number  by which the owner knows it */
  constructor(
    owner: DirtyFileOwner,
    number: number,
    { store, base }: { readonly store: FileStore; readonly base: ObjectId | undefined },
  ) {
    this.#owner = owner
    this.#number = number
    this.#store = store
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
    this.#bytes = new HeldBytes({
      buffer: this.#buffer,
      staging: this.#staging,
      budget: owner.budget,
      isNew: base === undefined,
    })
    this.#storing = new Storing({
      owner,
      store,
      bytes: this.#bytes,
      contents: this.#contents,
      session: this.#session,
    })
    this.#edits = new Edits({
      path: () => store.path(),
      maxSize: owner.layout.maxSize,
      budget: owner.budget,
      patience: owner.patience,
      mutex: this.#mutex,
      bytes: this.#bytes,
      parts: this.#parts,
      // While nobody knows what the store has made of the parts that it has, no more of them leave.
      maySend: () => !this.#storing.isDoubtful && store.isLinked(),
      flush: signal => this.flush(signal),
    })
  }

  get size(): Bytes {
    return this.#buffer.size
  }

  /** The store lacks something: bytes, or the file itself. */
  get isDirty(): boolean {
    return this.#bytes.isDirty
  }

  /** Nothing of this file has been sent to the store yet, so nothing of it can be there. */
  get isUnsent(): boolean {
    return (
      this.#contents.base === undefined &&
      this.#session.sent.size === 0 &&
      !this.#storing.isAttempted
    )
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
    return this.#edits.write(offset, data, waiter)
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
    this.#edits.checkSize(size)
    const empty = async (): Promise<void> => {
      await this.#dropUploads()
      this.#contents.base = undefined
    }
    await this.#edits.change({ start: size, end: Infinity }, () => this.#buffer.truncate(size), {
      signal,
      ...(size === 0 && { prepare: empty }),
    })
  }

  /** Makes a hole of a range; the file grows to its end if it may. */
  async zero(
    { start, end, grow = false }: { start: Bytes; end: Bytes; grow?: boolean },
    signal?: AbortSignal,
  ): Promise<void> {
    if (grow) this.#edits.checkSize(end)
    await this.#edits.change({ start, end }, () => this.#buffer.zero(start, end, grow), { signal })
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
    this.#edits.checkSize(end)
    let done = false
    await this.#edits.change(
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
    if (this.#bytes.isDirty) throw new Error('cannot rebase a dirty file')
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
    this.#owner.forget(this.#number)
    if (this.#mutex.isIdle && this.#session.isIdle) return this.#forgetAll()
    return this.#mutex.run(async () => {
      await this.#dropUploads()
      await this.#forgetAll()
    })
  }

  #forgetAll(): Promise<void> | undefined {
    this.#bytes.settle()
    return this.#bytes.forget(this.#contents.base?.size ?? 0)
  }

  #failed(error: unknown): void {
    this.#failures += 1
    this.#error = error
  }

  async #flushLocked(): Promise<void> {
    if (!this.#bytes.isDirty) return
    try {
      await this.#storing.bring()
    } catch (error) {
      this.#failed(error)
      throw error
    }
    this.#error = undefined
  }

  /** Whether a version is missed because of what was not answered, and the file goes on from that now. */
  async #isOurEcho(error: unknown): Promise<boolean> {
    if (!this.#storing.mayBeEcho(error)) return false
    return this.#owner.guard(() => this.#mutex.run(() => this.#storing.findOut()))
  }

  /** Calls off all uploads and gives up what was uploaded, and all that was written. */
  async #dropUploads(): Promise<void> {
    await this.#session.callOff(async () => this.#bytes.forget(0))
  }
}
