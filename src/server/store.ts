/**
 * What the handlers need of a store: buckets, objects, multipart uploads and the slices of data files
 * that objects are made of.
 *
 * Model: an object is a record of attributes and a list of slices. A slice is a range of an immutable
 * data file, which several objects and parts may share; the store counts the references. So completing
 * an upload and copying an object move no bytes.
 *
 * INVARIANT: reads are synchronous and see what the last resolved change has made. A change is atomic:
 * its guard sees the state that the change replaces, and nothing comes between.
 */
import type { Bytes } from '../util/units.js'
import type { KeyCursor } from './list.js'

export interface BucketRecord {
  readonly name: string
  /** Milliseconds since the epoch. */
  readonly created: number
  /** Directories are real. Default: a flat bucket. */
  readonly hierarchy?: true
  readonly acl?: readonly Grant[]
}

export interface NewBucket {
  /** Default false. */
  readonly hierarchy?: boolean
  readonly acl?: readonly Grant[]
}

/** What an access control list gives beyond the owner's full control. */
export interface Grant {
  /** Ids of accounts; `*` is everybody. */
  readonly grantees: readonly string[]
  readonly permissions: readonly string[]
}

/** A range of a data file, or of what is kept in the index under the same kind of id. */
export interface Slice {
  /** Id of the file, 32 hex digits. */
  readonly file: string
  readonly offset: Bytes
  readonly length: Bytes
  /** MD5 of exactly this range, where it is known. */
  readonly md5?: string
  /** The data is in the index instead of a file, under the same id: it is small. */
  readonly inIndex?: true
  /** The bytes of a slice in the index: given by who stores it, and by `slices`. Never part of a record. */
  readonly bytes?: Uint8Array
}

/** Ids of the data files among slices: those that must be pinned while the slices are read. */
export function filesOf(slices: readonly Slice[]): readonly string[] {
  return slices.filter(slice => slice.inIndex !== true).map(slice => slice.file)
}

/** What a client sets and gets back: content headers, user metadata, storage class. */
export interface Attributes {
  readonly storageClass: string
  /** Lower-case names, e.g. content-type. */
  readonly headers: Readonly<Record<string, string>>
  /** Names without the `x-bce-meta-` prefix. Values one character per byte. */
  readonly meta: Readonly<Record<string, string>>
  /** Default: that of the bucket. */
  readonly acl?: readonly Grant[]
  readonly tags?: Readonly<Record<string, string>>
}

/** Bytes that are stored but not yet named. */
export interface Content {
  readonly size: Bytes
  /** Without quotes: MD5 in hex, or `-` and a hash of part hashes. */
  readonly etag: string
  readonly crc32?: number
  readonly crc32c?: number
  readonly slices: readonly Slice[]
  readonly type?: ObjectType
  readonly link?: ObjectAddress
}

/** Default Normal. Directories are found in hierarchical buckets only, links in flat ones. */
export type ObjectType = 'Directory' | 'Appendable' | 'Symlink'

export interface ObjectRecord extends Attributes {
  readonly type?: ObjectType
  /** Where a symbolic link leads. */
  readonly link?: ObjectAddress
  readonly size: Bytes
  readonly etag: string
  /** Milliseconds since the epoch. */
  readonly modified: number
  readonly crc32?: number
  readonly crc32c?: number
  /** At most one slice is kept in the record itself. */
  readonly slice?: Slice
  /** Else the id under which the slices are kept. */
  readonly manifest?: string
}

export interface UploadRecord extends Attributes {
  readonly bucket: string
  readonly key: string
  readonly uploadId: string
  /** Milliseconds since the epoch. */
  readonly initiated: number
}

export interface PartRecord {
  readonly partNumber: number
  readonly etag: string
  readonly size: Bytes
  /** Milliseconds since the epoch. */
  readonly modified: number
  readonly crc32?: number
  readonly crc32c?: number
  readonly slices: readonly Slice[]
}

/** Looks at the state that a change would replace; throws to refuse the change. */
export type Guard = (current: ObjectRecord | undefined) => void

export interface ObjectAddress {
  readonly bucket: string
  readonly key: string
}

