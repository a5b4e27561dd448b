/**
 * Changes of names: mkdir, rmdir and unlink, and what they share with rename (renames.ts).
 *
 * The kernel holds a directory's lock while it changes names in it, so two changes of one directory
 * never overlap here, but for those whose caller was interrupted (name-changes.ts); lookups (lookup.ts)
 * overlap with everything. A change first looks, which can be given up, and then acts, which cannot.
 */
import { abortable } from '../../util/abort.js'
import { ErrnoError } from '../../util/errno.js'
import type { RequestContext } from '../operations.js'
import type { Core } from './core.js'
import { isLocal } from './inode.js'
import type { DirectoryInode, FileInode, Inode } from './inode.js'
import { bury, carry, dropDirty, mayBeStored, NOT_CARRIED, withContent } from './last-holders.js'
import type { Lookup } from './lookup.js'
import type { Name } from './name-changes.js'

const NEVER = new AbortController().signal

export class Namespace {
  readonly #core: Core
  readonly #lookup: Lookup

  constructor(core: Core, lookup: Lookup) {
    this.#core = core
    this.#lookup = lookup
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
    await this.#core.changes.free(context, { operation: 'make', names: [{ parent, name }] })
    const existing = await this.#lookup.resolve(context, parent, name)
    if (existing === undefined) return
    inodes.drop(existing)
    throw new ErrnoError('EEXIST', path)
  }

  /**
   * Makes a file that the store has when this resolves. One that its maker was not told of, for he was
   * interrupted, is taken back: whoever makes names to lock something with them would wait for ever.
   *
   * @param letGo  what goes before
   */
  make(
    context: RequestContext,
    place: Name,
    make: () => Promise<FileInode>,
    letGo?: () => Promise<void>,
  ): Promise<FileInode> {
    const { parent } = place
    const work = async (): Promise<FileInode> => {
      const file = await make()
      this.touch(parent)
      return file
    }
    const undo = async (file: FileInode): Promise<void> => {
      await letGo?.()
      await this.#unlinkFile(parent, file, NEVER)
    }
    const change = { operation: 'make', names: [place], inodes: [] } as const
    return this.#core.changes.run(context, change, { work, undo })
  }

