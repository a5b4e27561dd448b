/**
 * Brings one file under write to the store, under its name: the version that it has there is what the file
 * is afterwards. publication.ts makes a version; here is what can come between: a directory above that
 * was renamed meanwhile, and answers that were lost.
 *
 * When an answer was lost the file may have changed since. If what lies under its name is what was sent
 * then, the file goes on from there, as it would have with the answer (lost-answers.ts).
 *
 * For callers that hold the file's mutex.
 */
import { DriverError, NotFoundError, PreconditionError } from '../driver/errors.js'
import { ErrnoError } from '../util/errno.js'
import type { Bytes } from '../util/units.js'
import type { FileContents } from './file-contents.js'
import type { FileStore } from './file-store.js'
import type { HeldBytes } from './held-bytes.js'
import { LostAnswers, originsOf, rebased } from './lost-answers.js'
import type { ObjectId } from './object-id.js'
import { publish } from './publication.js'
import type { Publication } from './publication.js'
import type { UploadSession } from './upload-session.js'

export interface StoringOptions {
  readonly owner: Publication['owner'] & {
    /** Stores all files that have copied from the object at `path`, which is about to change. */
    settleGuarded(path: string): Promise<void>
  }
  readonly store: FileStore
  readonly bytes: HeldBytes
  readonly contents: FileContents
  readonly session: UploadSession
}

export class Storing {
  readonly #options: StoringOptions
  /** Flushes that may have succeeded, by the etags of what they have made if they have. */
  readonly #unanswered = new LostAnswers()
  #attempted = false

  constructor(options: StoringOptions) {
    this.#options = options
  }

  /** It was tried: if it failed without an answer, it may have succeeded all the same. */
  get isAttempted(): boolean {
    return this.#attempted
  }

  /** Nobody knows what the store has made of what was sent. */
  get isDoubtful(): boolean {
    return !this.#unanswered.isEmpty
  }

  /** @throws ErrnoError ESTALE of a file that was unlinked; whatever the store throws. It can be tried again */
  async bring(): Promise<void> {
    const { owner, store, bytes, contents, session } = this.#options
    if (!store.isLinked()) throw new ErrnoError('ESTALE', `${store.path()} was unlinked`)
    // What has left or failed in the background; what failed is tried again now.
    if (session.sent.size > 0) await Promise.all(session.underWay)
    await owner.settleGuarded(store.path())
    this.#attempted = true
    if (contents.misplaced !== undefined) await this.#putInPlace(contents.misplaced)
    await this.#lookForAnswer()
    const version = await this.#bringAll()
    this.#unanswered.clear()
    bytes.settle()
    store.published(version)
  }

  /** Whether a version may be missed because of what was not answered. */
  mayBeEcho(error: unknown): boolean {
    return this.isDoubtful && isReplaced(error)
  }

  /** Whether the file goes on from what was not answered now; for callers who have an error to tell of already. */
  findOut(): Promise<boolean> {
    return this.#lookForAnswer().catch(() => false)
  }

  /** The version that is what the file is: a new one, unless there is one. */
  async #bringAll(): Promise<ObjectId> {
    const { bytes, contents } = this.#options
    const { base } = contents
    if (base !== undefined && bytes.isAll(base)) return base
    try {
      return await this.#publish()
    } catch (error) {
      if (!isReplaced(error) || !(await this.findOut())) throw error
      return this.#bringAll()
    }
  }

  /** @returns whether the file goes on from a version whose answer was lost */
  async #lookForAnswer(): Promise<boolean> {
    if (this.#unanswered.isEmpty) return false
    const { store, bytes, contents, session } = this.#options
    const { buffer } = bytes
    const version = await store.stat()
    const attempt = version && this.#unanswered.get(version.etag)
    if (version === undefined || attempt?.size !== version.size) return false
    const origins = rebased(originsOf(buffer.pieces(0, buffer.size)), attempt)
    if (origins === undefined) return false
    await session.callOff(async () => {
      contents.base = version
      if (attempt.changes === bytes.changes) await bytes.forget(version.size)
      else bytes.adopt(origins)
    })
    this.#unanswered.clear()
    store.published(version)
    return true
  }

  async #publish(): Promise<ObjectId> {
    const { buffer, changes } = this.#options.bytes
    const { size } = buffer
    const attempt = { size, changes, origins: originsOf(buffer.pieces(0, size)) }
    try {
      return await this.#publishWith()
    } catch (error) {
      const attempted = error instanceof DriverError ? error.attempted : undefined
      if (attempted !== undefined) this.#unanswered.note(attempted, attempt)
      throw error
    }
  }

  async #publishWith(): Promise<ObjectId> {
    const { owner, store, bytes, contents, session } = this.#options
    const { buffer } = bytes
    const version = await publish({
      size: buffer.size,
      path: store.path(),
      base: contents.base,
      store,
      session,
      owner,
      pieces: (start, end) => buffer.pieces(start, end),
      assemble: (pieces, page) => contents.assemble(pieces, page),
      objectOf: source => contents.objectOf(source),
    })
    this.#check(version, buffer.size)
    // A directory above was renamed after the composition had been begun.
    const isMisplaced = version.path !== store.path()
    // All at once: whoever reads meanwhile finds every byte in the version or, if that is misplaced, waits.
    const forgotten = bytes.forget(version.size)
    contents.base = version
    if (isMisplaced) contents.misplaced = version
    await forgotten
    return isMisplaced ? this.#putInPlace(version) : version
  }

  /** The file lies in the store under a name that is no longer its own. If this fails it is retried. */
  async #putInPlace(misplaced: ObjectId): Promise<ObjectId> {
    const { store, contents } = this.#options
    contents.misplaced = misplaced
    const { etag, size } = await store.moveHere(misplaced.path)
    this.#check({ size }, misplaced.size)
    contents.misplaced = undefined
    contents.base = { path: store.path(), etag, size }
    return contents.base
  }

  #check({ size }: { size: Bytes }, expected: Bytes): void {
    if (size === expected) return
    const path = this.#options.store.path()
    throw new ErrnoError('EIO', `${path}: the store reports ${size} bytes instead of ${expected}`)
  }
}

/** The version, or the upload, that was asked for is not there, or another one is. */
function isReplaced(error: unknown): boolean {
  if (error instanceof ErrnoError) return error.code === 'ESTALE' || error.code === 'EEXIST'
  return error instanceof PreconditionError || error instanceof NotFoundError
}
