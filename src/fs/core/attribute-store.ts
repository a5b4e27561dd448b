/**
 * Keeps the attributes of inodes in step with what the store keeps of them.
 *
 * Model: `inode.overrides` is what stat(2) shows. With `derived` attributes it lives as long as the
 * inode, and the store is asked for nothing. With `stored` attributes it comes from the metadata of
 * the object (of a directory: of its marker), and what is changed here goes back: along with the
 * next put, completion or rename of the file if there is one; otherwise by a copy of the object onto
 * itself, at close or fsync, or after a short delay.
 *
 * Metadata comes with every answer about a file, and with listings where the service tells it. What is
 * known belongs to one version at one time (etag and Last-Modified), so that a listing is enough to
 * know that it is still right. A directory is asked about again after `DIRECTORY_TRUST`.
 *
 * A directory needs its marker only for attributes that are not the usual ones, and a time of change
 * only after one was set: chains of directories still cost nothing.
 *
 * Locks: the tree (shared), then the inode's own here, then the file's or the marker's mutex.
 */
import type { Composition, FileInfo, Metadata } from '../../driver/driver.js'
import { DriverError, PathNotFoundError, PreconditionError } from '../../driver/errors.js'
import { baseName } from '../../driver/path.js'
import { abortable } from '../../util/abort.js'
import { Mutex } from '../../util/lock.js'
import { forEachParallel } from '../../util/semaphore.js'
import type { Milliseconds } from '../../util/units.js'
import type { RequestContext } from '../operations.js'
import { attributesOf, PERMISSIONS, typeOf } from './attributes.js'
import type { AskFile, AttributeKeeping, ListedInfo, Saving } from './attribute-keeping.js'
import type { Core } from './core.js'
import { follow } from './file-version.js'
import type { DirectoryInode, FileInode, Inode } from './inode.js'
import {
  decodeAttributes,
  encodeAttributes,
  hasTime,
  typeIn,
  withoutTime,
} from './stored-attributes.js'

/** Attributes of directories change seldom; with a time-to-live of 0 nothing is believed. */
const DIRECTORY_TRUST: Milliseconds = 30_000
/** A version stored here has our time until the store's is seen: they differ by this much at most. */
const CLOCK_DOUBT: Milliseconds = 2000
/** Requests for attributes under way at once. */
const PARALLELISM = 16

