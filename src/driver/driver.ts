/**
 * The storage driver contract: docker/distribution's `StorageDriver`, plus what a file system needs
 * and a registry does not.
 *
 * Model: a store of files named by absolute driver paths (`/a/b`, see path.ts). Directories are not
 * things of their own: a directory exists when a directory marker (`makeDirectory`) or any path below
 * it does. If both `/a` and `/a/…` exist, `/a` is a directory.
 *
 * What distribution has (same names, same meaning): name, getContent, putContent, reader, writer,
 * stat, list, move, delete, redirectURL, walk. What is added: ranged reads pinned to an etag
 * (`reader`, `readInto`), conditional writes, listing pages that carry size, time and etag
 * (`entries`, `entriesBelow`), `copy`, directory markers, multipart composition (`compose`), and a
 * capability record instead of optional methods. Files in the reserved directory of unlinked files
 * (see path.ts) can be named in all methods that take a file, and are never listed.
 *
 * Every method rejects with a class of errors.ts, takes an AbortSignal wherever it can wait, and
 * rejects with the signal's reason once that is aborted.
 *
 * @see https://distribution.github.io/distribution/storage-drivers/ and
 *      distribution's registry/storage/driver/storagedriver.go
 */
import type { Readable } from 'node:stream'
import type { Bytes } from '../util/units.js'

/** What the store behind a driver can do. */
export interface DriverCapabilities {
  /** `ifMatch` and `ifNoneMatch` of writes are enforced by the store, also against other hosts. */
  readonly conditionalWrites: boolean
  /** `copy`, `move` and `copyPart` move no bytes through this process. */
  readonly serverSideCopy: boolean
  /** `redirectURL` gives URLs. */
  readonly redirects: boolean
  /** `entriesBelow` takes one request per page of things, not one per directory. */
  readonly listsSubtrees: boolean
  /**
   * Directories are there of themselves, and stay when they are empty; a name is that of a file or of a
   * directory, never of both (ConflictError).
   */
  readonly realDirectories: boolean
  /**
   * The most that the metadata of one object may come to, names as the store writes them and values
   * together; see `metadataSize`.
   */
  readonly metadataLimit: Bytes
}

/**
 * Named texts that a store keeps with an object and gives back, replaced as a whole. Names are lower
 * case letters, digits and dashes; values are printable ASCII, not empty, without blanks at the ends.
 */
export type Metadata = Readonly<Record<string, string>>

/** The numbers that bound a `Composition`. */
export interface PartLimits {
  /** Preferred part size: the driver's `chunksize`. */
  readonly partSize: Bytes
  /** No part but the last may be smaller. */
  readonly minPartSize: Bytes
  /** No part, uploaded or copied, may be larger. */
  readonly maxPartSize: Bytes
  /** Part numbers run from 1 to this. */
  readonly maxParts: number
}

export interface FileInfo {
  /** Absolute driver path. */
  readonly path: string
  /** Bytes; 0 for a directory. */
  readonly size: Bytes
  /** Time of the last change; absent for a directory that has no marker. */
  readonly modTime?: Date
  readonly isDir: boolean
  /** The version of the content, without quotes; absent for directories. */
  readonly etag?: string
  /** Of the file, or of the directory's marker; absent: not known. `stat` of a file always knows. */
  readonly metadata?: Metadata
  /** Content-Type and its kind by lower-case name, as far as they must survive; absent: not known. */
  readonly contentHeaders?: Readonly<Record<string, string>>
  readonly storageClass?: string
}

export interface DriverOptions {
  signal?: AbortSignal
}

export interface DeleteOptions extends DriverOptions {
  /**
   * Told of objects that have gone, markers included, each time some have. A store that deletes a whole
   * directory by itself tells nothing.
   */
  onDeleted?: (objects: number) => void
}

export interface StatOptions extends DriverOptions {
  /**
   * What the caller already knows the path to be: saves the request that would look for the other
   * kind. With `file`, a directory of the same name goes unseen; with `directory`, a file does; with
   * `marker` only the directory's marker is looked for, and its metadata is told.
   */
  expect?: 'file' | 'directory' | 'marker'
}

export interface ReadOptions extends DriverOptions {
  /** First byte wanted; default 0. */
  offset?: Bytes
  /** Bytes wanted; default to the end. Fewer are delivered only where the file ends. */
  length?: Bytes
  /** Fails with PreconditionError instead of delivering another version. */
  etag?: string
}

