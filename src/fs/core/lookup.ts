/**
 * Lookup: which inode a name stands for.
 *
 * What this mount has made and not stored yet wins over everything; then what the metadata cache
 * holds fresh; then the store is asked. Lookups overlap with each other and with every change of
 * names: an answer is held against what has happened here since it was asked for.
 */
import { LISTING_END } from '../../driver/driver.js'
import type { FileInfo } from '../../driver/driver.js'
import { PathNotFoundError } from '../../driver/errors.js'
import { baseName, childPath, componentProblem } from '../../driver/path.js'
import { abortable } from '../../util/abort.js'
import type { Milliseconds } from '../../util/units.js'
import { compareUtf8 } from '../../util/utf8.js'
import type { RequestContext } from '../operations.js'
import type { Core } from './core.js'
import { Crowds } from './crowds.js'
import { adopt, note, removedElsewhere } from './file-version.js'
import { isLocal } from './inode.js'
import type { DirectoryInode, Inode } from './inode.js'

/** Names in a directory up to which a listing, of one page, is the cheaper way to look one of them up. */
const CROWDED = 1000
/** Names seen in a directory that is not listed beyond which it is most likely a crowded one. */
const MANY = 256
/** The same of a directory in which a page ended. */
const CUT = 100

export class Lookup {
  readonly #core: Core
  readonly #stats = new Map<string, Asked<FileInfo | undefined>>()
  readonly #glances = new Map<string, Asked<Names>>()
  readonly #listings = new Map<string, Asked<Names>>()
  readonly #crowds: Crowds

  constructor(core: Core) {
    this.#core = core
    this.#crowds = new Crowds(core.metadata)
  }

  /** The inode of a name, or undefined if there is no such name. */
  resolve(
    context: RequestContext,
    parent: DirectoryInode,
    name: string,
  ): Inode | undefined | Promise<Inode | undefined> {
    const child = parent.children.get(name)
    if (child !== undefined && isLocal(child)) return child
    if (parent.presence === 'made' || this.#core.changes.concerns(parent, name)) return child
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

  /** Asks the store. That a name is absent is believed only of the name itself. */
  async #ask(
    context: RequestContext,
    parent: DirectoryInode,
    name: string,
  ): Promise<Inode | undefined> {
    const { inodes, metadata, tree } = this.#core
    const directory = inodes.path(parent)
    const asking = metadata.now()
    const listed = await this.#listed(context, directory, name)
    const stat = listed === undefined ? this.#stat(directory, name) : undefined
    const info = stat === undefined ? listed?.info : await abortable(stat.answer, context.signal)
    const began = Math.min(listed?.began ?? asking, stat?.began ?? asking)
    // Being moved with a directory above it, a name is neither here nor there.
    if (info === undefined) {
      await abortable(tree.settled(), context.signal)
      const back = this.#core.unlinked.returning.bring(childPath(directory, name))
      if (await abortable(back, context.signal)) return this.resolve(context, parent, name)
    }
    // Meanwhile the name may have been made, removed or moved here.
    const child = parent.children.get(name)
    if (child !== undefined && isLocal(child)) return child
    const isOutdated =
      inodes.path(parent) !== directory ||
      metadata.changedSince(directory, name, began) !== undefined
    if (isOutdated) return this.resolve(context, parent, name)
    if (listed !== undefined) return this.meet(parent, name, listed.info, began)
    metadata.put(directory, name, info, began)
    if (info === undefined) return this.#vanished(parent, name)
    const inode = this.meet(parent, name, info, began)
    return inode.kind === 'file' && !isLocal(inode) ? adopt(this.#core, inode, info, began) : inode
  }

  /**
   * What listings show of a name. They answer for other names too, and often for all that is below, at
   * the price of the two requests that one name costs alone; but not in a crowded directory, nor where
   * nothing is believed for longer than a moment.
   */
  async #listed(
    { signal }: RequestContext,
    directory: string,
    name: string,
  ): Promise<Listed | undefined> {
    const { metadata, subtrees } = this.#core
    let earliest = Infinity
    const find = async ({ began, answer }: Asked<Names>): Promise<Listed | undefined> => {
      const info = (await abortable(answer, signal)).names.get(name)
      earliest = Math.min(earliest, began)
      return info === undefined ? undefined : { info, began: earliest }
    }
    const isCut = metadata.isPartlyTold(directory) && metadata.namesIn(directory) > CUT
    if (!isCut && !this.#isUnlisted(directory) && subtrees.isWorthwhile(directory)) {
      const glance = this.#glance(directory, name)
      const found = await find(glance)
      if (found !== undefined || isTold(await glance.answer, name)) return found
    }
    if (this.#isUnlisted(directory)) return await this.#sweep(directory, name, find)
    if (subtrees.mayGuess(directory) && subtrees.isWorthwhile(childPath(directory, name))) {
      // The name of a directory, most likely, and what is below it will be asked for next.
      const stem = this.#stemOf(directory, name)
      const guess = this.#glance(directory, name, stem ?? name)
      const found = await find(guess)
      // From a name on, its own marker is not listed, nor a file.
      const isAnswered = stem !== undefined && isTold(await guess.answer, name)
      if (found !== undefined || isAnswered) return found
    }
    const start = this.#stemOf(directory, name) ?? name.replace(/.$/su, '')
    const ways = [() => this.#list(directory, name), () => this.#page(directory, name, start)]
    const isLong = isCut || metadata.namesIn(directory) > MANY
    for (const ask of isLong ? ways.toReversed() : ways) {
      const asked = ask()
      const found = await find(asked)
      if (found !== undefined || isTold(await asked.answer, name)) return found
    }
    return undefined
  }

  /**
   * What a numbered name begins with, if no name that is known does: those with other numbers will be
   * asked for too.
   */
  #stemOf(directory: string, name: string): string | undefined {
    const stem = name.replace(/\d+$/, '')
    const isOne = stem !== name && componentProblem(stem) === undefined
    return isOne && !this.#core.metadata.hasName(directory, stem) ? stem : undefined
  }

  #isUnlisted(directory: string): boolean {
    const { metadata } = this.#core
    return metadata.ttl <= 0 || metadata.namesIn(directory) > CROWDED
  }

  /**
   * In a crowded directory names are asked for one by one, unless that is done in their order (ls -l):
   * then a page of the listing answers for those that come next.
   */
  async #sweep(
    directory: string,
    name: string,
    find: (asked: Asked<Names>) => Promise<Listed | undefined>,
  ): Promise<Listed | undefined> {
    const { metadata } = this.#core
    if (metadata.ttl <= 0) return undefined
    const pages = Math.ceil(metadata.namesIn(directory) / CROWDED)
    if (this.#crowds.isBusy(directory, pages)) return await find(this.#listWhole(directory, name))
    const last = this.#crowds.sweptTo(directory, name)
    if (last === undefined) return undefined
    const found = await find(this.#page(directory, name, last))
    if (found === undefined) this.#crowds.isMissing(directory, name)
    return found
  }

  /** A page of the directory's listing, from behind a name. */
  #page(directory: string, name: string, startAfter: string): Asked<Names> {
    return this.#join(
      this.#listings,
      `${directory}\0after ${startAfter}`,
      { directory, name },
      () => this.#readPage(directory, startAfter),
    )
  }