export interface AppendPlan {
  /** What comes behind the bytes of the object; taken over as by `putObject`. */
  readonly piece: Pick<Content, 'slices' | 'size'>
  /** What is known of both together. */
  readonly joined: Pick<Content, 'etag' | 'crc32'>
  /** Sees the object, and refuses the change unless it is the one that `joined` begins with. */
  readonly guard: Guard
}

export interface CopyPlan {
  readonly source: ObjectAddress
  readonly target: ObjectAddress
  /** Refuses the copy by throwing, or gives the attributes of the target. */
  readonly attributes: (source: ObjectRecord, target: ObjectRecord | undefined) => Attributes
}

export interface RenamePlan {
  readonly source: ObjectAddress
  /** In the same bucket. */
  readonly target: ObjectAddress
  /** Sees what is at the target. */
  readonly guard: Guard
}

export interface DeletedTree {
  readonly deleted: number
  readonly isTruncated: boolean
}

export interface CompletePlan {
  readonly upload: UploadRecord
  /** Chooses the parts, checks them, and names the result. Sees the parts as they are in the change. */
  readonly compose: (
    parts: ReadonlyMap<number, PartRecord>,
    current: ObjectRecord | undefined,
  ) => { readonly content: Content; readonly attributes: Attributes }
}

/**
 * Missing things are refused with ServiceError NoSuchBucket, NoSuchKey or NoSuchUpload. A change whose
 * promise has resolved survives the death of the process.
 */
export interface ObjectStore {
  buckets(): readonly BucketRecord[]
  bucket(name: string): BucketRecord | undefined
  /** @throws ServiceError BucketAlreadyExists */
  createBucket(name: string, options?: NewBucket): Promise<void>
  setBucketAcl(name: string, acl: readonly Grant[]): Promise<void>
  /** Drops its unfinished uploads too. @throws ServiceError BucketNotEmpty */
  deleteBucket(name: string): Promise<void>

  /** In a hierarchical bucket a directory is found without the `/` of its key too. */
  object(address: ObjectAddress): ObjectRecord | undefined
  objects(bucket: string): KeyCursor<ObjectRecord>
  /** The slices that hold bytes [offset, offset + length) of an object, clipped to them. */
  slices(record: ObjectRecord, offset: Bytes, length: Bytes): readonly Slice[]
  /** Takes over the content's slices; on refusal they remain the caller's to discard. */
  putObject(
    address: ObjectAddress,
    content: Content,
    attributes: Attributes,
    guard?: Guard,
  ): Promise<ObjectRecord>
  /** Costs as much as the piece has slices, whatever the object has. */
  appendObject(address: ObjectAddress, plan: AppendPlan): Promise<ObjectRecord>
  /** Changes what is said about an object, and neither its content nor its time. */
  amendObject(address: ObjectAddress, amend: (record: ObjectRecord) => ObjectRecord): Promise<void>
  /** @throws ServiceError DirNotEmpty */
  deleteObject(address: ObjectAddress, guard?: Guard): Promise<void>
  /**
   * Deletes a directory of a hierarchical bucket with what is in it, in one change, but no more than
   * `limit` things, those furthest down first. @returns how many went, and whether some are left
   */
  deleteTree(address: ObjectAddress, limit: number): Promise<DeletedTree>
  /**
   * Moves an object, in a hierarchical bucket also a directory with all that is in it.
   * @throws ServiceError the conflicts of `Hierarchy`
   */
  renameObject(plan: RenamePlan): Promise<void>
  copyObject(plan: CopyPlan): Promise<ObjectRecord>

  createUpload(address: ObjectAddress, attributes: Attributes): Promise<UploadRecord>
  upload(address: ObjectAddress, uploadId: string): UploadRecord | undefined
  uploads(bucket: string): KeyCursor<UploadRecord>
  /** In ascending order of part numbers, those after `after`. */
  parts(upload: UploadRecord, after?: number): Iterable<PartRecord>
  /**
   * Replaces the part of that number. With `shared` the slices are referenced by objects already and
   * gain a reference; resolves false, with nothing changed, if one of their files is gone by now.
   */
  putPart(
    upload: UploadRecord,
    part: Omit<PartRecord, 'modified'>,
    options?: { readonly shared?: boolean },
  ): Promise<PartRecord | undefined>
  completeUpload(plan: CompletePlan): Promise<ObjectRecord>
  abortUpload(upload: UploadRecord): Promise<void>
}
