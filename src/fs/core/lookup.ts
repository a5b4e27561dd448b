/**
 * Lookup: which inode a name stands for.
 *
 * What this mount has made and not stored yet wins over everything; then what the metadata cache
 * holds fresh; then the store is asked. Lookups overlap with each other and with every change of
 * names: an answer is held against what has happened here since it was asked for.
 */
import type { FileInfo } from '../../driver/driver.js'
import { PathNotFoundError } from '../../driver/errors.js'
import { baseName } from '../../driver/path.js'
import { abortable } from '../../util/abort.js'
import type { Milliseconds } from '../../util/units.js'
import type { RequestContext } from '../operations.js'
import type { Core } from './core.js'
import { adopt, note, removedElsewhere } from './file-version.js'
import { isLocal } from './inode.js'
import type { DirectoryInode, Inode } from './inode.js'

/** Names in a directory up to which a listing is the cheaper way to look one of them up. */
const CROWDED = 256

export class Lookup {
  readonly #core: Core
  readonly #stats = new Map<string, Asked<FileInfo | undefined>>()
  readonly #listings = new Map<string, Asked<ReadonlyMap<string, FileInfo>>>()

  constructor(core: Core) {
    this.#core = core
  }

  /** The inode of a name, or undefined if there is no such name. */
  resolve(
    context: RequestContext,
    parent: DirectoryInode,
    name: string,
  ): Inode | undefined | Promise<Inode | undefined> {
    const child = parent.children.get(name)
    if (child !== undefined && isLocal(child)) return child
    if (parent.presence === 'made') return child
    const { inodes, metadata } = this.#core
    const known = metadata.get(inodes.path(parent), name)
    if (known === undefined) return this.#ask(context, parent, name)
    if (known.info === undefined) return this.#vanished(parent, name)
    return this.meet(parent, name, known.info, known.seen)
  }

  /** The inode for a name that a listing showed at `seen`: the living one, or a new one. */
  meet(parent: DirectoryInode, name: string, info: FileInfo, seen: Milliseconds): Inode {
    const inode = this.#meet(parent, name, info, seen)
    if (!isLocal(inode)) this.#core.attributes.learn(inode, info, seen)
    return inode
  }

