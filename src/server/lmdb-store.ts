/**
 * The ObjectStore on LMDB.
 *
 * Tables, all with binary keys: objects `bucket NUL key`; slices of objects with more than one
 * `manifest id, offset`; uploads `bucket NUL key NUL upload id`; parts `upload id, part number`; files
 * `file id` with the number of slices that refer to it; small `file id` with the bytes of what is not
 * worth a file. LMDB compares keys byte by byte, which is the
 * order that BOS lists in, and 63 + 1 + 1024 bytes are within its limit of 1978.
 *
 * Every change is one transaction: guards run in it, before anything is written, and files that lost
 * their last reference are unlinked after it. So a process that dies at any moment leaves at worst
 * files that no slice refers to; the next start sweeps them.
 *
 * INVARIANT: the count of a file is the number of its slices in the slices, objects and parts tables.
 */
import { randomBytes } from 'node:crypto'
import { open, type Database, type RootDatabase } from 'lmdb'
import type { Bytes } from '../util/units.js'
import type { DataFiles } from './data-files.js'
import { ServiceError } from './errors.js'
import type { CursorEntry, KeyCursor } from './list.js'
import type { Owner } from './owner.js'
import type {
  Attributes,
  BucketRecord,
  CompletePlan,
  Content,
  CopyPlan,
  Guard,
  ObjectAddress,
  ObjectRecord,
  ObjectStore,
  PartRecord,
  Slice,
  UploadRecord,
} from './store.js'

export interface LmdbStoreOptions {
  /** Directory of the index; made if missing. */
  readonly path: string
  readonly files: DataFiles
  readonly now: () => number
  /** A change resolves only once it is on the disk. */
  readonly sync: boolean
}

export interface Claim {
  readonly blockedBy?: Owner
  readonly clean: boolean
}

const EMPTY = Buffer.alloc(0)

export class LmdbStore implements ObjectStore {
  readonly #files: DataFiles
  readonly #now: () => number
  readonly #sync: boolean
  readonly #root: RootDatabase<unknown, string>
  readonly #meta: Database<Owner, Buffer>
  readonly #buckets: Database<BucketRecord, Buffer>
  readonly #objects: Database<ObjectRecord, Buffer>
  readonly #manifests: Database<Slice, Buffer>
  readonly #uploads: Database<UploadRecord, Buffer>
  readonly #parts: Database<PartRecord, Buffer>
  readonly #counts: Database<number, Buffer>
  readonly #small: Database<Uint8Array, Buffer>

  constructor(options: LmdbStoreOptions) {
    this.#files = options.files
    this.#now = options.now
    this.#sync = options.sync
    this.#root = open<unknown, string>({ path: options.path, noSubdir: false, maxDbs: 12 })
    this.#meta = this.#table('meta')
    this.#buckets = this.#table('buckets')
    this.#objects = this.#table('objects')
    this.#manifests = this.#table('manifests')
    this.#uploads = this.#table('uploads')
    this.#parts = this.#table('parts')
    this.#counts = this.#table('files')
    this.#small = this.#table('small', 'binary')
  }

