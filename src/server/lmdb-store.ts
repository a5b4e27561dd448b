/**
 * The ObjectStore on LMDB.
 *
 * Every change is one transaction: guards run in it, before anything is written, and files that lost
 * their last reference are unlinked after it. So a process that dies at any moment leaves at worst
 * files that no slice refers to; the next start sweeps them.
 */
import type { Bytes } from '../util/units.js'
import type { DataFiles } from './data-files.js'
import { ServiceError } from './errors.js'
import { Hierarchy, type Found } from './hierarchy.js'
import type { KeyCursor } from './list.js'
import { bucketKey, objectKey, scanBucket, type LmdbIndex } from './lmdb-index.js'
import { SliceTable } from './slice-table.js'
import type {
  AppendPlan,
  Attributes,
  BucketRecord,
  CompletePlan,
  Content,
  CopyPlan,
  DeletedTree,
  Grant,
  Guard,
  NewBucket,
  ObjectAddress,
  ObjectRecord,
  ObjectStore,
  ObjectType,
  PartRecord,
  RenamePlan,
  Slice,
  UploadRecord,
} from './store.js'
import { UploadTable } from './upload-table.js'

export interface LmdbStoreOptions {
  readonly index: LmdbIndex
  readonly files: DataFiles
  readonly now: () => number
  /** A change resolves only once it is on the disk. */
  readonly sync: boolean
}

const EMPTY = Buffer.alloc(0)

export class LmdbStore implements ObjectStore {
  readonly #index: LmdbIndex
  readonly #slices: SliceTable
  readonly #uploads: UploadTable
  readonly #hierarchy: Hierarchy
  readonly #files: DataFiles
  readonly #now: () => number
  readonly #sync: boolean

  constructor(options: LmdbStoreOptions) {
    this.#index = options.index
    this.#slices = new SliceTable(options.index)
    this.#uploads = new UploadTable(options.index, this.#slices)
    this.#hierarchy = new Hierarchy(options.index)
    this.#files = options.files
    this.#now = options.now
    this.#sync = options.sync
  }

  /** Whether any slice refers to data of this id. */
  isAlive(id: string): boolean {
    return this.#slices.isAlive(id)
  }

