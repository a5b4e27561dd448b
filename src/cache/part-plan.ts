/**
 * How a file goes into the parts of a composition: which bytes are to be uploaded, and which can be
 * copied inside the store from an object that has them. Pure.
 *
 * Model: some parts of the grid (see driver/parts.ts) have been sent while the file was written; each
 * has the number that its place in the grid gives it. Between them are gaps, which may be cut freely:
 * as few bytes as possible travel, no part but the file's last is below the smallest that the store
 * takes, and none is larger than it should be. A gap has as many part numbers as the grid has parts in
 * it. Where these do not suffice the gap is cut along the grid, which always fits.
 */
import type { PartLimits } from '../driver/driver.js'
import type { PartLayout } from '../driver/parts.js'
import { GiB, MiB } from '../util/units.js'
import type { Bytes } from '../util/units.js'
import type { Source } from './origins.js'
import { isSameSource } from './origins.js'
import type { Piece } from './write-buffer.js'

/** One part that is still to be made, of the bytes [start, end). */
export type PlannedPart = UploadedPart | CopiedPart

interface Place {
  /** From 1; ascending with `start`, not without gaps. */
  readonly partNumber: number
  readonly start: Bytes
  readonly end: Bytes
}

export interface UploadedPart extends Place {
  readonly kind: 'upload'
}

export interface CopiedPart extends Place {
  readonly kind: 'copy'
  readonly source: Source
  /** The part begins with this byte of the source. */
  readonly from: Bytes
}

export interface PartPlanOptions {
  readonly size: Bytes
  readonly limits: PartLimits
  readonly layout: PartLayout
  /** Indexes, from 0, of the parts of the grid that have been sent, ascending. */
  readonly sent: readonly number[]
  /** What makes up [start, end). */
  readonly pieces: (start: Bytes, end: Bytes) => readonly Piece[]
}

/** A request that copies more than this may take longer than a request should. */
const LARGEST_COPY: Bytes = GiB

type Segment =
  | { readonly kind: 'upload'; readonly start: Bytes; readonly end: Bytes }
  | {
      readonly kind: 'copy'
      readonly start: Bytes
      readonly end: Bytes
      readonly source: Source
      readonly from: Bytes
    }

export function planParts(options: PartPlanOptions): PlannedPart[] {
  const { size, layout, limits, sent } = options
  const plan: PlannedPart[] = []
  let start = 0
  let partNumber = 1
  for (const index of sent) {
    const part = layout.part(index + 1)
    const numbers = { first: partNumber, count: index + 1 - partNumber }
    plan.push(...planGap(options, { start, end: part.offset }, numbers))
    start = part.offset + part.size
    partNumber = index + 2
  }
  const numbers = { first: partNumber, count: limits.maxParts - partNumber + 1 }
  plan.push(...planGap(options, { start, end: size }, numbers))
  return plan
}

function planGap(
  options: PartPlanOptions,
  { start, end }: { start: Bytes; end: Bytes },
  { first, count }: { first: number; count: number },
): PlannedPart[] {
  if (start >= end) return []
  const { size, limits } = options
  const wanted = joined(options.pieces(start, end).map(segmentOf))
  const isLast = end === size
  const segments = atLeast(wanted, limits.minPartSize, isLast)
  const free = segments.flatMap(segment => cut(segment, options))
  const chosen = free.length <= count ? free : alongGrid(options, start, end)
  return chosen.map((segment, i) => ({ ...segment, partNumber: first + i }))
}

function segmentOf(piece: Piece): Segment {
  const { offset: start } = piece
  const end = start + piece.length
  if (piece.kind !== 'stored') return { kind: 'upload', start, end }
  return { kind: 'copy', start, end, source: piece.source, from: piece.from }
}

/** Makes one of neighbours that can be one. */
function joined(segments: readonly Segment[]): Segment[] {
  const result: Segment[] = []
  for (const next of segments) {
    const last = result.at(-1)
    if (last !== undefined && continues(last, next)) {
      result[result.length - 1] = { ...last, end: next.end }
    } else if (next.end > next.start) result.push(next)
  }
  return result
}

