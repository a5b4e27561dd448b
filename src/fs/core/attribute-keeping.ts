/** What the parts of the core ask of attribute-store.ts, which keeps attributes in step with the store. */
import type { Composition, FileInfo, Metadata } from '../../driver/driver.js'
import type { Milliseconds } from '../../util/units.js'
import type { RequestContext } from '../operations.js'
import type { DirectoryInode, FileInode, Inode } from './inode.js'
import type { Silence } from './unsaved.js'

/** Attributes on their way to the store. */
export interface Saving {
  readonly metadata?: Metadata
  /** The store has them. */
  readonly done: () => void
}

/** An entry of a listing whose metadata may have to be asked for. */
export interface ListedInfo {
  info: FileInfo | undefined
  seen: Milliseconds
}

/** Asks the store about a file. */
export type AskFile = (context: RequestContext, file: FileInode) => Promise<void>

export interface AttributeKeeping {
  readonly isStored: boolean
  /** Entries of a listing that are asked about with the one that is to be shown. */
  readonly ahead: number

  /** Whether the store shows another kind of file than the kernel knows under this inode. */
  changesType(inode: FileInode, info: FileInfo): boolean
  /** Takes in what an answer or a listing that began at `seen` has told. */
  learn(inode: Inode, info: FileInfo, seen: Milliseconds): void
  /** Somebody else has put another version in place of the one that is known. */
  replaced(file: FileInode): void
  /** The inode was made here: there is nothing to be asked for. */
  made(inode: Inode): void
  /** Makes sure that the attributes of an inode are known; nothing to wait for if they are. */
  need(context: RequestContext, inode: Inode, ask: AskFile): Promise<void> | undefined
  /** Whether an entry must be asked about before it can be shown with its attributes. */
  isUnknown(directory: DirectoryInode, entry: ListedInfo): boolean
  /** Asks, in parallel, about those of the entries whose attributes are not known. */
  prepare(
    context: RequestContext,
    directory: DirectoryInode,
    entries: readonly ListedInfo[],
  ): Promise<void>

  /** Attributes were changed here, and are to be stored. */
  changed(inode: Inode): void
  /** A name was added to or removed from a directory: a time of change that was set is over. */
  touched(directory: DirectoryInode): void
  /** Whether changes of attributes are not in the store, and nothing that is under way takes them there. */
  isUnsaved(inode: Inode): boolean
  /**
   * What is to be sent with whatever stores the inode now.
   *
   * @param options.special  the file is not a regular one, which must be told in any case
   */
  saving(inode: Inode, options?: { readonly special?: boolean }): Saving
  /** This mount has stored the version, with the attributes that were sent along. */
  published(file: FileInode, info: FileInfo): FileInfo
  /** The composition, completed with the attributes that the file has by then. */
  carriedBy(composition: Composition, file: FileInode): Composition
  /** The store has what was changed of the inode. */
  flush(inode: Inode): Promise<void>
  /** As `flush`, of all but what is stored with something else. @throws UnsavedError */
  flushAll(silence?: Silence): Promise<void>
  /** Nothing is stored any more unless asked for. */
  stop(): void
  /** Stores what is left, and drops the rest. @throws UnsavedError */
  close(silence?: Silence): Promise<void>
  /** Does what must not overlap with the storing of attributes: it would bring a removed file back. */
  alone<T>(inode: Inode | undefined, work: () => Promise<T>): Promise<T>
}