export class AttributeStore implements AttributeKeeping {
  readonly isStored: boolean
  /** Entries of a listing that are asked about with the one that is to be shown. */
  readonly ahead = 64
  readonly #core: Core
  readonly #pending = new Set<Inode>()
  readonly #locks = new WeakMap<Inode, Mutex>()
  readonly #asked = new Map<DirectoryInode, Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(core: Core) {
    this.#core = core
    this.isStored = core.config.attributes === 'stored'
  }

  /** Inodes whose attributes the store lacks and nothing else will bring there. */
  get pending(): number {
    return this.#pending.size
  }

  /** Whether the store shows another kind of file than the kernel knows under this inode. */
  changesType(inode: FileInode, info: FileInfo): boolean {
    const { metadata, isKnown } = inode.kept
    const isShown = this.isStored ? metadata !== undefined || isKnown : inode.lookups > 0
    return isShown && info.metadata !== undefined && typeIn(info.metadata) !== typeOf(inode)
  }

  /** Takes in what an answer or a listing that began at `seen` has told. */
  learn(inode: Inode, info: FileInfo, seen: Milliseconds): void {
    const { kept } = inode
    const version = versionOf(info)
    if (info.metadata === undefined) {
      if (inode.kind === 'directory' || seen <= kept.seen) return
      if (kept.version === undefined || isSameVersion(kept.version, version)) {
        kept.version = version
      } else {
        kept.metadata = undefined
      }
      return
    }
    if (seen < kept.seen) return
    kept.seen = seen
    // What was published here keeps its doubt until the store has told the time.
    if (kept.version?.time !== version?.time || kept.version?.etag !== version?.etag) {
      kept.version = version
    }
    const isNews = kept.metadata === undefined || !isSame(kept.metadata, info.metadata)
    kept.metadata = info.metadata
    kept.isKnown = true
    if (isNews && !isUnsaved(inode)) this.#restore(inode, info.metadata)
  }

  /** Somebody else has put another version in place of the one that is known. */
  replaced(file: FileInode): void {
    file.kept.metadata = undefined
  }

  /** This mount has stored the version, with the attributes that were sent along. */
  published(file: FileInode, info: FileInfo): FileInfo {
    const { kept } = file
    const { etag, modTime } = info
    if (etag !== undefined && modTime !== undefined) {
      kept.version = { etag, time: modTime.getTime(), doubt: CLOCK_DOUBT }
    }
    return kept.metadata === undefined ? info : { ...info, metadata: kept.metadata }
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

  /**
   * Makes sure that the attributes of an inode are known; nothing to wait for if they are.
   *
   * @param ask  asks the store about a file
   */
  need(context: RequestContext, inode: Inode, ask: AskFile): Promise<void> | undefined {
    if (!this.isStored || inode.parent === undefined || isUnsaved(inode)) return undefined
    const { kept } = inode
    if (inode.kind === 'file') {
      if (kept.metadata !== undefined || inode.version === undefined) return undefined
      return ask(context, inode)
    }
    const { ttl, now } = this.#core.metadata
    const trust = ttl <= 0 ? 0 : Math.max(ttl, DIRECTORY_TRUST)
    if (inode.presence === 'made') return undefined
    if (kept.metadata !== undefined && now() - kept.seen < trust) return undefined
    const underWay = this.#asked.get(inode)
    if (underWay !== undefined) return abortable(underWay, context.signal)
    const asked = this.#askMarker(inode).finally(() => this.#asked.delete(inode))
    this.#asked.set(inode, asked)
    return abortable(asked, context.signal)
  }

  /** Asks, in parallel, about entries of a listing from one on whose attributes are not known. */
  async prepare(
    context: RequestContext,
    directory: DirectoryInode,
    entries: readonly ListedInfo[],
  ): Promise<void> {
    const wanted = entries.filter(entry => this.isUnknown(directory, entry))
    await forEachParallel(wanted, entry => this.#complete(context, directory, entry), {
      limit: PARALLELISM,
      signal: context.signal,
    })
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
    const metadata = this.#metadataOf(inode)
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

  /** As `flush`, of all; rejects with the first failure after having tried each. */
  async flushAll(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const failures: unknown[] = []
    const flush = async (inode: Inode): Promise<void> => {
      if (inode.parent === undefined) this.#pending.delete(inode)
      // What is dirty goes with its bytes.
      if (inode.kind === 'file' && inode.dirty?.isDirty === true) return
      await this.flush(inode).catch((error: unknown) => failures.push(error))
    }
    await forEachParallel([...this.#pending], flush, { limit: PARALLELISM })
    if (this.#pending.size > 0) this.#schedule()
    if (failures.length > 0) throw failures[0]
  }

  /** Stores what is left, and stops. */
  async close(): Promise<void> {
    this.#isClosed = true
    try {
      await this.flushAll()
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

  /** Whether an entry must be asked about before it can be shown with its attributes. */
  isUnknown(directory: DirectoryInode, entry: ListedInfo): boolean {
    if (!this.isStored) return false
    if (entry.info === undefined || entry.info.metadata !== undefined) return false
    const child = directory.children.get(baseName(entry.info.path))
    if (child?.kept.metadata === undefined) return true
    const { kept } = child
    return !entry.info.isDir && !isSameVersion(kept.version, versionOf(entry.info))
  }

  async #complete(
    context: RequestContext,
    directory: DirectoryInode,
    entry: ListedInfo,
  ): Promise<void> {
    const { driver, inodes, metadata } = this.#core
    const { info } = entry
    if (info === undefined) return
    const began = metadata.now()
    const { signal } = context
    const name = baseName(info.path)
    try {
      const told = await driver.stat(info.path, {
        expect: info.isDir ? 'marker' : 'file',
        signal,
      })
      entry.info = told
      entry.seen = began
      metadata.put(inodes.path(directory), name, told, began)
    } catch (error) {
      if (!(error instanceof PathNotFoundError)) throw error
      // A directory without a marker, or a file that went since it was listed.
      entry.info = info.isDir ? { ...info, metadata: {} } : undefined
      entry.seen = began
    }
  }

  async #askMarker(directory: DirectoryInode): Promise<void> {
    const { driver, inodes, metadata } = this.#core
    const path = inodes.path(directory)
    const began = metadata.now()
    const absent: FileInfo = { path, size: 0, isDir: true, metadata: {} }
    const info = await driver.stat(path, { expect: 'marker' }).catch((error: unknown) => {
      if (error instanceof PathNotFoundError) return absent
      throw error
    })
    this.learn(directory, info, began)
    const { parent, name } = directory
    if (parent !== undefined) metadata.put(inodes.path(parent), name, info, began)
    if (info.modTime !== undefined) directory.modified ??= info.modTime.getTime()
  }

  #restore(inode: Inode, metadata: Metadata): void {
    const { overrides } = inode
    const { mode, uid, gid, mtime, rdev, target, xattrs } = decodeAttributes(metadata)
    if (inode.kind === 'file') overrides.type = typeIn(metadata)
    overrides.target = target
    overrides.rdev = rdev
    if (!this.isStored) return
    overrides.mode = mode === undefined ? undefined : mode & PERMISSIONS
    overrides.uid = uid
    overrides.gid = gid
    overrides.mtime = mtime
    overrides.xattrs = xattrs
    overrides.ctime = undefined
  }

  #metadataOf(inode: Inode): Metadata {
    const { overrides, kept } = inode
    const { mode, uid, gid, mtime, rdev } = attributesOf(inode, this.#core.config)
    const time = inode.kind === 'file' ? mtime : overrides.mtime
    const xattrs = overrides.xattrs ?? new Map<string, Uint8Array>()
    const attributes = { mode, uid, gid, rdev, xattrs }
    const { target } = overrides
    return encodeAttributes(
      { ...attributes, ...(time && { mtime: time }), ...(target !== undefined && { target }) },
      kept.metadata,
    )
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
    await driver.makeDirectory(inodes.path(directory), { metadata: saving.metadata })
    directory.hasMarker = true
    saving.done()
  }

  #schedule(): void {
    if (this.#isClosed) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.flushAll().catch((error: unknown) => {
        const request = error instanceof DriverError ? { requestId: error.requestId } : {}
        this.#core.log.warn({ err: error, ...request }, 'cannot store attributes yet')
      })
    }, this.#core.config.markerDelay)
  }
}

function isUnsaved({ kept }: Inode): boolean {
  return kept.changes > kept.saved
}

type VersionTime = Inode['kept']['version']

function versionOf({ etag, modTime }: FileInfo): VersionTime {
  return etag === undefined ? undefined : { etag, time: modTime?.getTime() ?? 0, doubt: 0 }
}

function isSameVersion(a: VersionTime, b: VersionTime): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.etag === b.etag && Math.abs(a.time - b.time) <= Math.max(a.doubt, b.doubt)
}

function isSame(a: Metadata, b: Metadata): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every(name => a[name] === b[name])
}
