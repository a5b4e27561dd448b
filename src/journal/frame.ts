/**
 * Frames of the journal's log: one change of several records, all of it or nothing. Pure.
 *
 * A frame is a head, a JSON text and the bytes of small contents. A checksum covers all of it; a frame
 * that was cut off, or whose blocks did not all get to the disk, says nothing. Each frame also says up to
 * where the log was safe on the disk before it: damage in front of that is damage, not an unfinished write.
 */
import { crc32Of } from '../util/checksum.js'
import type { Bytes } from '../util/units.js'
import type { LogRecord, Slice } from './record.js'

/** `BMJ1` */
const MAGIC = 0x424d4a31
const HEAD = 28

/** A record that the store has, or that is not wanted any more. */
export interface Drop {
  readonly key: string
  readonly seq: number
}

/** Where the log before this one ended, in the first frame of a log file. */
export interface Previous {
  readonly file: string
  readonly end: Bytes
}

export interface FrameText {
  readonly sets?: readonly LogRecord[]
  readonly drops?: readonly Drop[]
  readonly previous?: Previous
}

export interface Frame extends FrameText {
  /** Where it begins and ends in its file, and where its contents begin. */
  readonly start: Bytes
  readonly contents: Bytes
  readonly end: Bytes
}

/** The name of the file in slices of a frame's own contents, whose offsets count from their beginning. */
export const OWN = ''

/** A head and a text; contents follow it as they are. */
export function encodeFrame(
  text: FrameText,
  contents: readonly Uint8Array[],
  confirmed: Bytes,
): Buffer {
  const json = Buffer.from(JSON.stringify(text))
  const frame = Buffer.alloc(HEAD + json.length)
  const contentsLength = contents.reduce((sum, { length }) => sum + length, 0)
  frame.writeUInt32BE(MAGIC, 0)
  frame.writeUInt32BE(json.length, 8)
  frame.writeBigUInt64BE(BigInt(contentsLength), 12)
  frame.writeBigUInt64BE(BigInt(confirmed), 20)
  json.copy(frame, HEAD)
  frame.writeUInt32BE(crc32Of([frame.subarray(8), ...contents]), 4)
  return frame
}

export interface Scanned {
  readonly frames: readonly Frame[]
  /** Behind the last frame that is whole. */
  readonly end: Bytes
  /** Something behind that shows that what is there was safe once. */
  readonly isDamaged: boolean
}

/** Reads the frames of a log file. */
export function scanFrames(log: Buffer): Scanned {
  const frames: Frame[] = []
  let at = 0
  for (;;) {
    const found = frameAt(log, at)
    if (found === undefined) break
    frames.push(found.frame)
    at = found.frame.end
  }
  return { frames, end: at, isDamaged: isConfirmedBehind(log, at) }
}

function frameAt(
  log: Buffer,
  start: Bytes,
): { readonly frame: Frame; readonly confirmed: Bytes } | undefined {
  if (start + HEAD > log.length || log.readUInt32BE(start) !== MAGIC) return undefined
  const contents = start + HEAD + log.readUInt32BE(start + 8)
  const end = contents + Number(log.readBigUInt64BE(start + 12))
  if (end > log.length) return undefined
  if (crc32Of([log.subarray(start + 8, end)]) !== log.readUInt32BE(start + 4)) return undefined
  const text = JSON.parse(log.toString('utf8', start + HEAD, contents)) as FrameText
  const confirmed = Number(log.readBigUInt64BE(start + 20))
  return { frame: { ...text, start, contents, end }, confirmed }
}

/** Whether a later frame says that the log was safe behind `at`. */
function isConfirmedBehind(log: Buffer, at: Bytes): boolean {
  const magic = Buffer.alloc(4)
  magic.writeUInt32BE(MAGIC)
  for (let next = log.indexOf(magic, at + 1); next !== -1; next = log.indexOf(magic, next + 1)) {
    const found = frameAt(log, next)
    if (found !== undefined && found.confirmed > at) return true
  }
  return false
}

/** Slices of a frame's own contents as slices of the file that it lies in. */
export function locate(record: LogRecord, file: string, contents: Bytes): LogRecord {
  if (record.kind !== 'put' || !record.slices.some(slice => slice.file === OWN)) return record
  const slices = record.slices.map((slice): Slice =>
    slice.file === OWN ? { file, offset: contents + slice.offset, length: slice.length } : slice,
  )
  return { ...record, slices }
}
