/**
 * Answers and notifications to the kernel, from records to bytes. Pure, and without garbage: all
 * write through a cursor that the caller owns. Layouts are those of linux/fuse.h.
 *
 * An answer is `fuse_out_header`, then the record of its opcode. The header is written last, when
 * the length is known: `beginReply`, any record, `endReply`.
 */
import { Buffer } from 'node:buffer'
import type { ByteWriter } from '../../util/cursor.js'
import type { Bytes } from '../../util/units.js'
import type {
  Attributes,
  AttributesReply,
  CreateReply,
  DirectoryEntry,
  Entry,
  Ino,
  NegativeEntry,
  OpenReply,
  StatfsReply,
  Timestamp,
} from '../operations.js'
import { OPEN_FLAG, RECORD_ALIGNMENT, SIZE } from './abi.js'

const NANOSECONDS = 1_000_000_000
/** About 136 years; enough for "for ever", and far from what overflows jiffies. */
const LONGEST_VALIDITY = 2 ** 32 - 1
/** Where a d_type lies in a mode: DT_* is S_IF* >> 12, see readdir(3). */
const TYPE_SHIFT = 12

export function beginReply(writer: ByteWriter): void {
  writer.seek(SIZE.OUT_HEADER)
}

/**
 * Writes the header before what the cursor has passed, and leaves the cursor there.
 * @param error a positive errno, 0 for success
 * @returns the length of the answer
 */
export function endReply(writer: ByteWriter, unique: number, error: number): Bytes {
  const length = writer.position
  encodeHeader(writer.seek(0), length, -error, unique)
  writer.seek(length)
  return length
}

/** `code` is a negative errno, 0, or the code of a notification. */
export function encodeHeader(
  writer: ByteWriter,
  length: Bytes,
  code: number,
  unique: number,
): void {
  writer.u32(length).i32(code).u64(unique)
}

export interface InitReply {
  readonly major: number
  readonly minor: number
  readonly maxReadahead: Bytes
  readonly flags: number
  readonly flags2: number
  readonly maxBackground: number
  readonly congestionThreshold: number
  readonly maxWrite: Bytes
  readonly maxPages: number
}

export function encodeInit(writer: ByteWriter, reply: InitReply): void {
  writer.u32(reply.major).u32(reply.minor).u32(reply.maxReadahead).u32(reply.flags)
  writer.u16(reply.maxBackground).u16(reply.congestionThreshold).u32(reply.maxWrite)
  // time_gran: timestamps are kept to the nanosecond
  writer.u32(1).u16(reply.maxPages)
  // map_alignment, flags2, unused
  writer.u16(0).u32(reply.flags2).zeros(28)
}

function encodeAttributes(writer: ByteWriter, attributes: Attributes): void {
  const { atime, mtime, ctime } = attributes
  writer.u64(attributes.ino).u64(attributes.size).u64(attributes.blocks)
  writer.u64(atime.seconds).u64(mtime.seconds).u64(ctime.seconds)
  encodeNanoseconds(writer, atime)
  encodeNanoseconds(writer, mtime)
  encodeNanoseconds(writer, ctime)
  writer.u32(attributes.mode).u32(attributes.nlink).u32(attributes.uid).u32(attributes.gid)
  writer.u32(attributes.rdev).u32(attributes.blksize).u32(0)
}

function encodeNanoseconds(writer: ByteWriter, time: Timestamp): void {
  writer.u32(time.nanoseconds)
}

/** Whole seconds of a validity, never negative, never more than the kernel can add to its clock. */
function wholeSeconds(validity: number): number {
  return validity > 0 ? Math.min(Math.floor(validity), LONGEST_VALIDITY) : 0
}

function fractionOf(validity: number): number {
  if (!(validity > 0) || validity >= LONGEST_VALIDITY) return 0
  return Math.min(Math.floor((validity % 1) * NANOSECONDS), NANOSECONDS - 1)
}

export function encodeAttr(writer: ByteWriter, reply: AttributesReply): void {
  const { attributes, attributesValid } = reply
  writer.u64(wholeSeconds(attributesValid)).u32(fractionOf(attributesValid)).u32(0)
  encodeAttributes(writer, attributes)
}