  async unlink(context: RequestContext, parent: DirectoryInode, name: string): Promise<void> {
    const { changes, inodes, unlinked, writeBack } = this.#core
    const call = { operation: 'unlink', names: [{ parent, name }] } as const
    if (await changes.repeats(context, call)) return
    await changes.free(context, call)
    await abortable(unlinked.returning.bring('/'), context.signal)
    const child = await this.existing(context, parent, name)
    try {
      if (child.kind === 'directory') throw new ErrnoError('EISDIR', inodes.path(child))
      await abortable(writeBack.settle(inodes.path(child)), context.signal)
      await changes.run(
        context,
        { ...call, inodes: [child] },
        { work: signal => this.#unlinkFile(parent, child, signal) },
      )
    } finally {
      inodes.drop(child)
    }
  }

  async rmdir(context: RequestContext, parent: DirectoryInode, name: string): Promise<void> {
    const { changes, inodes, markers, tree, unlinked } = this.#core
    const call = { operation: 'rmdir', names: [{ parent, name }] } as const
    if (await changes.repeats(context, call)) return
    await changes.free(context, call)
    await abortable(unlinked.returning.bring('/'), context.signal)
    const child = await this.existing(context, parent, name)
    try {
      if (child.kind === 'file') throw new ErrnoError('ENOTDIR', inodes.path(child))
      await changes.free(context, call, [child])
      await this.checkEmpty(context, child)
      const remove = async (signal: AbortSignal): Promise<void> => {
        signal.throwIfAborted()
        await this.#removeDirectory(parent, child)
      }
      await changes.run(
        context,
        { ...call, inodes: [child] },
        { work: signal => tree.shared(() => markers.alone(child, () => remove(signal))) },
      )
    } finally {
      inodes.drop(child)
    }
  }

  /** A name was added to or removed from a directory. */
  touch(directory: DirectoryInode): void {
    directory.modified = this.#core.clock()
    delete directory.overrides.mtime
    delete directory.overrides.ctime
    this.#core.attributes.touched(directory)
  }

  /** The kernel has just looked the name up: what lives under it needs no second look. */
  async existing(context: RequestContext, parent: DirectoryInode, name: string): Promise<Inode> {
    const inode = parent.children.get(name) ?? (await this.#lookup.resolve(context, parent, name))
    if (inode !== undefined) return inode
    throw new ErrnoError('ENOENT', this.#core.inodes.childPath(parent, name))
  }

  async #unlinkFile(parent: DirectoryInode, child: FileInode, signal: AbortSignal): Promise<void> {
    const { attributes, markers, tree } = this.#core
    const remove = async (carries: boolean): Promise<void> => {
      signal.throwIfAborted()
      const maybeStored = mayBeStored(child)
      const taken = carries ? await carry(this.#core, child, 'move') : NOT_CARRIED
      if (maybeStored && taken.version === undefined) await this.#deleteFile(parent, child)
      this.gone(parent, child.name)
      bury(this.#core, child, taken)
      if (maybeStored) markers.childRemoved(parent)
    }
    const removed = tree.shared(() =>
      attributes.alone(child, () => withContent(this.#core, child, remove)),
    )
    child.moving = removed.catch(() => undefined)
    await removed.finally(() => (child.moving = undefined))
    if (child.handles === 0) await dropDirty(child)
  }

  /** Soon, if nothing of the file can be on its way to the store any more. */
  async #deleteFile(parent: DirectoryInode, child: FileInode): Promise<void> {
    const { deletes, driver, inodes } = this.#core
    const path = inodes.path(child)
    const { name } = child
    const failed = (): void => this.#reappear(parent, name)
    try {
      if (child.dirty !== undefined || child.handles > 0) await driver.deleteFile(path)
      else await deletes.remove({ path, failed })
    } catch (error) {
      // Whether it is there, only the store can tell.
      failed()
      throw error
    }
  }

  /** What was taken away here is there all the same. */
  #reappear(parent: DirectoryInode, name: string): void {
    const { inodes, metadata, notifier } = this.#core
    metadata.forget(inodes.path(parent))
    notifier.invalidateEntry(parent.ino, name)
  }

  /** For callers that hold the tree. */
  async #removeDirectory(parent: DirectoryInode, child: DirectoryInode): Promise<void> {
    const { deletes, inodes, markers } = this.#core
    // Empty, and shown all the same: by a marker, whoever wrote it.
    const isMarked = child.hasMarker !== false || child.presence === 'stored'
    const { name } = child
    const path = `${inodes.path(child)}/`
    const failed = (): void => this.#reappear(parent, name)
    if (isMarked) await deletes.remove({ path, failed })
    const wasShown = child.presence !== 'made'
    this.gone(parent, child.name)
    this.discardDirectory(child)
    if (wasShown) markers.childRemoved(parent)
  }

  discardDirectory(directory: DirectoryInode): void {
    const { inodes, markers, metadata } = this.#core
    metadata.forgetTree(inodes.path(directory))
    inodes.unlink(directory)
    markers.removed(directory)
  }

  gone(parent: DirectoryInode, name: string): void {
    this.#core.metadata.changed(this.#core.inodes.path(parent), name, undefined)
    this.touch(parent)
  }

  async checkEmpty(context: RequestContext, directory: DirectoryInode): Promise<void> {
    const { driver, inodes, metadata } = this.#core
    const path = inodes.path(directory)
    const full = (): ErrnoError => new ErrnoError('ENOTEMPTY', path)
    for (const child of directory.children.values()) if (isLocal(child)) throw full()
    if (directory.presence === 'made') {
      if (directory.children.size > 0) throw full()
      return
    }
    // That it was filled elsewhere meanwhile is no harm: what is in it shows the directory again.
    const isEmpty = metadata.isEmpty(path)
    if (isEmpty === false) throw full()
    if (isEmpty === true) return
    for await (const page of driver.entries(path, { signal: context.signal })) {
      if (page.entries.length > 0) throw full()
    }
  }
}