  #meet(parent: DirectoryInode, name: string, info: FileInfo, seen: Milliseconds): Inode {
    const { attributes, inodes } = this.#core
    const child = parent.children.get(name)
    if (child !== undefined) {
      if (isLocal(child)) return child
      if (child.kind === 'directory' && info.isDir) return refresh(child, info)
      const isSameType = child.kind === 'file' && !attributes.changesType(child, info)
      if (isSameType && !info.isDir) return note(child, info, seen)
      // A file where a directory was, or the reverse: another inode.
      if (child.kind === 'file') removedElsewhere(inodes, child)
      else inodes.unlink(child)
    }
    return info.isDir
      ? refresh(inodes.addDirectory(parent, name), info)
      : note(inodes.addFile(parent, name), info, seen)
  }

  /** The store has nothing under the name. */
  #vanished(parent: DirectoryInode, name: string): Inode | undefined {
    const { inodes, markers } = this.#core
    const child = parent.children.get(name)
    if (child === undefined) return undefined
    if (child.kind === 'directory' && [...inodes.below(child)].some(isLocal)) {
      // Removed elsewhere, but what is still to be stored in it will show it again.
      markers.vanished(child)
      return child
    }
    if (child.kind === 'file') removedElsewhere(inodes, child)
    else inodes.unlink(child)
    return undefined
  }

  /**
   * Asks the store. One listing of the directory answers for all its names, and costs no more than the
   * two requests that one name costs alone, unless the directory is crowded or nothing is believed
   * for longer than a moment. That a name is absent is believed only of the name itself.
   */
  async #ask(
    context: RequestContext,
    parent: DirectoryInode,
    name: string,
  ): Promise<Inode | undefined> {
    const { inodes, metadata, tree } = this.#core
    const directory = inodes.path(parent)
    const isUnlisted = metadata.ttl <= 0 || metadata.namesIn(directory) > CROWDED
    const listing = isUnlisted ? undefined : this.#list(parent, name)
    const listed =
      listing === undefined
        ? undefined
        : (await abortable(listing.answer, context.signal)).get(name)
    const stat = listed === undefined ? this.#stat(parent, name, isUnlisted) : undefined
    const info = stat === undefined ? listed : await abortable(stat.answer, context.signal)
    const began = Math.min(listing?.began ?? Infinity, stat?.began ?? Infinity)
    // Being moved with a directory above it, a name is neither here nor there.
    if (info === undefined) await abortable(tree.settled(), context.signal)
    // Meanwhile the name may have been made, removed or moved here.
    const child = parent.children.get(name)
    if (child !== undefined && isLocal(child)) return child
    const isOutdated =
      inodes.path(parent) !== directory ||
      metadata.changedSince(directory, name, began) !== undefined
    if (isOutdated) return this.resolve(context, parent, name)
    if (listed !== undefined) return this.meet(parent, name, listed, began)
    metadata.put(directory, name, info, began)
    if (info === undefined) return this.#vanished(parent, name)
    const inode = this.meet(parent, name, info, began)
    return inode.kind === 'file' && !isLocal(inode) ? adopt(this.#core, inode, info, began) : inode
  }

  /** What the directory's listing shows by name; of a crowded directory, its first page. */
  #list(parent: DirectoryInode, name: string): Asked<ReadonlyMap<string, FileInfo>> {
    const directory = this.#core.inodes.path(parent)
    return this.#join(this.#listings, directory, { directory, name }, () =>
      this.#readListing(directory),
    )
  }

  async #readListing(path: string): Promise<ReadonlyMap<string, FileInfo>> {
    const { driver, metadata } = this.#core
    const underWay = metadata.begin(path)
    const named: [string, FileInfo][] = []
    for await (const { entries } of driver.entries(path, { metadata: true })) {
      named.push(...entries.map((info): [string, FileInfo] => [baseName(info.path), info]))
      if (named.length > CROWDED) break
    }
    metadata.putPage(path, named, underWay.began)
    if (named.length <= CROWDED) metadata.complete(path, underWay)
    return new Map(named)
  }

  #stat(parent: DirectoryInode, name: string, isUnlisted: boolean): Asked<FileInfo | undefined> {
    const directory = this.#core.inodes.path(parent)
    // A directory would have been listed; a file may be too new for the listing.
    const options = isUnlisted ? {} : { expect: 'file' as const }
    const path = this.#core.inodes.childPath(parent, name)
    return this.#join(this.#stats, path, { directory, name }, async () => {
      try {
        return await this.#core.driver.stat(path, options)
      } catch (error) {
        if (error instanceof PathNotFoundError) return undefined
        throw error
      }
    })
  }

  /** One request for all who ask the same at the same time. */
  #join<T>(
    underWay: Map<string, Asked<T>>,
    key: string,
    { directory, name }: { directory: string; name: string },
    ask: () => Promise<T>,
  ): Asked<T> {
    const { metadata } = this.#core
    const found = underWay.get(key)
    // What was asked before a change made here may be answered as it was before the change.
    const isCurrent =
      found !== undefined && metadata.changedSince(directory, name, found.began) === undefined
    if (isCurrent) return found
    const began = metadata.now()
    const answer = ask().finally(() => {
      if (underWay.get(key) === asked) underWay.delete(key)
    })
    const asked = { began, answer }
    underWay.set(key, asked)
    return asked
  }
}

/** A request under way, and when it began. */
interface Asked<T> {
  readonly began: Milliseconds
  readonly answer: Promise<T>
}

function refresh(directory: DirectoryInode, info: FileInfo): DirectoryInode {
  if (info.modTime !== undefined) directory.modified ??= info.modTime.getTime()
  return directory
}