/** Conditions of a write; a failed one is a PreconditionError and nothing has changed. */
export interface WriteConditions {
  /** The path must hold exactly this version. */
  ifMatch?: string
  /** The path must not exist. */
  ifNoneMatch?: '*'
  /**
   * The same was tried before, and nobody knows whether it took effect: what is there and is exactly what
   * this write makes counts as written.
   */
  repeated?: boolean
  /** No condition, but what the caller knows: nothing is at the path. If it is not so, nothing is lost. */
  isFree?: boolean
}

export interface WriteOptions extends DriverOptions, WriteConditions {
  contentType?: string
  metadata?: Metadata
}

/** The version that a write has made. */
export interface WriteResult {
  readonly etag: string
  readonly size: Bytes
}

/** An open stream over one version of a file. */
export interface ContentReader {
  /** The bytes asked for. Ends with an error, never early, when the transfer breaks off. */
  readonly stream: Readable
  /** Size of the whole file, not of the range. */
  readonly size: Bytes
  readonly etag: string
  readonly modTime?: Date
}

export interface ReadIntoOptions extends DriverOptions {
  offset?: Bytes
  /** Fails instead of mixing two versions. */
  etag?: string
  /**
   * One more target of a list, the first at first, has all its bytes, and they are final even if the
   * read fails later. Called for none, some or all of them before the promise settles.
   */
  filled?: (target: Uint8Array) => void
  /**
   * Told of the object's metadata before any of its bytes is delivered; what it throws refuses the read.
   */
  accept?: (metadata: Metadata) => void
}

export interface ReadIntoResult {
  readonly bytesRead: Bytes
  readonly size: Bytes
  readonly etag: string
}

export interface WriterOptions extends DriverOptions {
  /**
   * false: start afresh, dropping what an earlier writer left. true: go on behind what an earlier
   * writer closed without commit, in this process or another, or else behind the committed file.
   */
  append?: boolean
}

/**
 * Distribution's FileWriter. Nothing is visible at the path before `commit`. Exactly one of `commit`
 * and `cancel` ends the content; `close` without either keeps it for a writer with `append`.
 * A call in a wrong state rejects with DriverError ("already closed / committed / cancelled").
 */
export interface FileWriter {
  /** Bytes so far, those of resumed writers included. */
  readonly size: Bytes
  /** Takes all bytes or rejects; resolves when the writer is ready for more (back-pressure). */
  write(data: Uint8Array, options?: DriverOptions): Promise<void>
  /** Makes all bytes durable enough for another process to append; does not publish. */
  close(options?: DriverOptions): Promise<void>
  /** Drops everything written. */
  cancel(options?: DriverOptions): Promise<void>
  /** Publishes the content at the path. `close` after it is legal. */
  commit(options?: DriverOptions & WriteConditions): Promise<WriteResult>
}

/** One part of a composition as the store has confirmed it. */
export interface Part {
  /** 1 to PartLimits.maxParts. */
  readonly partNumber: number
  readonly etag: string
  readonly size: Bytes
}

/**
 * A file being put together from parts that are uploaded here or copied, inside the store, from
 * ranges of existing files. Parts may go in any order and in parallel; a part number sent again
 * replaces the earlier part. Exactly one of `complete` and `abort` ends it.
 */
export interface Composition {
  readonly path: string
  readonly uploadId: string
  uploadPart(
    partNumber: number,
    data: readonly Uint8Array[],
    options?: DriverOptions,
  ): Promise<Part>
  /** Copies bytes [offset, offset+length) of `source`, which must be the version `etag`. */
  copyPart(partNumber: number, source: CopyRange, options?: DriverOptions): Promise<Part>
  /** Publishes the parts in ascending order of their numbers; gaps are allowed. */
  complete(parts: readonly Part[], options?: CompleteOptions): Promise<WriteResult>
  /** Drops all parts; also of a composition that is already gone. */
  abort(options?: DriverOptions): Promise<void>
}

export interface CopyRange {
  readonly path: string
  readonly etag: string
  readonly offset: Bytes
  readonly length: Bytes
}

export interface ComposeOptions extends DriverOptions {
  contentType?: string
  metadata?: Metadata
}

export interface CompleteOptions extends DriverOptions, WriteConditions {
  /** In place of what the composition was begun with, all of whose names it has. */
  metadata?: Metadata
}

export interface MakeDirectoryOptions extends DriverOptions {
  /** Replaces that of a marker which is there already. */
  metadata?: Metadata
  /** What the caller knows: there is no marker. If it is not so, nothing is lost. */
  isFree?: boolean
}

