/**
 * Keeps the attributes of inodes in step with what the store keeps of them.
 *
 * Model: `inode.overrides` is what stat(2) shows. With `derived` attributes it lives as long as the
 * inode, and the store is asked for nothing. With `stored` attributes it comes from the metadata of
 * the object (of a directory: of its marker), and what is changed here goes back: along with the
 * next put, completion or rename of the file if there is one; otherwise by a copy of the object onto
 * itself, at close or fsync, or after a short delay.
 *
 * What is known of an inode is in kept-attributes.ts; attribute-questions.ts asks for what is not.
 *
 * A directory needs its marker only for attributes that are not the usual ones, and a time of change
 * only after one was set: chains of directories still cost nothing.
 *
 * Locks: the tree (shared), then the inode's own here, then the file's or the marker's mutex.
 */
import type { Composition, FileInfo } from '../../driver/driver.js'
import {
  DriverError,
  PathNotFoundError,
  PreconditionError,
  UnsupportedError,
} from '../../driver/errors.js'
import { Mutex } from '../../util/lock.js'
import type { Milliseconds } from '../../util/units.js'
import type { RequestContext } from '../operations.js'
import type { AskFile, AttributeKeeping, ListedInfo, Saving } from './attribute-keeping.js'
import { AttributeQuestions } from './attribute-questions.js'
import type { Core } from './core.js'
import { follow } from './file-version.js'
import type { DirectoryInode, FileInode, Inode } from './inode.js'
import { changesType, isUnsaved, learn, metadataOf, published } from './kept-attributes.js'
import { hasTime, withoutTime } from './stored-attributes.js'
import { Attempt, saveAll, Silence } from './unsaved.js'

export class AttributeStore implements AttributeKeeping {
  readonly isStored: boolean
  /** Entries of a listing that are asked about with the one that is to be shown. */
  readonly ahead = 64
  readonly #core: Core
  readonly #pending = new Set<Inode>()
  readonly #locks = new WeakMap<Inode, Mutex>()
  readonly #questions: AttributeQuestions
  #callOff: (() => void) | undefined
  /** Under way because it was time. */
  #late: Attempt | undefined
  #isClosed = false
  #isTold = false

  constructor(core: Core) {
    this.#core = core
    this.#questions = new AttributeQuestions(core)
    this.isStored = core.config.attributes === 'stored'
  }

  /** Inodes whose attributes the store lacks and nothing else will bring there. */
  get pending(): number {
    return this.#pending.size
  }

  changesType(inode: FileInode, info: FileInfo): boolean {
    return changesType(inode, info, this.isStored)
  }

  learn(inode: Inode, info: FileInfo, seen: Milliseconds): void {
    learn(inode, info, { seen, isStored: this.isStored })
  }

  need(context: RequestContext, inode: Inode, ask: AskFile): Promise<void> | undefined {
    return this.isStored ? this.#questions.need(context, inode, ask) : undefined
  }

  isUnknown(directory: DirectoryInode, entry: ListedInfo): boolean {
    return this.isStored && this.#questions.isUnknown(directory, entry)
  }

  async prepare(
    context: RequestContext,
    directory: DirectoryInode,
    entries: readonly ListedInfo[],
  ): Promise<void> {
    if (this.isStored) await this.#questions.prepare(context, directory, entries)
  }

  published(file: FileInode, info: FileInfo): FileInfo {
    return published(file, info)
  }

  /** Somebody else has put another version in place of the one that is known. */
  replaced(file: FileInode): void {
    file.kept.metadata = undefined
  }

  /** The composition, completed with the attributes that the file has by then. */
  carriedBy(composition: Composition, file: FileInode): Composition {
    const { path, uploadId } = composition
    return {
      path,
      uploadId,
      uploadPart: (...request) => composition.uploadPart(...request),
      copyPart: (...request) => composition.copyPart(...request),
      abort: options => composition.abort(options),
      complete: async (parts, options) => {
        const { metadata, done } = this.saving(file)
        const result = await composition.complete(parts, {
          ...options,
          ...(metadata && { metadata }),
        })
        done()
        return result
      },
    }
  }

