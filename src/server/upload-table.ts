/**
 * Unfinished multipart uploads and their parts.
 *
 * All writing methods belong inside a change of the index, behind all that may refuse it. Data that a part
 * held alone goes as slice-table.ts says; `released` collects what is to be unlinked.
 */
import { randomBytes } from 'node:crypto'
import { ServiceError } from './errors.js'
import type { CursorEntry } from './list.js'
import { partKey, scanBucket, uploadKey, type LmdbIndex } from './lmdb-index.js'
import { withoutBytes, type SliceTable } from './slice-table.js'
import type { ObjectAddress, PartRecord, UploadRecord } from './store.js'

/** Behind the last part number of any upload. */
const NO_PART = 0xffff

export class UploadTable {
  readonly #index: LmdbIndex
  readonly #slices: SliceTable

  constructor(index: LmdbIndex, slices: SliceTable) {
    this.#index = index
    this.#slices = slices
  }

  find(address: ObjectAddress, uploadId: string): UploadRecord | undefined {
    if (!/^[0-9a-f]{32}$/.test(uploadId)) return undefined
    return this.#index.uploads.get(uploadKey({ ...address, uploadId }))
  }

  /** @throws ServiceError NoSuchUpload */
  require(upload: UploadRecord): void {
    if (this.#index.uploads.get(uploadKey(upload)) === undefined) {
      throw new ServiceError('NoSuchUpload')
    }
  }

  /** The uploads of a bucket by key, from a key on. */
  *scan(bucket: string, from: Buffer): Iterable<CursorEntry<UploadRecord>> {
    for (const { value } of scanBucket(this.#index.uploads, bucket, from)) {
      const key = Buffer.from(value.key)
      if (Buffer.compare(key, from) >= 0) yield { key, value }
    }
  }

  /** The parts of an upload in order. @param after  a part number */
  *parts(upload: UploadRecord, after = 0): Iterable<PartRecord> {
    const start = partKey(upload.uploadId, after + 1)
    const end = partKey(upload.uploadId, NO_PART)
    for (const { value } of this.#index.parts.getRange({ start, end })) yield value
  }

  create(upload: Omit<UploadRecord, 'uploadId'>): UploadRecord {
    const record = { ...upload, uploadId: randomBytes(16).toString('hex') }
    void this.#index.uploads.put(uploadKey(record), record)
    return record
  }

  /** Makes the part of that number the given one. The new slices are retained before the old ones go. */
  putPart({ uploadId }: UploadRecord, part: PartRecord, released: Set<string>): PartRecord {
    const key = partKey(uploadId, part.partNumber)
    const replaced = this.#index.parts.get(key)
    this.#slices.retain(part.slices)
    if (replaced !== undefined) this.#slices.release(replaced.slices, released)
    const record = { ...part, slices: part.slices.map(withoutBytes) }
    void this.#index.parts.put(key, record)
    return record
  }

  /** Removes an upload with its parts. */
  drop(upload: UploadRecord, released: Set<string>): void {
    for (const part of Array.from(this.parts(upload))) {
      this.#slices.release(part.slices, released)
      void this.#index.parts.remove(partKey(upload.uploadId, part.partNumber))
    }
    void this.#index.uploads.remove(uploadKey(upload))
  }
}
