/**
 * What is known of the attributes that the store keeps of an inode, and which version they belong to.
 *
 * Metadata comes with every answer about a file, and with listings where the service tells it. What is
 * known belongs to one version at one time (etag and Last-Modified), so that a listing is enough to
 * know that it is still right.
 */
import type { FileInfo, Metadata } from '../../driver/driver.js'
import type { Milliseconds } from '../../util/units.js'
import { attributesOf, PERMISSIONS, typeOf } from './attributes.js'
import type { AttributeDefaults } from './attributes.js'
import type { FileInode, Inode } from './inode.js'
import { decodeAttributes, encodeAttributes, typeIn } from './stored-attributes.js'

/** A version stored here has our time until the store's is seen: they differ by this much at most. */
const CLOCK_DOUBT: Milliseconds = 2000

/** Whether the store lacks what was changed here. */
export function isUnsaved({ kept }: Inode): boolean {
  return kept.changes > kept.saved
}

/** Whether the store shows another kind of file than the kernel knows under this inode. */
export function changesType(inode: FileInode, info: FileInfo, isStored: boolean): boolean {
  const { metadata, isKnown } = inode.kept
  const isShown = isStored ? metadata !== undefined || isKnown : inode.lookups > 0
  return isShown && info.metadata !== undefined && typeIn(info.metadata) !== typeOf(inode)
}

/** Takes in what an answer or a listing that began at `seen` has told. */
export function learn(
  inode: Inode,
  info: FileInfo,
  { seen, isStored }: { seen: Milliseconds; isStored: boolean },
): void {
  const { kept } = inode
  const version = versionOf(info)
  if (info.metadata === undefined) {
    if (inode.kind === 'directory' || seen <= kept.seen) return
    if (kept.version === undefined || isSameVersion(kept.version, version)) {
      kept.version = version
    } else {
      kept.metadata = undefined
    }
    return
  }
  if (seen < kept.seen) return
  kept.seen = seen
  // What was published here keeps its doubt until the store has told the time.
  if (kept.version?.time !== version?.time || kept.version?.etag !== version?.etag) {
    kept.version = version
  }
  const isNews = kept.metadata === undefined || !isSame(kept.metadata, info.metadata)
  kept.metadata = info.metadata
  kept.isKnown = true
  if (isNews && !isUnsaved(inode)) restore(inode, info.metadata, isStored)
}

/** This mount has stored the version, with the attributes that were sent along. */
export function published(file: FileInode, info: FileInfo): FileInfo {
  const { kept } = file
  const { etag, modTime } = info
  if (etag !== undefined && modTime !== undefined) {
    kept.version = { etag, time: modTime.getTime(), doubt: CLOCK_DOUBT }
  }
  return kept.metadata === undefined ? info : { ...info, metadata: kept.metadata }
}

/** What the store is to keep of an inode. */
export function metadataOf(inode: Inode, defaults: AttributeDefaults): Metadata {
  const { overrides, kept } = inode
  const { mode, uid, gid, mtime, rdev } = attributesOf(inode, defaults)
  const time = inode.kind === 'file' ? mtime : overrides.mtime
  const xattrs = overrides.xattrs ?? new Map<string, Uint8Array>()
  const attributes = { mode, uid, gid, rdev, xattrs }
  const { target } = overrides
  return encodeAttributes(
    { ...attributes, ...(time && { mtime: time }), ...(target !== undefined && { target }) },
    kept.metadata,
  )
}

function restore(inode: Inode, metadata: Metadata, isStored: boolean): void {
  const { overrides } = inode
  const { mode, uid, gid, mtime, rdev, target, xattrs } = decodeAttributes(metadata)
  if (inode.kind === 'file') overrides.type = typeIn(metadata)
  overrides.target = target
  overrides.rdev = rdev
  if (!isStored) return
  overrides.mode = mode === undefined ? undefined : mode & PERMISSIONS
  overrides.uid = uid
  overrides.gid = gid
  overrides.mtime = mtime
  overrides.xattrs = xattrs
  overrides.ctime = undefined
}

type VersionTime = Inode['kept']['version']

/** The version that an answer tells of; undefined for what has none. */
export function versionOf({ etag, modTime }: FileInfo): VersionTime {
  return etag === undefined ? undefined : { etag, time: modTime?.getTime() ?? 0, doubt: 0 }
}

/** Whether both are one version stored at one time, as far as clocks differ. */
export function isSameVersion(a: VersionTime, b: VersionTime): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.etag === b.etag && Math.abs(a.time - b.time) <= Math.max(a.doubt, b.doubt)
}

function isSame(a: Metadata, b: Metadata): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every(name => a[name] === b[name])
}