  /** The inode was made here: there is nothing to be asked for. */
  made(inode: Inode): void {
    inode.kept.metadata = {}
    inode.kept.isKnown = true
    inode.kept.seen = this.#core.metadata.now()
  }

  /** Attributes were changed here, and are to be stored. */
  changed(inode: Inode): void {
    if (!this.isStored || inode.parent === undefined) return
    inode.kept.changes += 1
    this.#pending.add(inode)
    this.#schedule()
  }

  /** A name was added to or removed from a directory: a time of change that was set is over. */
  touched(directory: DirectoryInode): void {
    const { metadata } = directory.kept
    if (this.isStored && metadata !== undefined && hasTime(metadata)) this.changed(directory)
  }

  /** What is to be sent with whatever stores the inode now. */
  saving(inode: Inode, { special = false }: { special?: boolean } = {}): Saving {
    const { kept } = inode
    if (!this.isStored && !special) {
      const { metadata } = kept
      const isWorth = metadata !== undefined && Object.keys(metadata).length > 0
      return { ...(isWorth && { metadata: withoutTime(metadata) }), done: () => undefined }
    }
    const { changes } = kept
    const metadata = metadataOf(inode, this.#core.config)
    const done = (): void => {
      kept.saved = Math.max(kept.saved, changes)
      kept.metadata = metadata
      kept.isKnown = true
      kept.seen = this.#core.metadata.now()
      if (kept.saved >= kept.changes) this.#pending.delete(inode)
    }
    return { metadata, done }
  }

  isUnsaved(inode: Inode): boolean {
    return this.isStored && isUnsaved(inode) && this.#pending.has(inode)
  }

  /** The store has what was changed of the inode. */
  async flush(inode: Inode): Promise<void> {
    if (!this.isUnsaved(inode)) return
    if (inode.kind === 'file') await this.#flushFile(inode)
    else await this.#flushDirectory(inode)
    this.#core.inodes.drop(inode)
  }

  /** As `flush`, of all but what is stored with something else. @throws UnsavedError */
  async flushAll(silence = new Silence()): Promise<void> {
    await this.#late?.join(silence)
    // What is dirty goes with its bytes, a directory that was just made with its marker.
    await this.#flushThose(
      inode => (inode.kind === 'directory' ? inode.presence === 'stored' : !isDirty(inode)),
      silence,
    )
  }