export interface SetMetadataOptions extends DriverOptions {
  /** The file must be this version; default: whatever it is. */
  ifMatch?: string
  /** What is known of the file: saves the request that would find out. */
  known?: FileInfo
}

export interface EntriesOptions extends DriverOptions {
  /** Only names that sort after this one in UTF-8 byte order. */
  startAfter?: string
  /** Tell each entry's metadata too, if the store does so without a request more. */
  metadata?: boolean
}

/** Some direct children of a directory. A name comes once in a listing, in no promised order. */
export interface EntriesPage {
  readonly entries: readonly FileInfo[]
  /** Things that exist but that no path can express, e.g. a key with an empty component. */
  readonly hidden: number
  /**
   * How far the listing has come: every name that is, with a slash behind it, at or before this in UTF-8
   * byte order has been told by now, from where the listing began. Absent: not known.
   */
  readonly upTo?: string | undefined
}

/** Behind all names: how far a listing has come that has come to its end. */
export const LISTING_END = '\u{10FFFF}'

export interface EntriesBelowOptions extends DriverOptions {
  /** As of `EntriesOptions`; of files. */
  metadata?: boolean
  /** A directory below the path to begin with: what the store lists before it is left out. */
  from?: string
}

/** Some direct children of one directory. */
export interface DirectoryPage extends EntriesPage {
  readonly path: string
  /** Together with the earlier pages these are all its children. */
  readonly isComplete: boolean
}

/**
 * What one page of a subtree's listing tells. A directory in which nothing was found is told of by its
 * entry in the one above alone, if the page has gone on behind it.
 */
export interface SubtreePage {
  readonly directories: readonly DirectoryPage[]
}

export interface MoveOptions extends DriverOptions, WriteConditions {
  /** Of the new name, in place of what the source has; for files only. */
  metadata?: Metadata
  /** What the caller knows, for a file: it is not looked for. If it is not so any more nothing is lost. */
  known?: KnownMove
  /** Told of the size of each object once the store has moved it; not where a directory is renamed whole. */
  onMoved?: (bytes: Bytes) => void
}

export interface MoveResult extends WriteResult {
  /** Of the file at its new place; absent: not known. */
  readonly modTime?: Date
}

export interface KnownMove {
  /** The source: a file. */
  readonly source: FileInfo
  /**
   * Nothing is at the destination, as the caller has just seen; otherwise it is a file. With
   * `ifNoneMatch` a store whose own rename knows no condition may rename all the same: what another
   * client puts there at that moment is replaced.
   */
  readonly isFree: boolean
}

export interface CopyOptions extends Omit<MoveOptions, 'known' | 'onMoved'> {
  /** The source must be this version. */
  etag?: string
}

/** One of many paths that could not be deleted. */
export interface DeleteFailure {
  readonly path: string
  readonly error: unknown
}

export interface RedirectOptions {
  /** The method the URL must serve. */
  method: 'GET' | 'HEAD'
  /** Lifetime; default 20 minutes, as in distribution's S3 driver. */
  expires?: number
}

/** What `walk` does after a visit: nothing, not enter this directory, or end (not an error). */
export type WalkDirective = void | 'skip-directory' | 'stop'

export interface WalkOptions extends DriverOptions {
  /** Entries at or before this path, compared depth first, need not be visited. */
  startAfter?: string
}

/** An unfinished upload below the driver's root. */
export interface UploadInfo {
  readonly path: string
  readonly uploadId: string
  readonly initiated: Date
}

export interface AbortUploadOptions extends DriverOptions {
  /** Leaves an upload alone that has a part; default false. */
  readonly onlyEmpty?: boolean | undefined
}

export interface StorageDriver {
  readonly name: string
  readonly capabilities: DriverCapabilities
  readonly partLimits: PartLimits

  /**
   * Checks, without asking the store, that a file or directory of this path could be made.
   * @throws InvalidPathError, PathTooLongError
   */
  checkPath(path: string): void

  /** The name of the file's object in the store, without asking the store. */
  keyOf(path: string): string

  /**
   * Reads a whole small file.
   * @throws PathNotFoundError, InvalidPathError
   */
  getContent(path: string, options?: DriverOptions): Promise<Buffer>

  /**
   * Creates or replaces a file by one request. Readers see the old or the new content.
   * @throws InvalidPathError, PreconditionError
   */
  putContent(
    path: string,
    content: Uint8Array | readonly Uint8Array[],
    options?: WriteOptions,
  ): Promise<WriteResult>

  /**
   * Opens a stream. An offset equal to the size gives a stream that is at its end. The caller owns
   * the stream and must consume or destroy it.
   * @throws PathNotFoundError, InvalidOffsetError (negative or past the end), PreconditionError
   */
  reader(path: string, options?: ReadOptions): Promise<ContentReader>

