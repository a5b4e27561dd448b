/**
 * Handlers whose answers are bytes and no records: what a file holds, what a directory holds, what
 * extended attributes hold. None gives more than was asked for.
 */
import { Buffer } from 'node:buffer'
import { ErrnoError } from '../../util/errno.js'
import { ByteWriter, type ByteReader } from '../../util/cursor.js'
import type { Bytes } from '../../util/units.js'
import type { DirectoryEntry, Ino, MaybePromise, Operations } from '../operations.js'
import * as decode from './decode.js'
import * as encode from './encode.js'
import { handler, type AnyHandler } from './handler.js'
import type { Request } from './request.js'

/** The answer to READDIR under construction, and what is in it. */
interface Listing {
  readonly bytes: Uint8Array
  readonly lookups: Ino[]
}

function readDirectory(
  operations: Operations,
  request: Request,
  { reader, plus }: { readonly reader: ByteReader; readonly plus: boolean },
): MaybePromise<Listing> {
  const { fh, offset, size } = decode.decodeRead(reader)
  const buffer = Buffer.allocUnsafe(size)
  const writer = new ByteWriter().reset(buffer)
  const lookups: Ino[] = []
  const add = (entry: DirectoryEntry): boolean => {
    if (!encode.encodeDirectoryEntry(writer, entry, plus)) return false
    if (plus && entry.entry !== undefined) lookups.push(entry.entry.ino)
    return true
  }
  const listing = (): Listing => ({ bytes: buffer.subarray(0, writer.position), lookups })
  const done = operations.readdir(request, request.ino, fh, { offset, plus, add })
  return done instanceof Promise ? done.then(listing) : listing()
}

/** READDIR, or READDIRPLUS, which counts a lookup for each entry that it gives. */
export function readDirectoryHandler(plus: boolean): AnyHandler {
  return handler<Listing>({
    call: (operations, request, reader) => readDirectory(operations, request, { reader, plus }),
    slices: listing => [listing.bytes],
    undo: (operations, _, listing) => {
      for (const ino of listing.lookups) operations.forget(ino, 1)
    },
  })
}

function checkedRead(slices: readonly Uint8Array[], size: Bytes): readonly Uint8Array[] {
  let total = 0
  for (const slice of slices) total += slice.length
  if (total > size) throw new RangeError(`read gave ${total} bytes when asked for ${size}`)
  return slices
}

function read(
  operations: Operations,
  request: Request,
  reader: ByteReader,
): MaybePromise<readonly Uint8Array[]> {
  const { fh, offset, size } = decode.decodeRead(reader)
  // No file of ours is that long, and read(2) behind the end is no error.
  if (offset > Number.MAX_SAFE_INTEGER) return []
  const slices = operations.read(request, request.ino, fh, offset, size)
  return slices instanceof Promise
    ? slices.then(all => checkedRead(all, size))
    : checkedRead(slices, size)
}

/** A value, or how long it is for a caller that has no room yet. @throws ErrnoError ERANGE */
export function xattrHandler(
  call: (operations: Operations, request: Request, reader: ByteReader) => MaybePromise<Uint8Array>,
): AnyHandler {
  return handler<readonly Uint8Array[]>({
    call: (operations, request, reader) => {
      const room = decode.decodeXattrRoom(reader)
      const fit = (value: Uint8Array): readonly Uint8Array[] => {
        if (room === 0) return [sizeRecord(value.length)]
        if (value.length <= room) return [value]
        throw new ErrnoError('ERANGE', `${value.length} bytes for a room of ${room}`)
      }
      const value = call(operations, request, reader)
      return value instanceof Promise ? value.then(fit) : fit(value)
    },
    slices: slices => slices,
  })
}

function sizeRecord(size: Bytes): Uint8Array {
  const record = Buffer.alloc(8)
  encode.encodeXattrSize(new ByteWriter().reset(record), size)
  return record
}

/** Each name ends in NUL, listxattr(2). */
export function joinNames(names: readonly string[]): Uint8Array {
  return Buffer.from(names.map(name => `${name}\0`).join(''))
}

export const readHandler: AnyHandler = handler({ call: read, slices: slices => slices })
