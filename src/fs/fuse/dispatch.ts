/**
 * Which Operations method answers which opcode, and with which record.
 *
 * A handler decodes its request and calls the method (`call`, the only part that may take time), and
 * gives the answer either as a record (`encode`) or as bytes of any size (`slices`). `undo` reverses
 * what a method has done for the kernel's sake - a lookup counted, a handle opened - when the kernel
 * turns out not to want the answer any more.
 *
 * Not here: INIT, INTERRUPT, FORGET, BATCH_FORGET and DESTROY, which belong to the session.
 */
import { Buffer } from 'node:buffer'
import { ErrnoError, type ErrnoName } from '../../util/errno.js'
import { ByteWriter, type ByteReader } from '../../util/cursor.js'
import type { Bytes } from '../../util/units.js'
import type {
  CreateReply,
  DirectoryEntry,
  Entry,
  Fh,
  Ino,
  MaybePromise,
  NegativeEntry,
  OpenReply,
  Operations,
} from '../operations.js'
import { OPCODE } from './abi.js'
import * as decode from './decode.js'
import * as encode from './encode.js'
import type { Request } from './request.js'

export interface Handler<Result> {
  call(operations: Operations, request: Request, reader: ByteReader): MaybePromise<Result>
  /** Writes the record of the answer; absent where there is none. */
  encode?(writer: ByteWriter, result: Result): void
  /** The answer as bytes that are sent from where they are. Instead of `encode`. */
  slices?(result: Result): readonly Uint8Array[]
  /** The errno that stands for this result, if one does. */
  error?(result: Result): ErrnoName | undefined
  undo?(operations: Operations, request: Request, result: Result): MaybePromise<void>
  /** The request's bytes are needed until the result is there. */
  readonly keepsBuffer?: boolean
}

export type AnyHandler = Handler<unknown>

function handler<Result>(entry: Handler<Result>): AnyHandler {
  // Each handler is handed only what its own `call` returned.
  return entry as AnyHandler
}

function undoEntry(operations: Operations, _: Request, entry: Entry | NegativeEntry): void {
  if (entry.ino !== undefined) operations.forget(entry.ino, 1)
}

/** A name that does not exist and is not to be remembered is told by an errno, as ever. */
function isMissing(entry: Entry | NegativeEntry): ErrnoName | undefined {
  return entry.ino === undefined && entry.entryValid <= 0 ? 'ENOENT' : undefined
}

const newEntry = { encode: encode.encodeEntry, undo: undoEntry }

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

