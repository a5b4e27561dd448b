/**
 * Writes directory markers, late.
 *
 * Model: mkdir makes a directory known to this mount at once; its marker object is written after a
 * delay, on fsync of the directory, syncfs and unmount. Registries make deep chains of directories
 * and a file at their end a moment later: the file's key shows all of them, and no marker is needed.
 * A directory whose last child was removed may have been shown by that child alone; it is looked at
 * after the delay, and gets its marker then if nothing is left that shows it. While removing goes on in
 * it or below (rm -r, which will come to the directory itself), that waits.
 *
 * A failed marker is logged and tried again after another delay; fsync and unmount report it.
 */
import type { MetadataCache } from '../../cache/metadata-cache.js'
import { PathNotFoundError, UnsupportedError } from '../../driver/errors.js'
import type { StorageDriver } from '../../driver/driver.js'
import type { Later } from '../../util/clock.js'
import { Mutex } from '../../util/lock.js'
import type { SharedLock } from '../../util/lock.js'
import type { Logger } from '../../util/log.js'
import type { Milliseconds } from '../../util/units.js'
import type { Saving } from './attribute-keeping.js'
import type { InodeTable } from './inode-table.js'
import type { DirectoryInode, Inode } from './inode.js'
import { Attempt, saveAll, Silence } from './unsaved.js'

export interface MarkersOptions {
  driver: StorageDriver
  inodes: InodeTable
  metadata: MetadataCache
  tree: SharedLock
  delay: Milliseconds
  later: Later
  log: Logger
  /** What the marker is to say of the directory. */
  saving?: (directory: DirectoryInode) => Saving
}

export class Markers {
  readonly #options: MarkersOptions
  /** With the number of removals when it was last looked at whether they go on. */
  readonly #pending = new Map<DirectoryInode, number>()
  readonly #locks = new WeakMap<DirectoryInode, Mutex>()
  #callOff: (() => void) | undefined
  /** Under way because it was time. */
  #late: Attempt | undefined
  #closed = false

  constructor(options: MarkersOptions) {
    this.#options = options
  }

  /** Directories that the bucket may not show yet. */
  get pending(): number {
    return this.#pending.size
  }

  /** A directory was made here. */
  made(directory: DirectoryInode): void {
    directory.presence = 'made'
    directory.hasMarker = false
    this.#schedule(directory)
  }

  /** A child is gone from the bucket that may have been all that showed the directory and those above. */
  childRemoved(directory: DirectoryInode): void {
    for (let at: DirectoryInode | undefined = directory; at !== undefined; at = at.parent) {
      at.removals += 1
      // The root needs no marker. One that was written to another directory may be gone: another host
      // can have removed and made that directory meanwhile.
      if (at.parent === undefined || at.presence === 'made') return
      if (at.presence === 'doubtful') continue
      at.presence = 'doubtful'
      this.#schedule(at)
    }
  }

  /** The bucket shows the directory no more, although it is not empty here. */
  vanished(directory: DirectoryInode): void {
    directory.hasMarker = false
    this.childRemoved(directory)
  }

  /** Something lies in the bucket below this inode's parent, and so shows all directories above. */
  stored(inode: Inode): void {
    for (let at = inode.parent; at !== undefined && at.presence !== 'stored'; at = at.parent) {
      this.#shown(at)
    }
  }

  /** The directory was removed or is no longer linked. */
  removed(directory: DirectoryInode): void {
    directory.presence = 'stored'
    this.#pending.delete(directory)
    this.#options.inodes.drop(directory)
  }

  /** Makes sure that the bucket shows the directory. */
  async flush(directory: DirectoryInode): Promise<void> {
    if (directory.presence === 'stored') return
    await this.#options.tree.shared(() => this.alone(directory, () => this.#write(directory)))
  }

  /**
   * Does what must not overlap with the writing of the directory's marker, such as removing it: a
   * marker that arrives afterwards would bring the directory back. For callers that hold the tree.
   */
  alone<T>(directory: DirectoryInode, work: () => Promise<T>): Promise<T> {
    const lock = this.#locks.get(directory) ?? new Mutex()
    this.#locks.set(directory, lock)
    return lock.run(work)
  }

