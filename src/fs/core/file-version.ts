/** Keeps a file inode in step with the version in the store, whoever made that version. */
import type { ObjectId } from '../../cache/object-id.js'
import type { FileInfo } from '../../driver/driver.js'
import { ErrnoError } from '../../util/errno.js'
import { abortable } from '../../util/abort.js'
import type { Milliseconds } from '../../util/units.js'
import type { Core } from './core.js'
import type { InodeTable } from './inode-table.js'
import type { FileInode } from './inode.js'

type Version = NonNullable<FileInode['version']>

/**
 * A listing that began at `seen` shows `info`. A listing may lag behind: where it tells of another
 * version than is known, the store is to be asked before anything is believed.
 */
export function note(file: FileInode, info: FileInfo, seen: Milliseconds): FileInode {
  if (file.version === undefined) {
    file.version = checked(info)
    file.seen = seen
  } else if (file.version.etag === info.etag) {
    file.seen = Math.max(file.seen, seen)
  } else if (seen > file.confirmed) {
    file.seen = -Infinity
    file.confirmed = -Infinity
  }
  return file
}

/**
 * The store has answered, to a request sent at `seen`, that the file is the version `info`. A version
 * made elsewhere makes open handles stale; what was seen before the present version changes nothing.
 */
export function adopt(core: Core, file: FileInode, info: FileInfo, seen: Milliseconds): FileInode {
  if (seen < file.seen) return file
  if (core.attributes.changesType(file, info)) {
    if (file.parent !== undefined) core.notifier.invalidateEntry(file.parent.ino, file.name)
    removedElsewhere(core.inodes, file)
    throw new ErrnoError('ESTALE', `${info.path} is another kind of file now`)
  }
  const version = checked(info)
  const before = file.version
  file.seen = seen
  file.confirmed = Math.max(file.confirmed, seen)
  if (before?.etag === version.etag && before.size === version.size) {
    // The same version at the same place: only the store's own idea of the time may be news.
    if (version.modTime !== undefined) file.version = version
    file.unsettled = false
    core.attributes.learn(file, info, seen)
    return file
  }
  if (file.unsettled && before?.size === version.size) {
    follow(core, file, info)
    return file
  }
  file.version = version
  if (before !== undefined) {
    delete file.overrides.mtime
    delete file.overrides.ctime
    core.attributes.replaced(file)
  }
  core.attributes.learn(file, info, seen)
  if (before === undefined) return file
  file.replaced += 1
  rebase(core, file, version)
  core.notifier.invalidateInode(file.ino, 0, 0)
  return file
}

/** This mount has moved the file, or published it: handles go on with it. */
export function follow(core: Core, file: FileInode, info: FileInfo): void {
  const version = checked(info)
  const hadPages = file.pagesOf !== undefined && file.pagesOf === file.version?.etag
  if (hadPages) file.pagesOf = version.etag
  file.version = version
  file.unsettled = false
  file.seen = core.metadata.now()
  file.confirmed = file.seen
  core.attributes.learn(file, info, file.seen)
  const { etag, size } = version
  if (file.dirty?.isDirty === true) file.dirty.moved({ path: core.inodes.path(file), etag, size })
  else rebase(core, file, version)
}

/** The store has the file no more. What is written through open handles would be stored nowhere. */
export function removedElsewhere(inodes: InodeTable, file: FileInode): void {
  file.replaced += 1
  inodes.unlink(file)
}

/** What cached blocks of the file are keyed by. @throws ErrnoError ESTALE if it was never stored */
export function objectOf(core: Core, file: FileInode): ObjectId {
  const { version } = file
  const path = core.inodes.path(file)
  if (version === undefined) throw new ErrnoError('ESTALE', `${path} is not in the store`)
  return { path, etag: version.etag, size: version.size }
}

export function isSame(a: ObjectId, b: ObjectId): boolean {
  return a.path === b.path && a.etag === b.etag
}

/**
 * Resolves when no rename of the file, or of a directory above, is under way: until then the store may
 * have it where its path does not say.
 */
export async function atRest(core: Core, file: FileInode, signal: AbortSignal): Promise<void> {
  await abortable(Promise.all([file.moving, core.tree.settled()]), signal)
}

function rebase(core: Core, file: FileInode, { etag, size }: Version): void {
  const { dirty } = file
  if (dirty === undefined || dirty.isDirty || dirty.base?.etag === etag) return
  dirty.rebase({ path: core.inodes.path(file), etag, size })
}

function checked(info: FileInfo): Version {
  const { etag } = info
  if (etag === undefined) throw new ErrnoError('EIO', `the store gives no etag for ${info.path}`)
  return { ...info, etag }
}
