/**
 * Changes of attributes that programs ask for, or that other changes bring along: setattr, the owner
 * of what is made, and set-user-id bits that are lost. attribute-store.ts takes them to the store.
 */
import { ErrnoError } from '../../util/errno.js'
import type { Bytes } from '../../util/units.js'
import type { CreateRequest, RequestContext, SetAttributes } from '../operations.js'
import { attributesOf, PERMISSIONS, S_ISGID, S_ISUID, S_IXGRP, timestamp } from './attributes.js'
import type { Core } from './core.js'
import type { Files } from './files.js'
import type { DirectoryInode, Inode } from './inode.js'

export class AttributeChanges {
  readonly #core: Core
  readonly #files: Files
  #announced = false

  constructor(core: Core, files: Files) {
    this.#core = core
    this.#files = files
  }

  /** @throws ErrnoError EISDIR, and whatever a change of size throws */
  async set(context: RequestContext, inode: Inode, set: SetAttributes): Promise<void> {
    if (set.size !== undefined) await this.#truncate(context, inode, { ...set, size: set.size })
    this.#override(inode, set)
  }

  /** The caller owns what it makes, but for the group in a set-group-id directory. */
  owned(context: RequestContext, inode: Inode, request: CreateRequest): void {
    const { config } = this.#core
    const { overrides, parent } = inode
    const above = parent === undefined ? undefined : attributesOf(parent, config)
    const inherits = above !== undefined && (above.mode & S_ISGID) !== 0
    const bits = inherits && inode.kind === 'directory' ? S_ISGID : 0
    overrides.mode = (request.mode & PERMISSIONS) | bits
    overrides.uid = context.uid
    overrides.gid = inherits ? above.gid : context.gid
  }

  /** Whether the mount's options alone would give the inode its attributes. */
  isUsual(directory: DirectoryInode): boolean {
    const { uid, gid, directoryMode } = this.#core.config
    const { overrides } = directory
    return overrides.uid === uid && overrides.gid === gid && overrides.mode === directoryMode
  }

  /** What the kernel does on its own disks when a file is written to or given away. */
  dropPrivileges(inode: Inode): void {
    const { mode } = attributesOf(inode, this.#core.config)
    // Without the group's right to execute it, set-group-id means mandatory locking.
    const taken = S_ISUID | ((mode & S_IXGRP) !== 0 ? S_ISGID : 0)
    if (inode.kind === 'directory' || (mode & taken) === 0) return
    inode.overrides.mode = mode & PERMISSIONS & ~taken
    inode.overrides.ctime = timestamp(this.#core.clock())
    this.#core.attributes.changed(inode)
  }

  async #truncate(
    context: RequestContext,
    inode: Inode,
    set: SetAttributes & { readonly size: Bytes },
  ): Promise<void> {
    const path = this.#core.inodes.path(inode)
    if (inode.kind === 'directory') throw new ErrnoError('EISDIR', path)
    try {
      if (set.fh === undefined) await this.#files.truncateByPath(context, inode, set.size)
      else await this.#files.truncateHandle(context, set.fh, set.size)
    } catch (error) {
      // The file may have its new size here and not be stored; the kernel believes in the old one.
      this.#core.notifier.invalidateInode(inode.ino, 0, 0)
      throw error
    }
  }

  /** Of derived attributes, what is set holds as long as the inode lives. */
  #override(inode: Inode, set: SetAttributes): void {
    const { overrides } = inode
    const isOwned = set.uid !== undefined || set.gid !== undefined
    const killsHere = inode.kind === 'file' && isOwned && set.mode === undefined
    if (set.killPrivileges === true || killsHere) this.dropPrivileges(inode)
    const now = timestamp(this.#core.clock())
    if (set.mode !== undefined) overrides.mode = set.mode & PERMISSIONS
    if (set.uid !== undefined) overrides.uid = set.uid
    if (set.gid !== undefined) overrides.gid = set.gid
    if (set.atime !== undefined) overrides.atime = set.atime === 'now' ? now : set.atime
    if (set.mtime !== undefined) overrides.mtime = set.mtime === 'now' ? now : set.mtime
    overrides.ctime = now
    const persistent = [set.mode, set.uid, set.gid, set.mtime].every(value => value === undefined)
    if (persistent) return
    this.#core.attributes.changed(inode)
    if (this.#announced || this.#core.attributes.isStored) return
    this.#announced = true
    this.#core.log.info(
      { path: this.#core.inodes.path(inode) },
      'mode, owner and times that programs set hold until the file is forgotten; they are not stored',
    )
  }
}