  async #readPage(path: string, startAfter: string): Promise<Names> {
    const { driver, metadata } = this.#core
    const began = metadata.now()
    const options = { metadata: true, ...(startAfter !== '' && { startAfter }) }
    for await (const { entries, upTo } of driver.entries(path, options)) {
      const names = byName(entries)
      metadata.putPage(path, [...names], began)
      if (upTo !== undefined) metadata.told(path, { after: startAfter, upTo }, began)
      return { names, isComplete: false, upTo }
    }
    metadata.putPage(path, [], began)
    metadata.told(path, { after: startAfter, upTo: LISTING_END }, began)
    return { names: new Map(), isComplete: false, upTo: LISTING_END }
  }

  #glance(directory: string, name: string, from?: string): Asked<Names> {
    const key = from === undefined ? directory : `${directory}\0${from}`
    return this.#join(this.#glances, key, { directory, name }, async () => {
      const { entries, ...told } = await this.#core.subtrees.glance(directory, from)
      return { names: byName(entries), ...told }
    })
  }

  #list(directory: string, name: string): Asked<Names> {
    return this.#join(this.#listings, directory, { directory, name }, () =>
      this.#readListing(directory),
    )
  }

  #listWhole(directory: string, name: string): Asked<Names> {
    return this.#join(this.#listings, `${directory}\0`, { directory, name }, () =>
      this.#readListing(directory, Infinity),
    )
  }

  /** The directory's listing; of one with more than `most` names, its first pages. */
  async #readListing(path: string, most = CROWDED): Promise<Names> {
    const { driver, metadata } = this.#core
    const underWay = metadata.begin(path)
    const found: FileInfo[] = []
    let reached: string | undefined
    let isComplete = true
    for await (const { entries, upTo } of driver.entries(path, { metadata: true })) {
      found.push(...entries)
      reached = upTo
      // A full page may be the last one: not all stores say so.
      const isFull = upTo === undefined ? found.length > most : found.length >= most
      isComplete = !isFull || upTo === LISTING_END
      if (isFull) break
    }
    const names = byName(found)
    metadata.putPage(path, [...names], underWay.began)
    if (isComplete) metadata.complete(path, underWay)
    else if (reached !== undefined) {
      metadata.told(path, { after: '', upTo: reached }, underWay.began)
    }
    return { names, isComplete, upTo: reached }
  }

  #stat(directory: string, name: string): Asked<FileInfo | undefined> {
    // A directory would have been listed; a file may be too new for the listing.
    const isListed =
      !this.#isUnlisted(directory) || this.#core.metadata.get(directory, name) !== undefined
    const options = isListed ? { expect: 'file' as const } : {}
    const path = childPath(directory, name)
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

/** What a listing has shown of a directory. */
interface Names {
  readonly names: ReadonlyMap<string, FileInfo>
  readonly isComplete: boolean
  /** @see EntriesPage.upTo; it began before the name that was looked for. */
  readonly upTo: string | undefined
}

interface Listed {
  readonly info: FileInfo
  readonly began: Milliseconds
}

/** A request under way, and when it began. */
interface Asked<T> {
  readonly began: Milliseconds
  readonly answer: Promise<T>
}

function byName(entries: readonly FileInfo[]): ReadonlyMap<string, FileInfo> {
  return new Map(entries.map(info => [baseName(info.path), info]))
}

/** Whether a listing would have shown the name of a directory, and of a file that is not very new. */
function isTold({ isComplete, upTo }: Names, name: string): boolean {
  return isComplete || (upTo !== undefined && compareUtf8(`${name}/`, upTo) <= 0)
}

function refresh(directory: DirectoryInode, info: FileInfo): DirectoryInode {
  if (info.modTime !== undefined) directory.modified ??= info.modTime.getTime()
  return directory
}