function continues(last: Segment, next: Segment): boolean {
  if (last.kind === 'upload' || next.kind === 'upload') return last.kind === next.kind
  return isSameSource(last.source, next.source) && last.from + last.end - last.start === next.from
}

/**
 * Grows what is too small at the cost of its neighbours: copies become uploads where they are too
 * small themselves, or would be.
 */
function atLeast(segments: readonly Segment[], smallest: Bytes, isLast: boolean): Segment[] {
  const isSmall = ({ start, end }: Segment): boolean => end - start < smallest
  const rest = segments.map(segment => (isSmall(segment) ? asUpload(segment) : segment))
  const result: Segment[] = []
  for (let i = 0; i < rest.length;) {
    let current = rest[i]
    if (current === undefined) break
    i += 1
    const last = result.at(-1)
    if (last !== undefined && continues(last, current)) {
      current = { ...last, end: current.end }
      result.pop()
    }
    for (let next = rest[i]; next !== undefined && isSmall(current); next = rest[i]) {
      const end = Math.min(current.start + smallest, next.end)
      const remains = startingAt(next, end)
      const isAbsorbed = isSmall(remains)
      current = { ...asUpload(current), end: isAbsorbed ? next.end : end }
      if (isAbsorbed) i += 1
      else rest[i] = remains
    }
    result.push(current)
  }
  const end = result.at(-1)
  if (end !== undefined && isSmall(end) && !isLast) takeFromBefore(result, smallest)
  return result
}

/** The last of the segments is too small, and nothing follows it. */
function takeFromBefore(segments: Segment[], smallest: Bytes): void {
  const small = segments.pop()
  const before = segments.pop()
  if (small === undefined) return
  if (before === undefined) {
    segments.push(small)
    return
  }
  const start = Math.max(before.start, small.end - smallest)
  if (start - before.start >= smallest) {
    segments.push({ ...before, end: start }, { ...asUpload(small), start })
    return
  }
  const last = segments.at(-1)
  if (last?.kind === 'upload') segments[segments.length - 1] = { ...last, end: small.end }
  else segments.push({ ...asUpload(before), end: small.end })
}

function asUpload({ start, end }: { start: Bytes; end: Bytes }): Segment {
  return { kind: 'upload', start, end }
}

function startingAt(segment: Segment, start: Bytes): Segment {
  if (segment.kind === 'upload') return { ...segment, start }
  return { ...segment, start, from: segment.from + start - segment.start }
}

/** Cuts a segment into parts of about the same size: whole mebibytes if they are large enough for it. */
function cut(segment: Segment, { limits, layout }: PartPlanOptions): Segment[] {
  const { kind, start, end } = segment
  const length = end - start
  const largest =
    kind === 'copy' ? Math.min(limits.maxPartSize, LARGEST_COPY) : layout.partAt(start).size
  const needed = Math.ceil(length / largest)
  // Two halves of a little more than one part may be smaller than a part may be.
  const possible = kind === 'copy' ? needed : Math.max(1, Math.floor(length / limits.minPartSize))
  const count = Math.min(needed, possible)
  const unit = length / count - MiB >= limits.minPartSize ? MiB : 1
  const parts: Segment[] = []
  let from = start
  for (let i = 1; i <= count; i += 1) {
    const to = i === count ? end : start + Math.round((i * length) / count / unit) * unit
    parts.push({ ...startingAt(segment, from), end: to })
    from = to
  }
  return parts
}

/** One part for each part of the grid, or fewer where neighbours are copied from one place. */
function alongGrid(options: PartPlanOptions, start: Bytes, end: Bytes): Segment[] {
  const { layout, limits } = options
  const cells: Segment[] = []
  for (let position = start; position < end;) {
    const { offset, size } = layout.partAt(position)
    const stop = Math.min(offset + size, end)
    const segments = joined(options.pieces(position, stop).map(segmentOf))
    const [only] = segments
    const cell =
      only !== undefined && segments.length === 1 ? only : asUpload({ start: position, end: stop })
    const last = cells.at(-1)
    const fits = last !== undefined && cell.end - last.start <= limits.maxPartSize
    if (fits && cell.kind === 'copy' && continues(last, cell)) {
      cells[cells.length - 1] = { ...last, end: stop }
    } else cells.push(cell)
    position = stop
  }
  return cells
}
