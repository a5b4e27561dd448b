/**
 * Which slices an object consists of, and how many slices refer to each piece of data.
 *
 * All writing methods belong inside a change of the index. Data whose last reference goes is dropped
 * there if it is in the index, and named to the caller if it is a file, to be unlinked after the change.
 *
 * INVARIANT: the count of a data id is the number of slices with it in objects, manifests and parts.
 */
import { randomBytes } from 'node:crypto'
import type { Bytes } from '../util/units.js'
import { dataKey, manifestKey, manifestOffset, type LmdbIndex } from './lmdb-index.js'
import type { ObjectRecord, Slice } from './store.js'

export class SliceTable {
  readonly #index: LmdbIndex

  constructor(index: LmdbIndex) {
    this.#index = index
  }

  /** Whether any slice refers to data of this id. */
  isAlive(id: string): boolean {
    return /^[0-9a-f]{32}$/.test(id) && this.#index.counts.doesExist(dataKey(id))
  }

  /** The slices of a range, without the bytes of those in the index. */
  cut(record: ObjectRecord, offset: Bytes, length: Bytes): readonly Slice[] {
    if (length <= 0) return []
    if (record.slice !== undefined) return [clip(record.slice, offset, length)]
    if (record.manifest === undefined) return []
    return this.#cutManifest(record.manifest, offset, length)
  }

  all(record: ObjectRecord): readonly Slice[] {
    return this.cut(record, 0, record.size)
  }

  /** Adds the bytes of a slice that is in the index. */
  load(slice: Slice): Slice {
    if (slice.inIndex !== true) return slice
    const bytes = this.#index.small.get(dataKey(slice.file))
    return bytes === undefined ? slice : { ...slice, bytes }
  }

  /** Writes down the slices of an object; the result goes into its record. */
  place(slices: readonly Slice[]): { slice?: Slice; manifest?: string } {
    const [slice] = slices
    if (slice === undefined) return {}
    if (slices.length === 1) return { slice: withoutBytes(slice) }
    const manifest = randomBytes(16).toString('hex')
    let offset = 0
    for (const row of slices) {
      void this.#index.manifests.put(manifestKey(manifest, offset), withoutBytes(row))
      offset += row.length
    }
    return { manifest }
  }

  /** Writes down further slices of an object, at its end; the result goes into its record. */
  append(record: ObjectRecord, slices: readonly Slice[]): { slice?: Slice; manifest?: string } {
    const { manifest } = record
    if (manifest === undefined) return this.place([...this.all(record), ...slices])
    let offset = record.size
    for (const row of slices) {
      void this.#index.manifests.put(manifestKey(manifest, offset), withoutBytes(row))
      offset += row.length
    }
    return { manifest }
  }

  /** Undoes `place` and the references of an object that goes away. */
  drop(record: ObjectRecord, released: Set<string>): void {
    this.release(this.all(record), released)
    const { manifest } = record
    if (manifest === undefined) return
    const range = { start: manifestKey(manifest, 0), end: manifestKey(manifest, record.size) }
    for (const key of Array.from(this.#index.manifests.getKeys(range))) {
      void this.#index.manifests.remove(key)
    }
  }

  /** Counts one more reference for each; stores the bytes of data that is new to the index. */
  retain(slices: readonly Slice[]): void {
    const { counts, small } = this.#index
    for (const { file, bytes } of slices) {
      const key = dataKey(file)
      const count = counts.get(key) ?? 0
      void counts.put(key, count + 1)
      if (count === 0 && bytes !== undefined) void small.put(key, bytes)
    }
  }

  /** Counts one reference less for each. @param released receives the files that nobody needs now */
  release(slices: readonly Slice[], released: Set<string>): void {
    const { counts, small } = this.#index
    for (const { file, inIndex } of slices) {
      const key = dataKey(file)
      const count = (counts.get(key) ?? 1) - 1
      if (count > 0) {
        void counts.put(key, count)
        continue
      }
      void counts.remove(key)
      if (inIndex === true) void small.remove(key)
      else released.add(file)
    }
  }

  #cutManifest(manifest: string, offset: Bytes, length: Bytes): readonly Slice[] {
    let position = this.#sliceStart(manifest, offset)
    const start = manifestKey(manifest, position)
    const end = manifestKey(manifest, offset + length)
    const slices: Slice[] = []
    for (const { value } of this.#index.manifests.getRange({ start, end })) {
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
    for (const key of this.#index.manifests.getKeys(from)) return manifestOffset(key)
    return 0
  }
}

function clip(slice: Slice, skip: Bytes, length: Bytes): Slice {
  if (skip === 0 && length >= slice.length) return slice
  const { file, offset, inIndex } = slice
  const range = { file, offset: offset + skip, length: Math.min(length, slice.length - skip) }
  return inIndex === true ? { ...range, inIndex } : range
}

export function withoutBytes(slice: Slice): Slice {
  const { bytes: _, ...rest } = slice
  return rest
}