  /**
   * Reads one range into memory that the caller owns: as many bytes from `offset` as the target, or
   * the list of targets, has room for; fewer only where the file ends. A target must not be used until
   * it was `filled` or the promise has settled, and is not written to afterwards.
   * @throws as `reader`
   */
  readInto(
    path: string,
    target: Uint8Array | readonly Uint8Array[],
    options?: ReadIntoOptions,
  ): Promise<ReadIntoResult>

  /** Opens a writer. @throws PathNotFoundError when there is nothing to append to */
  writer(path: string, options?: WriterOptions): Promise<FileWriter>

  /** Starts a composition at `path`. Nothing is visible before it is completed. */
  compose(path: string, options?: ComposeOptions): Promise<Composition>

  /** @throws PathNotFoundError. `/` always exists. */
  stat(path: string, options?: StatOptions): Promise<FileInfo>

  /** Paths of the direct children. @throws PathNotFoundError; `/` can always be listed. */
  list(path: string, options?: DriverOptions): Promise<string[]>

  /**
   * The direct children with their attributes, page by page as the store delivers them; one request
   * per page. Iterating an absent directory gives no entries and no error.
   */
  entries(path: string, options?: EntriesOptions): AsyncIterable<EntriesPage>

  /**
   * Everything below a directory, with attributes, page by page in the store's order, which keeps all
   * that is below one directory together. Each directory's children come as with `entries`; those of
   * directories above `from` are not complete.
   */
  entriesBelow(path: string, options?: EntriesBelowOptions): AsyncIterable<SubtreePage>

  /**
   * Makes a directory exist although nothing is in it. Idempotent.
   * @throws UnsupportedError it exists, and the store cannot give it other metadata
   */
  makeDirectory(path: string, options?: MakeDirectoryOptions): Promise<void>

  /**
   * Removes the directory marker alone; what is below stays. Not an error when there is none.
   */
  removeDirectoryMarker(path: string, options?: DriverOptions): Promise<void>

  /**
   * Replaces the metadata of a file; its content stays, and other properties of it as far as the store
   * tells them. Moves no bytes through this process.
   * @throws PathNotFoundError, PreconditionError
   */
  setMetadata(path: string, metadata: Metadata, options?: SetMetadataOptions): Promise<WriteResult>

  /** Copies one file inside the store. @throws PathNotFoundError, PreconditionError */
  copy(source: string, destination: string, options?: CopyOptions): Promise<WriteResult>

  /**
   * Renames a file or a whole directory, replacing a file at the destination. The source goes only
   * after the copy was verified. Interrupted, it may leave both names, never neither; repeating it
   * finishes it.
   *
   * @returns what a file is at its new place; undefined for a directory
   * @throws PathNotFoundError with the destination untouched
   */
  move(source: string, destination: string, options?: MoveOptions): Promise<MoveResult | undefined>

  /** Deletes a file, or a directory with all that is below. @throws PathNotFoundError */
  delete(path: string, options?: DeleteOptions): Promise<void>

  /**
   * Deletes one file, by one request; what is below a directory of the same name stays. Not an error
   * when there is none.
   */
  deleteFile(path: string, options?: DriverOptions): Promise<void>

  /**
   * Deletes many files, and directory markers, which are paths that end with a slash, by as few
   * requests as the store can do it. What is not there counts as deleted; what is below stays.
   *
   * @returns what could not be deleted; does not reject because of single paths
   */
  deleteMany(paths: readonly string[], options?: DriverOptions): Promise<readonly DeleteFailure[]>

  /** A URL that a plain HTTP client can use, or undefined if the store gives none. */
  redirectURL(path: string, options: RedirectOptions): Promise<string | undefined>

  /**
   * Visits everything below `path`, parents before children, names in byte order. What vanishes
   * during the walk is skipped.
   * @throws PathNotFoundError for a missing root
   */
  walk(
    path: string,
    visit: (info: FileInfo) => WalkDirective | Promise<WalkDirective>,
    options?: WalkOptions,
  ): Promise<void>

  /** Unfinished compositions and writers at or below `path`. */
  uploads(path: string, options?: DriverOptions): AsyncIterable<UploadInfo>

  /** Aborts one unfinished upload; not an error when it is gone. */
  abortUpload(upload: UploadInfo, options?: AbortUploadOptions): Promise<void>

  /** Ends all connections once what is under way has finished. Idempotent. */
  close(): Promise<void>
}
