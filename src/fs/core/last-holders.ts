/**
 * Takes the name from a file, and leaves its content to those who have it open: unlink, and rename
 * over a file. See unlinked-files.ts for where the content goes.
 */
import type { WriteResult } from '../../driver/driver.js'
import type { Core } from './core.js'
import { follow, objectOf } from './file-version.js'
import type { FileInode } from './inode.js'

/** What is done about the content before the name goes. */
export interface Carried {
  /** Where the file lives on; undefined if it need not, or cannot. */
  readonly home: string | undefined
  /** What lies there; undefined if nothing does yet. */
  readonly version: WriteResult | undefined
}

export const NOT_CARRIED: Carried = { home: undefined, version: undefined }

/**
 * Does what takes the name away, such that writes and flushes of the file do not overlap with it.
 * Parts of a file that have been sent can be read by nobody before they are published: a file that
 * somebody has open is stored first, under the name that it still has.
 *
 * @param work  gets whether the content is to be carried home
 */
export async function withContent(
  core: Core,
  file: FileInode,
  work: (carries: boolean) => Promise<void>,
): Promise<void> {
  const { dirty, handles } = file
  if (dirty === undefined) return work(handles > 0)
  if (handles === 0) return dirty.alone(() => work(false))
  if (!dirty.isDirty || dirty.isUnsent) return dirty.alone(() => work(true))
  let isStored = false
  try {
    await dirty.flushAnd(() => {
      isStored = true
      return work(true)
    })
  } catch (error) {
    if (isStored) throw error
    const path = core.inodes.path(file)
    core.log.warn({ path, err: error }, 'an open file loses what was sent of it with its name')
    await dirty.alone(() => work(false))
  }
}

/**
 * Gives the file a home and carries there what its holders may still read from the store. For callers
 * that hold the tree and the file's mutex.
 */
export async function carry(core: Core, file: FileInode, how: 'move' | 'copy'): Promise<Carried> {
  const home = core.unlinked.newHome()
  const { dirty } = file
  const isAllHere = dirty?.isDirty === true && dirty.base === undefined
  if (file.version === undefined || isAllHere) return { home, version: undefined }
  const held = {
    ...objectOf(core, file),
    returned: (isBack: boolean): void => cameBack(core, file, isBack),
  }
  const version = await core.unlinked.carry(held, home, how)
  if (version !== undefined) return { home, version }
  // Another host has replaced or removed it: what the holders have open is nowhere.
  file.replaced += 1
  return NOT_CARRIED
}

/** What was believed of the name while it was in doubt is not so; moved twice, it may have another etag. */
function cameBack(core: Core, file: FileInode, isBack: boolean): void {
  const { parent, name } = file
  if (parent === undefined) return
  file.unsettled = isBack
  file.seen = -Infinity
  file.confirmed = -Infinity
  core.metadata.forget(core.inodes.path(parent))
  core.notifier.invalidateEntry(parent.ino, name)
}

/** The name is gone. */
export function bury(core: Core, file: FileInode, { home, version }: Carried): void {
  core.inodes.unlink(file, home)
  if (home === undefined) return
  if (version === undefined || file.version === undefined) file.version = undefined
  else follow(core, file, { ...file.version, ...version, path: home })
}

/** Whether an object may lie under the file's name. */
export function mayBeStored(file: FileInode): boolean {
  return file.version !== undefined || file.covers || file.dirty?.isUnsent === false
}

/** Nobody will ask for what was not stored of it. */
export async function dropDirty(file: FileInode): Promise<void> {
  const { dirty } = file
  file.dirty = undefined
  await dirty?.discard()
}