export function encodeEntry(writer: ByteWriter, entry: Entry | NegativeEntry): void {
  const { entryValid } = entry
  if (entry.ino === undefined) {
    // A nodeid of 0 says that there is nothing, and that this may be remembered.
    writer.zeros(16).u64(wholeSeconds(entryValid)).u64(0)
    writer.u32(fractionOf(entryValid)).u32(0).zeros(SIZE.ATTR)
    return
  }
  const { attributes, attributesValid } = entry
  writer.u64(entry.ino).u64(entry.generation)
  writer.u64(wholeSeconds(entryValid)).u64(wholeSeconds(attributesValid))
  writer.u32(fractionOf(entryValid)).u32(fractionOf(attributesValid))
  encodeAttributes(writer, attributes)
}

export function encodeOpen(writer: ByteWriter, reply: OpenReply): void {
  const flags =
    (reply.directIo === true ? OPEN_FLAG.DIRECT_IO : 0) |
    (reply.keepCache === true ? OPEN_FLAG.KEEP_CACHE : 0) |
    (reply.nonSeekable === true ? OPEN_FLAG.NONSEEKABLE : 0) |
    (reply.cacheDirectory === true ? OPEN_FLAG.CACHE_DIR : 0)
  writer.u64(reply.fh).u32(flags).u32(0)
}

export function encodeCreate(writer: ByteWriter, reply: CreateReply): void {
  encodeEntry(writer, reply)
  encodeOpen(writer, reply)
}

export function encodeWrite(writer: ByteWriter, taken: Bytes): void {
  writer.u32(taken).u32(0)
}

export function encodeOffset(writer: ByteWriter, offset: Bytes): void {
  writer.u64(offset)
}

export function encodeText(writer: ByteWriter, text: string): void {
  writer.utf8(text)
}

/** How much room GETXATTR or LISTXATTR needs. */
export function encodeXattrSize(writer: ByteWriter, size: Bytes): void {
  writer.u32(size).u32(0)
}

export function encodeStatfs(writer: ByteWriter, reply: StatfsReply): void {
  writer.u64(reply.blocks).u64(reply.blocksFree).u64(reply.blocksAvailable)
  writer.u64(reply.files).u64(reply.filesFree)
  // frsize is the unit of the block counts, bsize the preferred I/O size; one value serves as both
  writer.u32(reply.blockSize).u32(reply.nameLength).u32(reply.blockSize)
  writer.zeros(4 + 24)
}

/**
 * Appends one entry of READDIR (`plus` false) or READDIRPLUS, if it fits into the rest.
 * @returns whether it did
 */
export function encodeDirectoryEntry(
  writer: ByteWriter,
  entry: DirectoryEntry,
  plus: boolean,
): boolean {
  const nameLength = Buffer.byteLength(entry.name)
  const length = (plus ? SIZE.DIRENTPLUS : SIZE.DIRENT) + nameLength
  const padding = (RECORD_ALIGNMENT - (length % RECORD_ALIGNMENT)) % RECORD_ALIGNMENT
  if (length + padding > writer.remaining) return false
  if (plus && entry.entry === undefined) writer.zeros(SIZE.ENTRY_OUT)
  else if (plus && entry.entry !== undefined) encodeEntry(writer, entry.entry)
  writer
    .u64(entry.ino)
    .u64(entry.offset)
    .u32(nameLength)
    .u32(entry.type >>> TYPE_SHIFT)
  writer.utf8(entry.name)
  writer.zeros(padding)
  return true
}

export function encodeInvalidateInode(
  writer: ByteWriter,
  ino: Ino,
  range: { readonly offset: Bytes; readonly length: Bytes },
): void {
  writer.u64(ino).u64(range.offset).u64(range.length)
}

export function encodeInvalidateEntry(writer: ByteWriter, parent: Ino, name: string): void {
  writer.u64(parent).u32(Buffer.byteLength(name)).u32(0)
  writer.utf8(name)
  writer.zeros(1)
}