  #table<Value>(name: string, encoding: 'msgpack' | 'binary' = 'msgpack'): Database<Value, Buffer> {
    return this.#root.openDB<Value, Buffer>({ name, keyEncoding: 'binary', encoding })
  }

  /**
   * Makes `owner` the process that owns the index, unless `isAlive` says of the owner on record that it
   * still runs. Atomic against other processes.
   * @returns the owner that stands in the way, if any, and whether the last owner closed the index
   */
  claim(owner: Owner, isAlive: (other: Owner) => boolean): Claim {
    return this.#root.transactionSync(() => {
      const key = Buffer.from('owner')
      const other = this.#meta.get(key)
      if (other !== undefined && isAlive(other)) return { blockedBy: other, clean: false }
      void this.#meta.put(key, owner)
      return { clean: other === undefined }
    })
  }

  /** Whether any slice refers to data of this id. */
  isAlive(id: string): boolean {
    return /^[0-9a-f]{32}$/.test(id) && this.#counts.doesExist(fileKey(id))
  }

  buckets(): readonly BucketRecord[] {
    return Array.from(this.#buckets.getRange(), ({ value }) => value)
  }

  bucket(name: string): BucketRecord | undefined {
    return name === '' ? undefined : this.#buckets.get(Buffer.from(name))
  }

  async createBucket(name: string): Promise<void> {
    await this.#change(() => {
      if (this.bucket(name) !== undefined) throw new ServiceError('BucketAlreadyExists')
      void this.#buckets.put(Buffer.from(name), { name, created: this.#now() })
    })
  }

  async deleteBucket(name: string): Promise<void> {
    await this.#change(released => {
      this.#requireBucket(name)
      for (const _ of this.objects(name).seek(EMPTY)) throw new ServiceError('BucketNotEmpty')
      for (const { value } of Array.from(this.uploads(name).seek(EMPTY)))
        this.#dropUpload(value, released)
      void this.#buckets.remove(Buffer.from(name))
    })
  }

  object(address: ObjectAddress): ObjectRecord | undefined {
    return this.#objects.get(objectKey(address))
  }

  objects(bucket: string): KeyCursor<ObjectRecord> {
    return { seek: from => scan(this.#objects, bucket, from) }
  }

  slices(record: ObjectRecord, offset: Bytes, length: Bytes): readonly Slice[] {
    return this.#cut(record, offset, length).map(slice => {
      if (slice.inIndex !== true) return slice
      const bytes = this.#small.get(fileKey(slice.file))
      return bytes === undefined ? slice : { ...slice, bytes }
    })
  }

  #cut(record: ObjectRecord, offset: Bytes, length: Bytes): readonly Slice[] {
    if (length <= 0) return []
    if (record.slice !== undefined) return [clip(record.slice, offset, length)]
    if (record.manifest === undefined) return []
    return this.#manifestSlices(record.manifest, offset, length)
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
      for (const slice of content.slices) this.#retain(slice)
      return this.#replace({ address, current, content, attributes, released })
    })
  }

  async deleteObject(address: ObjectAddress, guard?: Guard): Promise<void> {
    await this.#change(released => {
      this.#requireBucket(address.bucket)
      const current = this.object(address)
      if (current === undefined) throw new ServiceError('NoSuchKey')
      guard?.(current)
      this.#release(this.#allSlices(current), released)
      this.#dropManifest(current)
      void this.#objects.remove(objectKey(address))
    })
  }

  async copyObject(plan: CopyPlan): Promise<ObjectRecord> {
    const { source, target } = plan
    return await this.#change(released => {
      this.#requireBucket(source.bucket)
      this.#requireBucket(target.bucket)
      const from = this.object(source)
      if (from === undefined) throw new ServiceError('NoSuchKey')
      const current = this.object(target)
      const attributes = plan.attributes(from, current)
      if (plan.move === true) {
        const same = objectKey(source).equals(objectKey(target))
        return same ? from : this.#move({ source, target, from, current, released })
      }
      const slices = this.#allSlices(from)
      for (const slice of slices) this.#retain(slice)
      const content = { ...from, slices }
      return this.#replace({ address: target, current, content, attributes, released })
    })
  }

  async createUpload(address: ObjectAddress, attributes: Attributes): Promise<UploadRecord> {
    const uploadId = randomBytes(16).toString('hex')
    return await this.#change(() => {
      this.#requireBucket(address.bucket)
      const { bucket, key } = address
      const upload = { bucket, key, uploadId, initiated: this.#now(), ...attributes }
      void this.#uploads.put(uploadKey(upload), upload)
      return upload
    })
  }

  upload(address: ObjectAddress, uploadId: string): UploadRecord | undefined {
    if (!/^[0-9a-f]{32}$/.test(uploadId)) return undefined
    return this.#uploads.get(uploadKey({ ...address, uploadId }))
  }

  uploads(bucket: string): KeyCursor<UploadRecord> {
    return { seek: from => this.#scanUploads(bucket, from) }
  }

  *#scanUploads(bucket: string, from: Buffer): Iterable<CursorEntry<UploadRecord>> {
    for (const { value } of scan(this.#uploads, bucket, from)) {
      const key = Buffer.from(value.key)
      if (Buffer.compare(key, from) >= 0) yield { key, value }
    }
  }

  *parts(upload: UploadRecord, after = 0): Iterable<PartRecord> {
    const start = partKey(upload.uploadId, after + 1)
    const end = partKey(upload.uploadId, 0xffff)
    for (const { value } of this.#parts.getRange({ start, end })) yield value
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
      const key = partKey(upload.uploadId, part.partNumber)
      const replaced = this.#parts.get(key)
      for (const slice of part.slices) this.#retain(slice)
      if (replaced !== undefined) this.#release(replaced.slices, released)
      const slices = part.slices.map(withoutBytes)
      const record = { ...part, slices, modified: this.#now() }
      void this.#parts.put(key, record)
      return record
    })
  }

  async completeUpload(plan: CompletePlan): Promise<ObjectRecord> {
    const { upload } = plan
    return await this.#change(released => {
      this.#requireUpload(upload)
      const parts = new Map([...this.parts(upload)].map(part => [part.partNumber, part]))
      const current = this.object(upload)
      const { content, attributes } = plan.compose(parts, current)
      for (const slice of content.slices) this.#retain(slice)
      this.#dropUpload(upload, released)
      return this.#replace({ address: upload, current, content, attributes, released })
    })
  }

  async abortUpload(upload: UploadRecord): Promise<void> {
    await this.#change(released => {
      this.#requireUpload(upload)
      this.#dropUpload(upload, released)
    })
  }

  /** Gives up the ownership that `claim` took, if it did. */
  async close(options: { readonly claimed?: boolean } = {}): Promise<void> {
    if (options.claimed !== false) await this.#meta.remove(Buffer.from('owner'))
    await this.#root.close()
  }

  /**
   * Runs one change. LMDB joins the changes of a turn into one commit, which an exception does not
   * undo: `body` must throw before it writes or not at all.
   */
  async #change<Result>(body: (released: Set<string>) => Result): Promise<Result> {
    const released = new Set<string>()
    const outcome = await this.#root.transaction<{ value: Result } | { error: unknown }>(() => {
      try {
        return { value: body(released) }
      } catch (error) {
        return { error }
      }
    })
    if ('error' in outcome) throw outcome.error
    if (this.#sync) await this.#root.flushed
    // The change is made: a file that cannot be unlinked now is the next start's business.
    await this.#files.remove([...released]).catch(() => undefined)
    return outcome.value
  }

  #replace(change: {
    readonly address: ObjectAddress
    readonly current: ObjectRecord | undefined
    readonly content: Content
    readonly attributes: Attributes
    readonly released: Set<string>
  }): ObjectRecord {
    const { address, current, content, attributes, released } = change
    const { size, etag, crc32, crc32c, slices } = content
    const { storageClass, headers, meta } = attributes
    const record: ObjectRecord = {
      size,
      etag,
      modified: this.#now(),
      ...(crc32 === undefined ? {} : { crc32 }),
      ...(crc32c === undefined ? {} : { crc32c }),
      storageClass,
      headers,
      meta,
      ...this.#placeSlices(slices),
    }
    if (current !== undefined) {
      this.#release(this.#allSlices(current), released)
      this.#dropManifest(current)
    }
    void this.#objects.put(objectKey(address), record)
    return record
  }

  #move(change: {
    readonly source: ObjectAddress
    readonly target: ObjectAddress
    readonly from: ObjectRecord
    readonly current: ObjectRecord | undefined
    readonly released: Set<string>
  }): ObjectRecord {
    const { source, target, from, current, released } = change
    if (current !== undefined) {
      this.#release(this.#allSlices(current), released)
      this.#dropManifest(current)
    }
    void this.#objects.put(objectKey(target), from)
    void this.#objects.remove(objectKey(source))
    return from
  }

  #placeSlices(slices: readonly Slice[]): { slice?: Slice; manifest?: string } {
    const [slice] = slices
    if (slice === undefined) return {}
    if (slices.length === 1) return { slice: withoutBytes(slice) }
    const manifest = randomBytes(16).toString('hex')
    let offset = 0
    for (const row of slices) {
      void this.#manifests.put(manifestKey(manifest, offset), withoutBytes(row))
      offset += row.length
    }
    return { manifest }
  }

  #allSlices(record: ObjectRecord): readonly Slice[] {
    return this.#cut(record, 0, record.size)
  }

  #manifestSlices(manifest: string, offset: Bytes, length: Bytes): readonly Slice[] {
    const start = this.#sliceStart(manifest, offset)
    const end = manifestKey(manifest, offset + length)
    const slices: Slice[] = []
    let position = start
    for (const { value } of this.#manifests.getRange({
      start: manifestKey(manifest, start),
      end,
    })) {
      const skip = Math.max(0, offset - position)
      const stop = Math.min(value.length, offset + length - position)
      slices.push(clip(value, skip, stop - skip))
      position += value.length
    }
    return slices
  }

  /** Where the slice that holds `offset` begins. */
  #sliceStart(manifest: string, offset: Bytes): Bytes {
    const from = { start: manifestKey(manifest, offset), reverse: true, limit: 1 }
    for (const key of this.#manifests.getKeys(from)) {
      return key.readUIntBE(18, 6)
    }
    return 0
  }

  #dropManifest(record: ObjectRecord): void {
    const { manifest } = record
    if (manifest === undefined) return
    const range = { start: manifestKey(manifest, 0), end: manifestKey(manifest, record.size) }
    for (const key of Array.from(this.#manifests.getKeys(range))) void this.#manifests.remove(key)
  }

  #dropUpload(upload: UploadRecord, released: Set<string>): void {
    for (const part of Array.from(this.parts(upload))) {
      this.#release(part.slices, released)
      void this.#parts.remove(partKey(upload.uploadId, part.partNumber))
    }
    void this.#uploads.remove(uploadKey(upload))
  }

  #retain({ file, bytes }: Slice): void {
    const key = fileKey(file)
    const count = this.#counts.get(key) ?? 0
    void this.#counts.put(key, count + 1)
    if (count === 0 && bytes !== undefined) void this.#small.put(key, bytes)
  }

  #release(slices: readonly Slice[], released: Set<string>): void {
    for (const { file, inIndex } of slices) {
      const key = fileKey(file)
      const count = (this.#counts.get(key) ?? 1) - 1
      if (count > 0) {
        void this.#counts.put(key, count)
      } else {
        void this.#counts.remove(key)
        if (inIndex === true) void this.#small.remove(key)
        else released.add(file)
      }
    }
  }

  #requireBucket(name: string): void {
    if (this.bucket(name) === undefined) throw new ServiceError('NoSuchBucket')
  }

  #requireUpload(upload: UploadRecord): void {
    this.#requireBucket(upload.bucket)
    if (this.#uploads.get(uploadKey(upload)) === undefined) throw new ServiceError('NoSuchUpload')
  }
}