  buckets(): readonly BucketRecord[] {
    return Array.from(this.#index.buckets.getRange(), ({ value }) => value)
  }

  bucket(name: string): BucketRecord | undefined {
    return name === '' ? undefined : this.#index.buckets.get(bucketKey(name))
  }

  async createBucket(name: string, options: NewBucket = {}): Promise<void> {
    await this.#change(() => {
      if (this.bucket(name) !== undefined) throw new ServiceError('BucketAlreadyExists')
      const { acl, hierarchy } = options
      void this.#index.buckets.put(bucketKey(name), {
        name,
        created: this.#now(),
        ...(hierarchy === true ? { hierarchy } : {}),
        ...(acl === undefined ? {} : { acl }),
      })
    })
  }

  async setBucketAcl(name: string, acl: readonly Grant[]): Promise<void> {
    await this.#change(() => {
      const bucket = this.#requireBucket(name)
      void this.#index.buckets.put(bucketKey(name), { ...bucket, acl })
    })
  }

  async deleteBucket(name: string): Promise<void> {
    await this.#change(released => {
      this.#requireBucket(name)
      for (const _ of this.objects(name).seek(EMPTY)) throw new ServiceError('BucketNotEmpty')
      for (const { value } of Array.from(this.uploads(name).seek(EMPTY))) {
        this.#uploads.drop(value, released)
      }
      void this.#index.buckets.remove(bucketKey(name))
    })
  }

  object(address: ObjectAddress): ObjectRecord | undefined {
    return this.#find(address)?.record
  }

  objects(bucket: string): KeyCursor<ObjectRecord> {
    return { seek: from => scanBucket(this.#index.objects, bucket, from) }
  }

  slices(record: ObjectRecord, offset: Bytes, length: Bytes): readonly Slice[] {
    return this.#slices.cut(record, offset, length).map(slice => this.#slices.load(slice))
  }

  async putObject(
    address: ObjectAddress,
    content: Content,
    attributes: Attributes,
    guard?: Guard,
  ): Promise<ObjectRecord> {
    return await this.#change(released => {
      this.#requireBucket(address.bucket)
      const current = this.object(address)
      guard?.(current)
      if (current?.type === 'Directory' && address.key.endsWith('/')) {
        throw new ServiceError('NamespaceDirAlreadyExists')
      }
      return this.#replace({ address, current, content, attributes, released })
    })
  }

  async appendObject(address: ObjectAddress, plan: AppendPlan): Promise<ObjectRecord> {
    const { piece, joined, guard } = plan
    return await this.#change(() => {
      this.#requireBucket(address.bucket)
      const current = this.object(address)
      guard(current)
      if (current === undefined) throw new ServiceError('NoSuchKey')
      this.#slices.retain(piece.slices)
      // A CRC-32C is not known of what has been joined.
      const { slice: _slice, manifest: _manifest, crc32: _crc, crc32c: _crcs, ...rest } = current
      const record: ObjectRecord = {
        ...rest,
        ...joined,
        size: current.size + piece.size,
        modified: this.#now(),
        ...this.#slices.append(current, piece.slices),
      }
      void this.#index.objects.put(objectKey(address), record)
      return record
    })
  }

  async amendObject(
    address: ObjectAddress,
    amend: (record: ObjectRecord) => ObjectRecord,
  ): Promise<void> {
    await this.#change(() => {
      this.#requireBucket(address.bucket)
      const found = this.#requireObject(address)
      void this.#index.objects.put(objectKey(found.address), amend(found.record))
    })
  }

  async deleteObject(address: ObjectAddress, guard?: Guard): Promise<void> {
    await this.#change(released => {
      this.#requireBucket(address.bucket)
      const found = this.#requireObject(address)
      guard?.(found.record)
      if (found.record.type === 'Directory' && !this.#hierarchy.isEmpty(found.address)) {
        throw new ServiceError('DirNotEmpty')
      }
      this.#remove(found, released)
    })
  }

  async deleteTree(address: ObjectAddress, limit: number): Promise<DeletedTree> {
    return await this.#change(released => {
      this.#requireBucket(address.bucket)
      const found = this.#requireObject(address)
      const isDirectory = found.record.type === 'Directory'
      const tree = isDirectory ? this.#hierarchy.tree(found.address) : [found]
      const going = tree.slice(-limit)
      for (const one of going) this.#remove(one, released)
      return { deleted: going.length, isTruncated: going.length < tree.length }
    })
  }

  async renameObject({ source, target, guard }: RenamePlan): Promise<void> {
    await this.#change(released => {
      const bucket = this.#requireBucket(target.bucket)
      const from = this.#requireObject(source)
      const replaced = this.#find(target)
      guard(replaced?.record)
      const moves =
        bucket.hierarchy === true
          ? this.#hierarchy.planRename(from, target)
          : [{ from, to: target }]
      if (objectKey(from.address).equals(objectKey(moves[0]?.to ?? target))) return
      if (replaced !== undefined) this.#slices.drop(replaced.record, released)
      for (const move of moves) {
        void this.#index.objects.put(objectKey(move.to), move.from.record)
        void this.#index.objects.remove(objectKey(move.from.address))
      }
    })
  }

  async copyObject(plan: CopyPlan): Promise<ObjectRecord> {
    const { source, target } = plan
    return await this.#change(released => {
      this.#requireBucket(source.bucket)
      this.#requireBucket(target.bucket)
      const { record: from, address } = this.#requireObject(source)
      const current = this.object(target)
      const attributes = plan.attributes(from, current)
      if (from.type === 'Directory' && !objectKey(address).equals(objectKey(target))) {
        throw new ServiceError('InvalidArgument', { message: 'A directory cannot be copied.' })
      }
      const slices = this.#slices.all(from)
      // A copy elsewhere is an object like any other.
      const { type, ...rest } = from
      const isSame = objectKey(address).equals(objectKey(target))
      const content = isSame && type !== undefined ? { ...rest, type, slices } : { ...rest, slices }
      return this.#replace({ address: target, current, content, attributes, released })
    })
  }

  async createUpload(address: ObjectAddress, attributes: Attributes): Promise<UploadRecord> {
    return await this.#change(() => {
      this.#requireBucket(address.bucket)
      const { bucket, key } = address
      this.#checkPlace(address, 0)
      return this.#uploads.create({ bucket, key, initiated: this.#now(), ...attributes })
    })
  }

  upload(address: ObjectAddress, uploadId: string): UploadRecord | undefined {
    return this.#uploads.find(address, uploadId)
  }

  uploads(bucket: string): KeyCursor<UploadRecord> {
    return { seek: from => this.#uploads.scan(bucket, from) }
  }

  parts(upload: UploadRecord, after = 0): Iterable<PartRecord> {
    return this.#uploads.parts(upload, after)
  }

  async putPart(
    upload: UploadRecord,
    part: Omit<PartRecord, 'modified'>,
    options: { readonly shared?: boolean } = {},
  ): Promise<PartRecord | undefined> {
    return await this.#change(released => {
      this.#requireUpload(upload)
      const gone = part.slices.some(({ file }) => !this.isAlive(file))
      if (options.shared === true && gone) return undefined
      return this.#uploads.putPart(upload, { ...part, modified: this.#now() }, released)
    })
  }

  async completeUpload(plan: CompletePlan): Promise<ObjectRecord> {
    const { upload } = plan
    return await this.#change(released => {
      this.#requireUpload(upload)
      const parts = new Map([...this.parts(upload)].map(part => [part.partNumber, part]))
      const current = this.object(upload)
      const { content, attributes } = plan.compose(parts, current)
      const record = this.#replace({ address: upload, current, content, attributes, released })
      this.#uploads.drop(upload, released)
      return record
    })
  }

  async abortUpload(upload: UploadRecord): Promise<void> {
    await this.#change(released => {
      this.#requireUpload(upload)
      this.#uploads.drop(upload, released)
    })
  }

  async #change<Result>(body: (released: Set<string>) => Result): Promise<Result> {
    const released = new Set<string>()
    const result = await this.#index.change(() => body(released))
    if (this.#sync) await this.#index.flush()
    await this.#files.remove([...released])
    return result
  }

  /** Makes the object at `address` the given one. The new slices are retained before the old ones go. */
  #replace(change: {
    readonly address: ObjectAddress
    readonly current: ObjectRecord | undefined
    readonly content: Content
    readonly attributes: Attributes
    readonly released: Set<string>
  }): ObjectRecord {
    const { address, current, content, attributes, released } = change
    const { size, etag, crc32, crc32c, slices, link } = content
    const { storageClass, headers, meta, acl, tags } = attributes
    const type = this.#checkPlace(address, size) ?? content.type
    this.#slices.retain(slices)
    const record: ObjectRecord = {
      ...(type === undefined ? {} : { type }),
      ...(link === undefined ? {} : { link }),
      size,
      etag,
      modified: this.#now(),
      ...(crc32 === undefined ? {} : { crc32 }),
      ...(crc32c === undefined ? {} : { crc32c }),
      storageClass,
      headers,
      meta,
      ...(acl === undefined ? {} : { acl }),
      ...(tags === undefined ? {} : { tags }),
      ...this.#slices.place(slices),
    }
    if (current !== undefined) this.#slices.drop(current, released)
    void this.#index.objects.put(objectKey(address), record)
    return record
  }

  #remove({ address, record }: Found, released: Set<string>): void {
    this.#slices.drop(record, released)
    void this.#index.objects.remove(objectKey(address))
  }

  #find(address: ObjectAddress): Found | undefined {
    const record = this.#index.objects.get(objectKey(address))
    if (record !== undefined) return { address, record }
    return this.#isHierarchical(address) ? this.#hierarchy.find(address) : undefined
  }

  #isHierarchical({ bucket }: ObjectAddress): boolean {
    return this.bucket(bucket)?.hierarchy === true
  }

  /** @returns the type of an object that is stored at this address */
  #checkPlace(address: ObjectAddress, size: Bytes): ObjectType | undefined {
    if (!this.#isHierarchical(address)) return undefined
    this.#hierarchy.checkPlace(address, size)
    return address.key.endsWith('/') ? 'Directory' : undefined
  }

  #requireBucket(name: string): BucketRecord {
    const bucket = this.bucket(name)
    if (bucket === undefined) throw new ServiceError('NoSuchBucket')
    return bucket
  }

  #requireObject(address: ObjectAddress): Found {
    const found = this.#find(address)
    if (found === undefined) throw new ServiceError('NoSuchKey')
    return found
  }

  #requireUpload(upload: UploadRecord): void {
    this.#requireBucket(upload.bucket)
    this.#uploads.require(upload)
  }
}
