/**
 * rename(2), of files and of whole directories.
 *
 * A file takes along what it has not stored yet, and is then stored under its new name, once. A directory
 * is renamed with the tree held exclusively: nothing below it is published meanwhile. What was open under
 * the new name goes on without one (last-holders.ts). When a move fails, what is where only the store can
 * tell: nothing is believed of either name any more.
 */
import type { FileInfo, MoveOptions, MoveResult } from '../../driver/driver.js'
import { PathNotFoundError, PreconditionError } from '../../driver/errors.js'
import { abortable } from '../../util/abort.js'
import { ErrnoError } from '../../util/errno.js'
import { GiB, type Milliseconds } from '../../util/units.js'
import type { RenameRequest, RequestContext } from '../operations.js'
import type { Core } from './core.js'
import { follow } from './file-version.js'
import { isLocal } from './inode.js'
import type { DirectoryInode, FileInode, Inode } from './inode.js'
import { bury, carry, dropDirty, mayBeStored, NOT_CARRIED, withContent } from './last-holders.js'
import type { Lookup } from './lookup.js'
import type { Namespace } from './namespace.js'

/** RENAME_NOREPLACE of renameat2(2); the other flags cannot be honoured over an object store. */
const RENAME_NOREPLACE = 1
/** How long ago a name may have been seen to be free for a rename that replaces nothing. */
const JUST_NOW: Milliseconds = 1000

interface Place {
  readonly parent: DirectoryInode
  readonly name: string
  readonly target: Inode | undefined
  /** Nothing may be replaced there: what another host has stored under the name neither. */
  readonly isNew: boolean
}

export class Renames {
  readonly #core: Core
  readonly #lookup: Lookup
  readonly #namespace: Namespace

  constructor(core: Core, lookup: Lookup, namespace: Namespace) {
    this.#core = core
    this.#lookup = lookup
    this.#namespace = namespace
  }

