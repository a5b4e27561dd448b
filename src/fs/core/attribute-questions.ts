/**
 * Asks the store for attributes that have to be shown and are not known: of one inode, and ahead of a
 * reader of a directory. A directory is asked about again after `DIRECTORY_TRUST`.
 */
import type { FileInfo } from '../../driver/driver.js'
import { PathNotFoundError } from '../../driver/errors.js'
import { baseName } from '../../driver/path.js'
import { abortable } from '../../util/abort.js'
import { forEachParallel } from '../../util/semaphore.js'
import type { Milliseconds } from '../../util/units.js'
import type { RequestContext } from '../operations.js'
import type { AskFile, ListedInfo } from './attribute-keeping.js'
import type { Core } from './core.js'
import type { DirectoryInode, Inode } from './inode.js'
import { isSameVersion, isUnsaved, learn, versionOf } from './kept-attributes.js'

/** Attributes of directories change seldom; with a time-to-live of 0 nothing is believed. */
const DIRECTORY_TRUST: Milliseconds = 30_000
/** Requests for attributes under way at once. */
const PARALLELISM = 16

/** Of a mount that stores attributes. */
export class AttributeQuestions {
  readonly #core: Core
  readonly #asked = new Map<DirectoryInode, Promise<void>>()

  constructor(core: Core) {
    this.#core = core
  }

  /**
   * Makes sure that the attributes of an inode are known; nothing to wait for if they are.
   *
   * @param ask  asks the store about a file
   */
  need(context: RequestContext, inode: Inode, ask: AskFile): Promise<void> | undefined {
    if (inode.parent === undefined || isUnsaved(inode)) return undefined
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

  /** Whether an entry must be asked about before it can be shown with its attributes. */
  isUnknown(directory: DirectoryInode, entry: ListedInfo): boolean {
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
    learn(directory, info, { seen: began, isStored: true })
    const { parent, name } = directory
    if (parent !== undefined) metadata.put(inodes.path(parent), name, info, began)
    if (info.modTime !== undefined) directory.modified ??= info.modTime.getTime()
  }
}