  async #flushThose(isMeant: (inode: Inode) => boolean, silence: Silence): Promise<void> {
    this.#callOff?.()
    this.#callOff = undefined
    for (const inode of this.#pending) if (inode.parent === undefined) this.#pending.delete(inode)
    const ready = [...this.#pending].filter(isMeant)
    try {
      await saveAll([ready], inode => this.flush(inode), nameOf(this.#core), silence)
    } finally {
      if (this.#pending.size > 0) this.#schedule()
    }
  }

  /** Nothing is stored any more unless asked for. */
  stop(): void {
    this.#isClosed = true
    this.#callOff?.()
  }

  /** Stores what is left, and drops the rest. @throws UnsavedError */
  async close(silence = new Silence()): Promise<void> {
    this.stop()
    try {
      await this.#flushThose(inode => !isDirty(inode), silence)
    } finally {
      for (const inode of this.#pending) inode.kept.saved = inode.kept.changes
      this.#pending.clear()
    }
  }

  /** Does what must not overlap with the storing of attributes: it would bring a removed file back. */
  alone<T>(inode: Inode | undefined, work: () => Promise<T>): Promise<T> {
    if (!this.isStored || inode === undefined) return work()
    const lock = this.#locks.get(inode) ?? new Mutex()
    this.#locks.set(inode, lock)
    return lock.run(work)
  }

  #flushFile(file: FileInode): Promise<void> {
    const { tree } = this.#core
    return tree.shared(() =>
      this.alone(file, async () => {
        const save = (): Promise<void> => this.#saveFile(file)
        await (file.dirty?.alone(save) ?? save())
      }),
    )
  }

  /** For callers that hold the tree and the file. */
  async #saveFile(file: FileInode): Promise<void> {
    const { driver, inodes, metadata } = this.#core
    const { version } = file
    // Dirty or never stored: the attributes go with the bytes.
    if (!isUnsaved(file) || file.dirty?.isDirty === true || version === undefined) return
    if (!inodes.isLinked(file)) {
      this.#pending.delete(file)
      return
    }
    const path = inodes.path(file)
    const saving = this.saving(file)
    if (saving.metadata === undefined) return
    try {
      const options = { ifMatch: version.etag, known: version }
      const { etag, size } = await driver.setMetadata(path, saving.metadata, options)
      saving.done()
      const modTime = new Date(this.#core.clock())
      const info = this.published(file, { ...version, path, etag, size, modTime })
      follow(this.#core, file, info)
      if (file.parent !== undefined) metadata.changed(inodes.path(file.parent), file.name, info)
    } catch (error) {
      if (!(error instanceof PreconditionError || error instanceof PathNotFoundError)) throw error
      // Somebody else's file has taken its place, with attributes of its own.
      file.kept.saved = file.kept.changes
      file.kept.metadata = undefined
      file.kept.isKnown = false
      this.#pending.delete(file)
      throw error
    }
  }

  async #flushDirectory(directory: DirectoryInode): Promise<void> {
    const { markers, tree } = this.#core
    // Writes a marker, attributes and all, if nothing shows the directory yet.
    await markers.flush(directory)
    await tree.shared(() => markers.alone(directory, () => this.#saveDirectory(directory)))
  }

  async #saveDirectory(directory: DirectoryInode): Promise<void> {
    const { driver, inodes } = this.#core
    if (!isUnsaved(directory)) return
    if (!inodes.isLinked(directory) || directory.parent === undefined) {
      this.#pending.delete(directory)
      return
    }
    const saving = this.saving(directory)
    if (saving.metadata === undefined) return
    const { changes } = directory.kept
    try {
      await driver.makeDirectory(inodes.path(directory), { metadata: saving.metadata })
      directory.hasMarker = true
      saving.done()
    } catch (error) {
      if (!(error instanceof UnsupportedError)) throw error
      this.#keepHere(directory, changes, error)
    }
  }

  /** The store cannot take the changes: they hold as long as the inode, as derived attributes do. */
  #keepHere(directory: DirectoryInode, changes: number, error: UnsupportedError): void {
    const { kept } = directory
    kept.saved = Math.max(kept.saved, changes)
    if (!isUnsaved(directory)) this.#pending.delete(directory)
    if (this.#isTold) return
    this.#isTold = true
    const { requestId } = error
    const message =
      'the store keeps no changed attributes of directories: they hold while one is known'
    this.#core.log.warn({ err: error, requestId }, message)
  }

  #schedule(): void {
    if (this.#isClosed) return
    const { config, later } = this.#core
    this.#callOff ??= later(config.markerDelay, () => {
      this.#callOff = undefined
      const flush = (silence: Silence): Promise<void> =>
        this.#flushThose(inode => !isDirty(inode), silence)
      this.#late = new Attempt(flush, (error: unknown) => {
        const request = error instanceof DriverError ? { requestId: error.requestId } : {}
        this.#core.log.warn({ err: error, ...request }, 'cannot store attributes yet')
      })
      void this.#late.done.finally(() => (this.#late = undefined))
    })
  }
}

function isDirty(inode: Inode): boolean {
  return inode.kind === 'file' && inode.dirty?.isDirty === true
}

function nameOf({ inodes }: Core): (inode: Inode) => string {
  return inode => `${inodes.path(inode)}${inode.kind === 'directory' ? '/' : ''} (attributes)`
}