  /** @throws ErrnoError EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY */
  async rename(context: RequestContext, request: RenameRequest): Promise<void> {
    const { changes, inodes, unlinked } = this.#core
    const { name, newName, flags } = request
    const parent = inodes.directory(request.parent)
    const newParent = inodes.directory(request.newParent)
    if ((request.flags & ~RENAME_NOREPLACE) !== 0) {
      throw new ErrnoError('EINVAL', `rename flags ${request.flags} are not supported`)
    }
    this.#core.driver.checkPath(inodes.childPath(newParent, newName))
    const names = [
      { parent, name },
      { parent: newParent, name: newName },
    ]
    const call = { operation: 'rename', names, flags } as const
    if (await changes.repeats(context, call)) return
    await changes.free(context, call)
    await abortable(unlinked.returning.bring('/'), context.signal)
    const source = await this.#namespace.existing(context, parent, name)
    let target: Inode | undefined
    try {
      target = await this.#lookup.resolve(context, newParent, newName)
      if (target === source) return
      if (target !== undefined && request.flags === RENAME_NOREPLACE) {
        throw new ErrnoError('EEXIST', inodes.path(target))
      }
      await changes.free(context, call, directoriesOf([source, target]))
      // Programs rename when what they did before is to count.
      await abortable(Promise.resolve(this.#core.deletes.settled('/')), context.signal)
      const isNew = request.flags === RENAME_NOREPLACE
      const place = { parent: newParent, name: newName, target, isNew }
      await this.#checkRename(context, source, place)
      const rename = async (signal: AbortSignal): Promise<void> => {
        if (source.kind === 'file') await this.#renameFile(source, place, signal)
        else await this.#renameDirectory(source, place, signal)
        this.#namespace.touch(parent)
        this.#namespace.touch(newParent)
      }
      const concerned = target === undefined ? [source] : [source, target]
      await changes.run(context, { ...call, inodes: concerned }, { work: rename })
    } finally {
      inodes.drop(source)
      if (target !== undefined) inodes.drop(target)
    }
  }

  /** What rename(2) refuses, and what is to be stored before. */
  async #checkRename(context: RequestContext, source: Inode, place: Place): Promise<void> {
    const { inodes, writeBack } = this.#core
    const { target } = place
    const changed = [inodes.path(source)]
    if (source.kind === 'file') {
      if (target?.kind === 'directory') throw new ErrnoError('EISDIR', inodes.path(target))
      changed.push(inodes.childPath(place.parent, place.name))
    } else {
      if (place.parent === source || inodes.isBelow(place.parent, source)) {
        throw new ErrnoError('EINVAL', `${inodes.path(source)} cannot be moved into itself`)
      }
      if (target?.kind === 'file') throw new ErrnoError('ENOTDIR', inodes.path(target))
      if (target !== undefined) {
        const isRepeated = await abortable(this.#isRepeated(source, target), context.signal)
        if (!isRepeated) await this.#namespace.checkEmpty(context, target)
      }
    }
    await abortable(writeBack.settle(...changed), context.signal)
  }

  async #renameFile(source: FileInode, place: Place, signal: AbortSignal): Promise<void> {
    const { attributes, driver, inodes, markers, metadata, tree } = this.#core
    const target = place.target?.kind === 'file' ? place.target : undefined
    const move = async (carries: boolean): Promise<void> => {
      signal.throwIfAborted()
      const from = { parent: source.parent, name: source.name, path: inodes.path(source) }
      const path = inodes.childPath(place.parent, place.name)
      const wasStored = source.version !== undefined
      const leftObject = wasStored || source.covers
      // The name keeps its old content until the new one takes its place.
      const taken =
        carries && target !== undefined ? await carry(this.#core, target, 'copy') : NOT_CARRIED
      let info: FileInfo | undefined
      try {
        if (wasStored) info = await this.#moveObject(source, path, place)
        else if (source.covers) await driver.deleteFile(from.path)
      } catch (error) {
        if (taken.home !== undefined) await this.#core.unlinked.remove(taken.home)
        this.#doubt(source, place)
        throw error
      }
      source.exclusive = !wasStored && place.isNew
      source.covers = !wasStored && target !== undefined && mayBeStored(target)
      if (target !== undefined) bury(this.#core, target, taken)
      inodes.rename(source, place.parent, place.name)
      if (from.parent !== undefined) {
        this.#namespace.gone(from.parent, from.name)
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
    const rename = async (): Promise<void> => {
      const { dirty } = source
      if (dirty === undefined) await replace()
      // Nothing was sent yet: the file will be stored under its new name, once.
      else if (dirty.isUnsent) await dirty.alone(replace)
      else await dirty.flushAnd(replace)
    }
    const moved = tree.shared(() =>
      attributes.alone(source, () =>
        attributes.alone(target === source ? undefined : target, rename),
      ),
    )
    source.moving = moved.catch(() => undefined)
    if (target !== undefined) target.moving = source.moving
    await moved.finally(() => {
      source.moving = undefined
      if (target !== undefined) target.moving = undefined
    })
    if (target?.handles === 0) await dropDirty(target)
  }

  /** @throws ErrnoError EEXIST if nothing may be replaced and something is there */
  async #move(
    from: string,
    to: string,
    { isNew, ...options }: Pick<Place, 'isNew'> & Pick<MoveOptions, 'known' | 'metadata'>,
  ): Promise<MoveResult | undefined> {
    const condition = isNew ? { ifNoneMatch: '*' as const } : {}
    const move = (): Promise<MoveResult | undefined> =>
      this.#core.driver.move(from, to, { ...condition, ...options })
    // Conditional copies, and those of very large objects, are made by an upload.
    const isUpload = isNew || (options.known?.source.size ?? 0) >= GiB
    try {
      return await (isUpload ? this.#core.uncertain.noting(to, move, { isFilled: true }) : move())
    } catch (error) {
      if (!isNew || !(error instanceof PreconditionError)) throw error
      throw new ErrnoError('EEXIST', `${to} was made by another host`, { cause: error })
    }
  }

  /** Once it has moved, that the store does not say what it is now is no reason to fail. */
  async #moveObject(source: FileInode, path: string, place: Place): Promise<FileInfo | undefined> {
    const { attributes, driver, inodes, log } = this.#core
    // Attributes that are on their way go with it.
    const saving = attributes.isUnsaved(source) ? attributes.saving(source) : undefined
    const { isNew, target } = place
    const metadata = saving?.metadata
    const isFree = target === undefined && (!isNew || (await this.#isSeenFree(place)))
    const version = await this.#move(inodes.path(source), path, {
      isNew,
      ...(metadata && { metadata }),
      ...(source.version && { known: { source: source.version, isFree } }),
    })
    saving?.done()
    // What its attributes are is known as long as it is the version that was moved.
    if (version?.size === source.version?.size && version !== undefined && !source.unsettled) {
      const { modTime = new Date(this.#core.clock()), ...moved } = version
      return attributes.published(source, {
        ...source.version,
        ...moved,
        path,
        modTime,
        isDir: false,
      })
    }
    try {
      return await driver.stat(path, { expect: 'file' })
    } catch (error) {
      log.warn({ path, err: error }, 'a file was moved, and cannot be looked at now')
      source.unsettled = true
      return source.version === undefined ? undefined : { ...source.version, path }
    }
  }

  /**
   * Looks again unless that was just done: where BOS renames by itself there is no condition, and a copy
   * under one takes as long as the file is large.
   *
   * @throws ErrnoError EEXIST
   */
  async #isSeenFree({ parent, name }: Place): Promise<boolean> {
    const { driver, inodes, metadata } = this.#core
    const known = metadata.get(inodes.path(parent), name)
    if (known !== undefined && metadata.now() - known.seen < JUST_NOW)
      return known.info === undefined
    const path = inodes.childPath(parent, name)
    try {
      await driver.stat(path, { expect: 'file' })
    } catch (error) {
      if (error instanceof PathNotFoundError) return true
      throw error
    }
    throw new ErrnoError('EEXIST', `${path} was made by another host`)
  }

  async #renameDirectory(source: DirectoryInode, place: Place, signal: AbortSignal): Promise<void> {
    const { inodes, tree } = this.#core
    await tree.exclusive(async () => {
      signal.throwIfAborted()
      for (const inode of inodes.below(source)) {
        if (inode.kind !== 'file') continue
        if (inode.dirty?.isUnsent === false) await inode.dirty.flushGuarded()
      }
      signal.throwIfAborted()
      await this.#moveTree(source, place)
    })
  }

  /** Whether this is to be finished: then the target has what was moved already. */
  async #isRepeated(source: DirectoryInode, target: DirectoryInode): Promise<boolean> {
    const { inodes, moves } = this.#core
    if ([...inodes.below(target)].some(isLocal)) return false
    return moves.canFinish({ from: inodes.path(source), to: inodes.path(target) })
  }

  /** A move has failed: what is where, only the store can tell. */
  #doubt(source: Inode, place: Place): void {
    const { inodes, metadata, notifier } = this.#core
    metadata.forgetTree(inodes.path(source))
    metadata.forgetTree(inodes.childPath(place.parent, place.name))
    for (const { parent, name } of [source, place]) {
      if (parent === undefined) continue
      metadata.forget(inodes.path(parent))
      notifier.invalidateEntry(parent.ino, name)
    }
  }

  /** For callers that hold the tree exclusively: nothing below is published meanwhile. */
  async #moveTree(source: DirectoryInode, place: Place): Promise<void> {
    const { driver, inodes, log, markers, metadata } = this.#core
    const from = { parent: source.parent, name: source.name, path: inodes.path(source) }
    const path = inodes.childPath(place.parent, place.name)
    const wasStored = source.presence !== 'made'
    if (wasStored) {
      try {
        await this.#core.moves.begin({ from: from.path, to: path })
        await this.#move(from.path, path, place)
        this.#core.moves.finished({ from: from.path, to: path })
      } catch (error) {
        this.#doubt(source, place)
        if (isUntouched(error)) this.#core.moves.finished({ from: from.path, to: path })
        // A directory that is doubtful may turn out not to be shown by the bucket at all.
        if (!(error instanceof PathNotFoundError) || source.presence === 'stored') throw error
      }
    }
    const target = place.target?.kind === 'directory' ? place.target : undefined
    const isShown = target !== undefined && target.presence === 'stored'
    if (target !== undefined) {
      // Its marker, if it has one, is the moved directory's now.
      if (source.hasMarker === false) source.hasMarker = target.hasMarker
      this.#namespace.discardDirectory(target)
    }
    inodes.rename(source, place.parent, place.name)
    if (isShown) markers.removed(source)
    metadata.forgetTree(from.path)
    metadata.forgetTree(path)
    if (from.parent !== undefined) this.#namespace.gone(from.parent, from.name)
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
}

function directoriesOf(inodes: readonly (Inode | undefined)[]): readonly DirectoryInode[] {
  return inodes.filter(inode => inode?.kind === 'directory')
}

/** Whether the move that failed has done nothing. */
function isUntouched(error: unknown): boolean {
  return (
    error instanceof PathNotFoundError || (error instanceof ErrnoError && error.code === 'EEXIST')
  )
}
