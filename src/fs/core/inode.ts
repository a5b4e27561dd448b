/**
 * The records of inodes. Plain data; inode-table.ts keeps them consistent.
 *
 * An inode is a file or a directory as the kernel knows it, and lives while the kernel remembers it,
 * a handle is open on it, its name is being changed, it is the parent of a living inode, or it holds something that the store
 * does not have yet. Its path is never stored: it follows from the parents, so renaming a directory
 * moves all that is below at once.
 */
import type { DirtyFile } from '../../cache/dirty-file.js'
import type { FileInfo, Metadata } from '../../driver/driver.js'
import type { Milliseconds } from '../../util/units.js'
import type { Ino, Timestamp } from '../operations.js'

/** Attributes that programs have set and that hold for the life of the inode. */
export interface AttributeOverrides {
  mode?: number | undefined
  uid?: number | undefined
  gid?: number | undefined
  atime?: Timestamp | undefined
  mtime?: Timestamp | undefined
  ctime?: Timestamp | undefined
  /** Type bits of a file that is not a regular one. */
  type?: number | undefined
  rdev?: number | undefined
  /** Of a symbolic link, if known. */
  target?: string | undefined
  xattrs?: ReadonlyMap<string, Uint8Array> | undefined
}

/** What is known of the attributes that the store keeps; see attribute-store.ts, which alone changes it. */
export interface KeptAttributes {
  /** undefined: not known of the present version. */
  metadata: Metadata | undefined
  /** The metadata was known once, and the kernel may have been told. */
  isKnown: boolean
  /** Which version it belongs to; its time is right up to `doubt`. */
  version:
    { readonly etag: string; readonly time: Milliseconds; readonly doubt: Milliseconds } | undefined
  /** When it was so, by the monotonic clock. */
  seen: Milliseconds
  /** Counts the changes made here; those up to `saved` are in the store. */
  changes: number
  saved: number
}

interface InodeRecord {
  readonly ino: Ino
  /** st_ino: from the path at which the inode was first seen, the same each time it comes back. */
  readonly number: number
  /** undefined for the root, and once unlinked. */
  parent: DirectoryInode | undefined
  name: string
  /** The kernel's lookup count. */
  lookups: number
  /** Open handles. */
  handles: number
  /** Changes of its name, or in it, that are under way. */
  pins: number
  readonly overrides: AttributeOverrides
  readonly kept: KeptAttributes
  /** Unix time at which the inode was made here: what stands in for a time that is not known. */
  readonly born: Milliseconds
}

export interface FileInode extends InodeRecord {
  readonly kind: 'file'
  /** The version in the store, as last seen; undefined if the file was never stored. */
  version: (FileInfo & { readonly etag: string }) | undefined
  /** The store has another file under this name, which this one replaces once it is stored. */
  covers: boolean
  /** The first version that is stored must not replace one that another host has stored: O_EXCL. */
  exclusive: boolean
  /** Where the store was asked to put it, and did not say whether it has. */
  attempted: string | undefined
  /** When `version` was last known to be the present one, by the monotonic clock. */
  seen: Milliseconds
  /** When the store was last asked for this very file, by the same clock; a listing may lag behind. */
  confirmed: Milliseconds
  /** Unlinked while open: its path is a home of unlinked-files.ts until its last handle goes. */
  hidden: boolean
  /** Moved by this mount, and the store has not said yet which etag it has there. */
  unsettled: boolean
  /** A rename under way, or an unlink. Never rejects. */
  moving: Promise<void> | undefined
  /** Present from the first write until the last handle that wrote is released. */
  dirty: DirtyFile | undefined
  /** The etag of the version that the kernel's page cache holds pages of. */
  pagesOf: string | undefined
  /** Counts the times that the content was replaced by somebody else: open handles become stale. */
  replaced: number
}

export interface DirectoryInode extends InodeRecord {
  readonly kind: 'directory'
  /** Living inodes among the children; not a listing. */
  readonly children: Map<string, Inode>
  /**
   * stored: the bucket shows the directory, by its marker or by something below it.
   * made: made here, and nothing in the bucket shows it yet.
   * doubtful: its last child may have been removed; the bucket may show it or not.
   */
  presence: 'stored' | 'made' | 'doubtful'
  /** Whether this mount has written or found a marker object; other hosts may have changed that. */
  hasMarker: boolean | undefined
  /** Counts the children that were removed from the bucket. */
  removals: number
  modified: Milliseconds | undefined
}

export type Inode = FileInode | DirectoryInode

/** Whether only this mount knows that the inode exists. */
export function isLocal(inode: Inode): boolean {
  return inode.kind === 'directory'
    ? inode.presence !== 'stored'
    : inode.version === undefined || inode.dirty?.isDirty === true
}
