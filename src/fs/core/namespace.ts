/**
 * Names: lookup, mkdir, rmdir, unlink and rename.
 *
 * What this mount has made and not stored yet wins over everything; then what the metadata cache
 * holds fresh; then the store is asked. The kernel holds a directory's lock while it changes names
 * in it, so two changes of one directory never overlap here; lookups overlap with everything.
 */
import type { FileInfo } from '../../driver/driver.js'
import { PathNotFoundError } from '../../driver/errors.js'
import { baseName } from '../../driver/path.js'
import { abortable } from '../../util/abort.js'
import { ErrnoError } from '../../util/errno.js'
import type { Milliseconds } from '../../util/units.js'
import type { RenameRequest, RequestContext } from '../operations.js'
import type { Core } from './core.js'
import { adopt, follow, note, removedElsewhere } from './file-version.js'
import { bury, carry, NOT_CARRIED, withContent } from './last-holders.js'
import { isLocal } from './inode.js'
import type { DirectoryInode, FileInode, Inode } from './inode.js'

/** RENAME_NOREPLACE of renameat2(2); the other flags cannot be honoured over an object store. */
const RENAME_NOREPLACE = 1

/** Names in a directory up to which a listing is the cheaper way to look one of them up. */
const CROWDED = 256

export class Namespace {
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
    const { inodes } = this.#core
    const child = parent.children.get(name)
    if (child !== undefined) {
      if (isLocal(child)) return child
      if (child.kind === 'directory' && info.isDir) return refresh(child, info)
      if (child.kind === 'file' && !info.isDir) return note(child, info, seen)
      // A file where a directory was, or the reverse: another inode.
      if (child.kind === 'file') removedElsewhere(inodes, child)
      else inodes.unlink(child)
    }
    return info.isDir
      ? refresh(inodes.addDirectory(parent, name), info)
      : note(inodes.addFile(parent, name), info, seen)
  }

  async mkdir(
    context: RequestContext,
    parent: DirectoryInode,
    name: string,
  ): Promise<DirectoryInode> {
    const { inodes, markers, metadata } = this.#core
    await this.checkAbsent(context, parent, name)
    const directory = inodes.addDirectory(parent, name)
    const path = inodes.path(directory)
    markers.made(directory)
    // Made here, so all that will be in it for now is made here too.
    metadata.forget(path)
    metadata.complete(path, metadata.begin(path))
    metadata.changed(inodes.path(parent), name, { path, size: 0, isDir: true })
    this.touch(parent)
    return directory
  }

  /** @throws ErrnoError EEXIST, ENAMETOOLONG, EINVAL */
  async checkAbsent(context: RequestContext, parent: DirectoryInode, name: string): Promise<void> {
    const { driver, inodes } = this.#core
    const path = inodes.childPath(parent, name)
    driver.checkPath(path)
    const existing = await this.resolve(context, parent, name)
    if (existing === undefined) return
    inodes.drop(existing)
    throw new ErrnoError('EEXIST', path)
  }

  async unlink(context: RequestContext, parent: DirectoryInode, name: string): Promise<void> {
    const child = await this.#existing(context, parent, name)
    try {
      if (child.kind === 'directory') throw new ErrnoError('EISDIR', this.#core.inodes.path(child))
      await this.#unlinkFile(parent, child)
    } finally {
      this.#core.inodes.drop(child)
    }
  }

  async rmdir(context: RequestContext, parent: DirectoryInode, name: string): Promise<void> {
    const child = await this.#existing(context, parent, name)
    try {
      if (child.kind === 'file') throw new ErrnoError('ENOTDIR', this.#core.inodes.path(child))
      await this.#checkEmpty(context, child)
      const remove = (): Promise<void> => this.#removeDirectory(parent, child)
      await this.#core.tree.shared(() => this.#core.markers.alone(child, remove))
    } finally {
      this.#core.inodes.drop(child)
    }
  }

  async rename(context: RequestContext, request: RenameRequest): Promise<void> {
    const { inodes } = this.#core
    const { name, newName } = request
    const parent = inodes.directory(request.parent)
    const newParent = inodes.directory(request.newParent)
    if ((request.flags & ~RENAME_NOREPLACE) !== 0) {
      throw new ErrnoError('EINVAL', `rename flags ${request.flags} are not supported`)
    }
    this.#core.driver.checkPath(inodes.childPath(newParent, newName))
    const source = await this.#existing(context, parent, name)
    let target: Inode | undefined
    try {
      target = await this.resolve(context, newParent, newName)
      if (target === source) return
      if (target !== undefined && request.flags === RENAME_NOREPLACE) {
        throw new ErrnoError('EEXIST', inodes.path(target))
      }
      const place = { parent: newParent, name: newName, target }
      if (source.kind === 'file') await this.#renameFile(source, place)
      else await this.#renameDirectory(context, source, place)
      this.touch(parent)
      this.touch(newParent)
    } finally {
      inodes.drop(source)
      if (target !== undefined) inodes.drop(target)
    }
  }

  /** A name was added to or removed from a directory. */
  touch(directory: DirectoryInode): void {
    directory.modified = this.#core.clock()
    delete directory.overrides.mtime
    delete directory.overrides.ctime
  }

  /** The kernel has just looked the name up: what lives under it needs no second look. */
  async #existing(context: RequestContext, parent: DirectoryInode, name: string): Promise<Inode> {
    const inode = parent.children.get(name) ?? (await this.resolve(context, parent, name))
    if (inode !== undefined) return inode
    throw new ErrnoError('ENOENT', this.#core.inodes.childPath(parent, name))
  }

  async #unlinkFile(parent: DirectoryInode, child: FileInode): Promise<void> {
    const { driver, inodes, markers, tree } = this.#core
    const remove = async (carries: boolean): Promise<void> => {
      const maybeStored = mayBeStored(child)
      const taken = carries ? await carry(this.#core, child, 'move') : NOT_CARRIED
      if (maybeStored && taken.version === undefined) await driver.deleteFile(inodes.path(child))
      this.#gone(parent, child.name)
      bury(this.#core, child, taken)
      if (maybeStored) markers.childRemoved(parent)
    }
    const removed = tree.shared(() => withContent(this.#core, child, remove))
    child.moving = removed.catch(() => undefined)
    await removed.finally(() => (child.moving = undefined))
    if (child.handles === 0) await dropDirty(child)
  }

  /** For callers that hold the tree. */
  async #removeDirectory(parent: DirectoryInode, child: DirectoryInode): Promise<void> {
    const { driver, inodes, markers } = this.#core
    // Empty, and shown all the same: by a marker, whoever wrote it.
    const isMarked = child.hasMarker !== false || child.presence === 'stored'
    if (isMarked) await driver.removeDirectoryMarker(inodes.path(child))
    const wasShown = child.presence !== 'made'
    this.#gone(parent, child.name)
    this.#discardDirectory(child)
    if (wasShown) markers.childRemoved(parent)
  }

  async #renameFile(source: FileInode, place: Place): Promise<void> {
    const { driver, inodes, markers, metadata, tree } = this.#core
    const { target } = place
    if (target?.kind === 'directory') throw new ErrnoError('EISDIR', inodes.path(target))
    const move = async (carries: boolean): Promise<void> => {
      const from = { parent: source.parent, name: source.name, path: inodes.path(source) }
      const path = inodes.childPath(place.parent, place.name)
      const wasStored = source.version !== undefined
      const leftObject = wasStored || source.covers
      // The name keeps its old content until the new one takes its place.
      const taken =
        carries && target !== undefined ? await carry(this.#core, target, 'copy') : NOT_CARRIED
      let info: FileInfo | undefined
      try {
        if (wasStored) info = await this.#moveObject(source, path)
        else if (source.covers) await driver.deleteFile(from.path)
      } catch (error) {
        if (taken.home !== undefined) await this.#core.unlinked.remove(taken.home)
        throw error
      }
      source.covers = !wasStored && target !== undefined && mayBeStored(target)
      if (target !== undefined) bury(this.#core, target, taken)
      inodes.rename(source, place.parent, place.name)
      if (from.parent !== undefined) {
        this.#gone(from.parent, from.name)
        if (leftObject) markers.childRemoved(from.parent)
      }
      if (info === undefined) return
      follow(this.#core, source, info)
      metadata.changed(inodes.path(place.parent), place.name, info)
      markers.stored(source)
    }
    // What is on its way to the new name must not arrive after the file that replaces it. Both files
    // are held then; the kernel lets no other rename of either begin meanwhile.
    const replace = (): Promise<void> =>
      target === undefined ? move(false) : withContent(this.#core, target, move)
    const moved = tree.shared(async () => {
      const { dirty } = source
      if (dirty === undefined) await replace()
      // Nothing was sent yet: the file will be stored under its new name, once.
      else if (dirty.isUnsent) await dirty.alone(replace)
      else await dirty.flushAnd(replace)
    })
    source.moving = moved.catch(() => undefined)
    if (target !== undefined) target.moving = source.moving
    await moved.finally(() => {
      source.moving = undefined
      if (target !== undefined) target.moving = undefined
    })
    if (target?.handles === 0) await dropDirty(target)
  }

  /** Once it has moved, that the store does not say what it is now is no reason to fail. */
  async #moveObject(source: FileInode, path: string): Promise<FileInfo | undefined> {
    const { driver, inodes, log } = this.#core
    await driver.move(inodes.path(source), path)
    try {
      return await driver.stat(path, { expect: 'file' })
    } catch (error) {
      log.warn({ path, err: error }, 'a file was moved, and cannot be looked at now')
      source.unsettled = true
      return source.version === undefined ? undefined : { ...source.version, path }
    }
  }

  async #renameDirectory(
    context: RequestContext,
    source: DirectoryInode,
    place: Place,
  ): Promise<void> {
    const { inodes, tree } = this.#core
    const { target } = place
    if (place.parent === source || inodes.isBelow(place.parent, source)) {
      throw new ErrnoError('EINVAL', `${inodes.path(source)} cannot be moved into itself`)
    }
    if (target?.kind === 'file') throw new ErrnoError('ENOTDIR', inodes.path(target))
    if (target !== undefined) await this.#checkEmpty(context, target)
    await tree.exclusive(async () => {
      for (const inode of inodes.below(source)) {
        if (inode.kind !== 'file') continue
        if (inode.dirty?.isUnsent === false) await inode.dirty.flushGuarded()
      }
      await this.#moveTree(source, place)
    })
  }

  /** For callers that hold the tree exclusively: nothing below is published meanwhile. */
  async #moveTree(source: DirectoryInode, place: Place): Promise<void> {
    const { driver, inodes, log, markers, metadata } = this.#core
    const from = { parent: source.parent, name: source.name, path: inodes.path(source) }
    const path = inodes.childPath(place.parent, place.name)
    const wasStored = source.presence !== 'made'
    if (wasStored) {
      try {
        await driver.move(from.path, path)
      } catch (error) {
        // A directory that is doubtful may turn out not to be shown by the bucket at all.
        if (!(error instanceof PathNotFoundError) || source.presence === 'stored') throw error
      }
    }
    const target = place.target?.kind === 'directory' ? place.target : undefined
    const isShown = target !== undefined && target.presence === 'stored'
    if (target !== undefined) {
      // Its marker, if it has one, is the moved directory's now.
      if (source.hasMarker === false) source.hasMarker = target.hasMarker
      this.#discardDirectory(target)
    }
    inodes.rename(source, place.parent, place.name)
    if (isShown) markers.removed(source)
    metadata.forgetTree(from.path)
    metadata.forgetTree(path)
    if (from.parent !== undefined) this.#gone(from.parent, from.name)
    metadata.changed(inodes.path(place.parent), place.name, { path, size: 0, isDir: true })
    for (const inode of inodes.below(source)) {
      if (inode.kind !== 'file' || inode.version === undefined) continue
      // A copy may have another etag (BOS does not say): the next open asks, open handles need it now.
      inode.seen = -Infinity
      inode.confirmed = -Infinity
      if (inode.handles === 0) continue
      const at = inodes.path(inode)
      inode.unsettled = true
      await driver.stat(at, { expect: 'file' }).then(
        info => follow(this.#core, inode, info),
        (error: unknown) => log.warn({ path: at, err: error }, 'cannot look at a moved file now'),
      )
    }
    if (source.presence === 'stored') markers.stored(source)
    if (wasStored && from.parent !== undefined) markers.childRemoved(from.parent)
  }

  #discardDirectory(directory: DirectoryInode): void {
    const { inodes, markers, metadata } = this.#core
    metadata.forgetTree(inodes.path(directory))
    inodes.unlink(directory)
    markers.removed(directory)
  }

  #gone(parent: DirectoryInode, name: string): void {
    this.#core.metadata.changed(this.#core.inodes.path(parent), name, undefined)
    this.touch(parent)
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
    for await (const { entries } of driver.entries(path)) {
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

  async #checkEmpty(context: RequestContext, directory: DirectoryInode): Promise<void> {
    const { driver, inodes, metadata } = this.#core
    const path = inodes.path(directory)
    const full = (): ErrnoError => new ErrnoError('ENOTEMPTY', path)
    for (const child of directory.children.values()) if (isLocal(child)) throw full()
    if (directory.presence === 'made') {
      if (directory.children.size > 0) throw full()
      return
    }
    const listing = metadata.listing(path)
    if (listing !== undefined) {
      if (listing.length > 0) throw full()
      return
    }
    for await (const page of driver.entries(path, { signal: context.signal })) {
      if (page.entries.length > 0) throw full()
    }
  }
}

/** A request under way, and when it began. */
interface Asked<T> {
  readonly began: Milliseconds
  readonly answer: Promise<T>
}

interface Place {
  readonly parent: DirectoryInode
  readonly name: string
  readonly target: Inode | undefined
}

function refresh(directory: DirectoryInode, info: FileInfo): DirectoryInode {
  if (info.modTime !== undefined) directory.modified ??= info.modTime.getTime()
  return directory
}

/** Whether an object may lie under the file's name. */
function mayBeStored(file: FileInode): boolean {
  return file.version !== undefined || file.covers || file.dirty?.isUnsent === false
}

async function dropDirty(file: FileInode): Promise<void> {
  const { dirty } = file
  file.dirty = undefined
  await dirty?.discard()
}