function readDirectoryHandler(plus: boolean): AnyHandler {
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

/** A handler that answers with nothing but success. */
function done(call: Handler<void>['call']): AnyHandler {
  return handler<void>({ call })
}

function onHandle(
  call: (operations: Operations, request: Request, fh: Fh) => MaybePromise<void>,
): AnyHandler {
  return done((operations, request, reader) => call(operations, request, decode.decodeFh(reader)))
}

/** A value, or how long it is for a caller that has no room yet. @throws ErrnoError ERANGE */
function xattrHandler(
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
function joinNames(names: readonly string[]): Uint8Array {
  return Buffer.from(names.map(name => `${name}\0`).join(''))
}

export const HANDLERS: ReadonlyMap<number, AnyHandler> = new Map<number, AnyHandler>([
  [
    OPCODE.LOOKUP,
    handler<Entry | NegativeEntry>({
      call: (operations, request, reader) =>
        operations.lookup(request, request.ino, decode.decodeName(reader)),
      error: isMissing,
      ...newEntry,
    }),
  ],
  [
    OPCODE.GETATTR,
    handler({
      call: (operations, request, reader) =>
        operations.getattr(request, request.ino, decode.decodeGetattr(reader)),
      encode: encode.encodeAttr,
    }),
  ],
  [
    OPCODE.SETATTR,
    handler({
      call: (operations, request, reader) =>
        operations.setattr(request, request.ino, decode.decodeSetattr(reader)),
      encode: encode.encodeAttr,
    }),
  ],
  [
    OPCODE.READLINK,
    handler({
      call: (operations, request) => operations.readlink(request, request.ino),
      encode: encode.encodeText,
    }),
  ],
  [
    OPCODE.MKNOD,
    handler({
      call: (operations, request, reader) =>
        operations.mknod(request, request.ino, decode.decodeMknod(reader)),
      ...newEntry,
    }),
  ],
  [
    OPCODE.MKDIR,
    handler({
      call: (operations, request, reader) =>
        operations.mkdir(request, request.ino, decode.decodeMkdir(reader)),
      ...newEntry,
    }),
  ],
  [
    OPCODE.SYMLINK,
    handler({
      call: (operations, request, reader) => {
        const { name, target } = decode.decodeSymlink(reader)
        return operations.symlink(request, request.ino, name, target)
      },
      ...newEntry,
    }),
  ],
  [
    OPCODE.LINK,
    handler({
      call: (operations, request, reader) => {
        const { ino, newName } = decode.decodeLink(reader)
        return operations.link(request, ino, request.ino, newName)
      },
      ...newEntry,
    }),
  ],
  [
    OPCODE.UNLINK,
    done((operations, request, reader) =>
      operations.unlink(request, request.ino, decode.decodeName(reader)),
    ),
  ],
  [
    OPCODE.RMDIR,
    done((operations, request, reader) =>
      operations.rmdir(request, request.ino, decode.decodeName(reader)),
    ),
  ],
  [
    OPCODE.RENAME,
    done((operations, request, reader) =>
      operations.rename(request, decode.decodeRename(reader, request.ino)),
    ),
  ],
  [
    OPCODE.RENAME2,
    done((operations, request, reader) =>
      operations.rename(request, decode.decodeRename2(reader, request.ino)),
    ),
  ],
  [
    OPCODE.OPEN,
    handler<OpenReply>({
      call: (operations, request, reader) => {
        const { flags, killPrivileges } = decode.decodeOpen(reader)
        return operations.open(request, request.ino, flags, { killPrivileges })
      },
      encode: encode.encodeOpen,
      undo: (operations, request, { fh }) => operations.release(request, request.ino, fh),
    }),
  ],
  [
    OPCODE.CREATE,
    handler<CreateReply>({
      call: (operations, request, reader) =>
        operations.create(request, request.ino, decode.decodeCreate(reader)),
      encode: encode.encodeCreate,
      undo: async (operations, request, { ino, fh }) => {
        await operations.release(request, ino, fh)
        operations.forget(ino, 1)
      },
    }),
  ],
  [OPCODE.READ, handler({ call: read, slices: slices => slices })],
  [
    OPCODE.WRITE,
    handler({
      call: (operations, request, reader) => {
        const { fh, ...write } = decode.decodeWrite(reader)
        return operations.write(request, request.ino, fh, write)
      },
      encode: encode.encodeWrite,
      keepsBuffer: true,
    }),
  ],
  [
    OPCODE.FALLOCATE,
    done((operations, request, reader) => {
      const { fh, ...allocate } = decode.decodeFallocate(reader)
      return operations.fallocate(request, request.ino, fh, allocate)
    }),
  ],
  [
    OPCODE.LSEEK,
    handler({
      call: (operations, request, reader) => {
        const { fh, ...seek } = decode.decodeLseek(reader)
        return operations.lseek(request, request.ino, fh, seek)
      },
      encode: encode.encodeOffset,
    }),
  ],
  [
    OPCODE.COPY_FILE_RANGE,
    handler({
      call: (operations, request, reader) =>
        operations.copyfilerange(request, decode.decodeCopyFileRange(reader, request.ino)),
      encode: encode.encodeWrite,
    }),
  ],
  [OPCODE.FLUSH, onHandle((operations, request, fh) => operations.flush(request, request.ino, fh))],
  [
    OPCODE.RELEASE,
    onHandle((operations, request, fh) => operations.release(request, request.ino, fh)),
  ],
  [
    OPCODE.FSYNC,
    done((operations, request, reader) => {
      const { fh, dataOnly } = decode.decodeFsync(reader)
      return operations.fsync(request, request.ino, fh, dataOnly)
    }),
  ],
  [
    OPCODE.OPENDIR,
    handler<OpenReply>({
      call: (operations, request, reader) =>
        operations.opendir(request, request.ino, decode.decodeOpen(reader).flags),
      encode: encode.encodeOpen,
      undo: (operations, request, { fh }) => operations.releasedir(request, request.ino, fh),
    }),
  ],
  [OPCODE.READDIR, readDirectoryHandler(false)],
  [OPCODE.READDIRPLUS, readDirectoryHandler(true)],
  [
    OPCODE.RELEASEDIR,
    onHandle((operations, request, fh) => operations.releasedir(request, request.ino, fh)),
  ],
  [
    OPCODE.FSYNCDIR,
    onHandle((operations, request, fh) => operations.fsyncdir(request, request.ino, fh)),
  ],
  [OPCODE.SYNCFS, done((operations, request) => operations.syncfs(request))],
  [
    OPCODE.GETXATTR,
    xattrHandler((operations, request, reader) =>
      operations.getxattr(request, request.ino, decode.decodeXattrName(reader)),
    ),
  ],
  [
    OPCODE.LISTXATTR,
    xattrHandler((operations, request) => {
      const names = operations.listxattr(request, request.ino)
      return names instanceof Promise ? names.then(joinNames) : joinNames(names)
    }),
  ],
  [
    OPCODE.SETXATTR,
    handler<void>({
      call: (operations, request, reader) =>
        operations.setxattr(request, request.ino, decode.decodeSetxattr(reader)),
      keepsBuffer: true,
    }),
  ],
  [
    OPCODE.REMOVEXATTR,
    done((operations, request, reader) =>
      operations.removexattr(request, request.ino, decode.decodeXattrName(reader)),
    ),
  ],
  [
    OPCODE.STATFS,
    handler({
      call: (operations, request) => operations.statfs(request),
      encode: encode.encodeStatfs,
    }),
  ],
  [
    OPCODE.ACCESS,
    done((operations, request, reader) =>
      operations.access(request, request.ino, decode.decodeAccess(reader)),
    ),
  ],
])

/**
 * Answers to what no Operations method is for. The kernel takes ENOSYS for "never" and does not ask
 * again; where it has a way of its own (poll, locks) it then takes that.
 * What a later version may support gets EOPNOTSUPP, which it does not remember.
 */
const REFUSALS: ReadonlyMap<number, ErrnoName> = new Map<number, ErrnoName>([
  [OPCODE.IOCTL, 'ENOTTY'],
])

/** The handler that throws what an opcode without a method is answered with. */
export function refuse(opcode: number): never {
  throw new ErrnoError(REFUSALS.get(opcode) ?? 'ENOSYS', `opcode ${opcode} is not supported`)
}