/** Entries of one bucket from `from` on; the keys come without the bucket. */
function* scan<Value>(
  table: Database<Value, Buffer>,
  bucket: string,
  from: Buffer,
): Iterable<CursorEntry<Value>> {
  const prefix = Buffer.from(`${bucket}\0`)
  const start = Buffer.concat([prefix, from])
  const end = Buffer.from(`${bucket}\x01`)
  for (const { key, value } of table.getRange({ start, end })) {
    yield { key: key.subarray(prefix.length), value }
  }
}

function clip(slice: Slice, skip: Bytes, length: Bytes): Slice {
  if (skip === 0 && length >= slice.length) return slice
  const { file, offset, inIndex } = slice
  const range = { file, offset: offset + skip, length: Math.min(length, slice.length - skip) }
  return inIndex === true ? { ...range, inIndex } : range
}

function withoutBytes(slice: Slice): Slice {
  const { bytes: _, ...rest } = slice
  return rest
}

function objectKey({ bucket, key }: ObjectAddress): Buffer {
  return Buffer.from(`${bucket}\0${key}`)
}

function uploadKey(upload: ObjectAddress & { readonly uploadId: string }): Buffer {
  return Buffer.from(`${upload.bucket}\0${upload.key}\0${upload.uploadId}`)
}

function partKey(uploadId: string, partNumber: number): Buffer {
  const key = Buffer.alloc(18)
  key.write(uploadId, 'hex')
  key.writeUInt16BE(partNumber, 16)
  return key
}

function manifestKey(manifest: string, offset: Bytes): Buffer {
  const key = Buffer.alloc(24)
  key.write(manifest, 'hex')
  key.writeUIntBE(offset, 18, 6)
  return key
}

function fileKey(file: string): Buffer {
  return Buffer.from(file, 'hex')
}
