/**
 * What the journal keeps of one path until the store has it: the latest state, never a history.
 *
 * A key is a driver path, or with a slash at its end the directory marker of that path. Contents are
 * slices of files in the journal's folder: of the log itself for small ones.
 */
import type { FileInfo, Metadata } from '../driver/driver.js'
import { withoutSlash } from '../driver/path.js'
import type { Bytes, Milliseconds } from '../util/units.js'

/** Bytes [offset, offset+length) of a file in the journal's folder. */
export interface Slice {
  readonly file: string
  readonly offset: Bytes
  readonly length: Bytes
}

/**
 * What the store is believed to have under the key until this record is sent: if that is not so, another
 * host has put something there. `any`: nothing is believed. `own`: versions of this mount's own that may
 * be there instead.
 */
export type Base = { readonly own?: readonly string[] } & (
  { readonly is: 'any' | 'absent' } | { readonly is: 'version'; readonly etag: string }
)

interface Common {
  readonly key: string
  /** Records are sent in this order where it matters; higher for every later change. */
  readonly seq: number
  /** Unix time of the first change that the store does not have. */
  readonly since: Milliseconds
  /** Unix time of this change. */
  readonly changed: Milliseconds
  readonly base: Base
}

export interface PutRecord extends Common {
  readonly kind: 'put'
  /** Unix time of the content, as callers see it. */
  readonly modTime: Milliseconds
  readonly size: Bytes
  /** The version as callers see it, also after the store has given it another name. */
  readonly etag: string
  readonly slices: readonly Slice[]
  /** Absent for a marker that was made without saying so. */
  readonly metadata?: Metadata
  readonly contentType?: string
}

export interface DeleteRecord extends Common {
  readonly kind: 'delete'
}

export type JournalRecord = PutRecord | DeleteRecord

/** An upload was begun in the store, and has not ended: what is left of it is found by this. */
export interface UploadNote {
  readonly kind: 'upload'
  /** Of the note; no path. */
  readonly key: string
  readonly seq: number
  readonly path: string
  /** Unix time. */
  readonly begun: Milliseconds
  /** Absent as long as the store has not said it; nothing of the upload has been sent until then. */
  readonly uploadId?: string
}

/** What the log keeps until it is dropped. */
export type LogRecord = JournalRecord | UploadNote

export const ANY: Base = { is: 'any' }
export const ABSENT: Base = { is: 'absent' }

export function markerKey(path: string): string {
  return `${path}/`
}

export function isMarkerKey(key: string): boolean {
  return key.endsWith('/')
}

/** A file, or the directory of a marker, as callers see it. */
export function infoOf(record: PutRecord): FileInfo {
  const { key, size, etag, metadata, contentType } = record
  const modTime = new Date(record.modTime)
  const told = metadata === undefined ? {} : { metadata }
  if (isMarkerKey(key)) return { path: withoutSlash(key), size: 0, isDir: true, modTime, ...told }
  const headers =
    contentType === undefined ? {} : { contentHeaders: { 'content-type': contentType } }
  return { path: key, size, isDir: false, modTime, etag, ...told, ...headers }
}

/** The slices that hold bytes [offset, offset+length) of a content. */
export function cutSlices(
  slices: readonly Slice[],
  offset: Bytes,
  length: Bytes,
): readonly Slice[] {
  const found: Slice[] = []
  let start = 0
  for (const slice of slices) {
    const from = Math.max(offset, start)
    const to = Math.min(offset + length, start + slice.length)
    if (from < to) {
      found.push({ file: slice.file, offset: slice.offset + from - start, length: to - from })
    }
    start += slice.length
  }
  return found
}

/** The same bytes by as few slices as possible. */
export function joinSlices(slices: readonly Slice[]): readonly Slice[] {
  const joined: Slice[] = []
  for (const slice of slices) {
    const last = joined.at(-1)
    if (slice.length === 0) continue
    if (last?.file === slice.file && last.offset + last.length === slice.offset) {
      joined[joined.length - 1] = { ...last, length: last.length + slice.length }
    } else joined.push(slice)
  }
  return joined
}
