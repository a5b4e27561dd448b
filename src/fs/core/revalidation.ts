/**
 * Which version of a file the store has now: what open(2) promises to its caller, and what a reader asks
 * who does not find the version that it had.
 */
import type { ObjectId } from '../../cache/object-id.js'
import { PathNotFoundError } from '../../driver/errors.js'
import { abortable } from '../../util/abort.js'
import { ErrnoError } from '../../util/errno.js'
import { KiB, type Bytes, type Milliseconds } from '../../util/units.js'
import type { RequestContext } from '../operations.js'
import { isContentAddressed } from './content-address.js'
import type { Core } from './core.js'
import { adopt, atRest, follow, objectOf, removedElsewhere } from './file-version.js'
import { isLocal } from './inode.js'
import type { FileInode } from './inode.js'

/**
 * open(2) looks the name up and opens it in two requests to us. What was seen so short a time ago was
 * seen for the same open, and close-to-open consistency needs no second request.
 */
const SAME_OPEN: Milliseconds = 20

/** So small a file comes whole when it is opened. Not all that are opened are read: `cp` copies inside the store. */
const SMALL: Bytes = 256 * KiB

/** Whether a reader need not ask which version of the file is the present one: it has only one content. */
function isImmutable({ config, inodes, metadata }: Core, file: FileInode): boolean {
  if (metadata.now() - file.seen >= config.metadataTtl) return false
  return inodes.isLinked(file) && isContentAddressed(inodes.path(file))
}

/** A file that was stored again elsewhere under an address of its content is the same file. */
export async function isSameContent(
  core: Core,
  { signal }: RequestContext,
  file: FileInode,
  { path, size }: ObjectId,
): Promise<boolean> {
  if (!isContentAddressed(path)) return false
  const info = await core.driver.stat(path, { expect: 'file', signal })
  if (info.size !== size || core.inodes.path(file) !== path) return false
  follow(core, file, info)
  return true
}

/** As `revalidate`, for an open that can only read. */
export async function revalidateReader(
  core: Core,
  context: RequestContext,
  file: FileInode,
): Promise<void> {
  if (isImmutable(core, file) || isSameOpen(core, file)) return
  if (!(await isConfirmedByReading(core, context, file))) await revalidate(core, context, file)
}

function isSameOpen({ metadata }: Core, { confirmed }: FileInode): boolean {
  return metadata.now() - confirmed < SAME_OPEN
}

/**
 * Reads the first block of a file, which will be read next anyway, on the condition that it is the version
 * that is known: one request that tells as much as two, and a reader who has not waited twice. Of its
 * attributes it tells nothing: where they are kept in the store, they are to be asked for, and so they
 * are by whoever opens it to write: what is stored anew keeps the metadata that others have given it.
 */
async function isConfirmedByReading(
  core: Core,
  { signal }: RequestContext,
  file: FileInode,
): Promise<boolean> {
  const { attributes, blocks, inodes, metadata } = core
  const { version } = file
  if (!core.readsAskStore || attributes.isStored || isLocal(file) || file.moving !== undefined) {
    return false
  }
  if (version === undefined || version.size === 0) return false
  if (file.unsettled || !inodes.isLinked(file)) return false
  const began = metadata.now()
  const isFresh = began - file.seen < core.config.metadataTtl
  if (!isFresh) return false
  const object = objectOf(core, file)
  if (!blocks.isCold(object)) return false
  const reach = version.size <= SMALL ? SMALL : 0
  try {
    await blocks.load(object, 0, blocks.blockSize, { waiter: { signal }, reach })
  } catch {
    signal.throwIfAborted()
    // Another version, most likely; or else it is the reader who is to be told.
    return false
  }
  if (file.version?.etag !== version.etag || inodes.path(file) !== object.path) return false
  file.confirmed = Math.max(file.confirmed, began)
  return true
}

/** Makes sure that `file.version` is what the store has now, and its metadata is known: what open(2) promises. */
export async function revalidate(
  core: Core,
  context: RequestContext,
  file: FileInode,
): Promise<void> {
  const { driver, inodes, metadata } = core
  // What has no name any more is nobody else's to change.
  if (file.dirty?.isDirty === true || file.version === undefined || file.hidden) return
  // One that was confirmed by reading it has metadata that is not known, and must be stored with what is changed.
  if (isSameOpen(core, file) && file.kept.metadata !== undefined) return
  const began = metadata.now()
  if (file.parent === undefined) throw new ErrnoError('ESTALE', `${inodes.path(file)} was removed`)
  const path = inodes.path(file)
  // Written or moved here meanwhile: what the store says is out of date.
  const isOutdated = (): boolean =>
    isLocal(file) || !inodes.isLinked(file) || inodes.path(file) !== path || file.seen > began
  try {
    const info = await driver.stat(path, { expect: 'file', signal: context.signal })
    if (isOutdated()) return
    metadata.put(inodes.path(file.parent), file.name, info, began)
    adopt(core, file, info, began)
  } catch (error) {
    if (!(error instanceof PathNotFoundError)) throw error
    await atRest(core, file, context.signal)
    const isBack = await abortable(core.unlinked.returning.bring(path), context.signal)
    if (isBack || isOutdated()) return revalidate(core, context, file)
    metadata.put(inodes.path(file.parent), file.name, undefined, began)
    // The kernel has opened the name without looking it up, and would go on to believe in it.
    if (file.parent !== undefined) core.notifier.invalidateEntry(file.parent.ino, file.name)
    removedElsewhere(inodes, file)
    throw error
  }
}

/** Finds out which etag a file has where this mount has moved it. */
export async function settle(core: Core, file: FileInode, signal: AbortSignal): Promise<void> {
  const { driver, inodes, metadata } = core
  const began = metadata.now()
  const info = await driver.stat(inodes.path(file), { expect: 'file', signal })
  file.unsettled &&= file.version?.size === info.size
  adopt(core, file, info, began)
  file.unsettled = false
}