  /** Makes sure of all directories. @throws UnsavedError */
  async flushAll(silence = new Silence()): Promise<void> {
    this.#callOff?.()
    this.#callOff = undefined
    await this.#late?.join(silence)
    await this.#flushEach([...this.#pending.keys()], silence)
  }

  async #flushEach(directories: readonly DirectoryInode[], silence: Silence): Promise<void> {
    const { inodes } = this.#options
    // The deepest first: its marker shows all directories above it.
    const levels: DirectoryInode[][] = []
    for (const directory of directories) (levels[depthOf(directory)] ??= []).push(directory)
    await saveAll(
      levels.toReversed().filter(level => level !== undefined),
      directory => this.flush(directory),
      directory => `${inodes.path(directory)}/`,
      silence,
    )
  }

  /** Nothing is tried any more unless asked for: it would be, for as long as the process lives. */
  close(): void {
    this.#closed = true
    this.#callOff?.()
  }

  /** The bucket shows the directory from now on: what was listed before is out of date. */
  #shown(directory: DirectoryInode): void {
    const { inodes, metadata } = this.#options
    const { parent, name } = directory
    if (parent !== undefined) {
      const info = { path: inodes.path(directory), size: 0, isDir: true }
      metadata.changed(inodes.path(parent), name, info)
    }
    this.removed(directory)
  }

  #schedule(directory: DirectoryInode): void {
    this.#pending.set(directory, directory.removals)
    if (this.#closed) return
    const { delay, later } = this.#options
    this.#callOff ??= later(delay, () => {
      this.#callOff = undefined
      const flush = (silence: Silence): Promise<void> => this.#flushQuiet(silence)
      this.#late = new Attempt(flush, (error: unknown) => {
        this.#options.log.warn({ err: error }, 'cannot write a directory marker yet')
      })
      void this.#late.done.finally(() => {
        this.#late = undefined
        for (const left of this.#pending.keys()) this.#schedule(left)
      })
    })
  }

  /** But for those from which something was removed since they were looked at last. */
  async #flushQuiet(silence: Silence): Promise<void> {
    const quiet = [...this.#pending].filter(
      ([directory, removals]) =>
        directory.presence !== 'doubtful' || directory.removals === removals,
    )
    await this.#flushEach(
      quiet.map(([directory]) => directory),
      silence,
    )
  }

  async #write(directory: DirectoryInode): Promise<void> {
    const { driver, inodes } = this.#options
    if (directory.presence === 'stored') return
    if (!inodes.isLinked(directory)) {
      this.removed(directory)
      return
    }
    if (directory.presence === 'made' || !(await this.#isShown(directory))) {
      const { metadata: kept, done } = this.#options.saving?.(directory) ?? {}
      try {
        // Made here, where nothing was: as far as this mount knows.
        const isFree = directory.presence === 'made' && directory.hasMarker === false
        await driver.makeDirectory(inodes.path(directory), {
          ...(kept && { metadata: kept }),
          ...(isFree && { isFree }),
        })
        done?.()
      } catch (error) {
        if (!(error instanceof UnsupportedError)) throw error
        // Its attributes are not the marker's concern, as long as it exists.
        await driver.makeDirectory(inodes.path(directory))
      }
      directory.hasMarker = true
    }
    this.stored(directory)
    this.#shown(directory)
  }

  async #isShown(directory: DirectoryInode): Promise<boolean> {
    const { driver, inodes } = this.#options
    for (;;) {
      const { removals } = directory
      try {
        await driver.stat(inodes.path(directory), { expect: 'directory' })
      } catch (error) {
        if (error instanceof PathNotFoundError) return false
        throw error
      }
      // What showed it may have been removed while the answer was on its way.
      if (directory.removals === removals) return true
    }
  }
}

function depthOf(directory: DirectoryInode): number {
  let depth = 0
  for (let at = directory.parent; at !== undefined; at = at.parent) depth += 1
  return depth
}
