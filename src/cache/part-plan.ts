/**
 * How a file goes into the parts of a composition: which are to be uploaded, and which can be copied
 * inside the store because nothing in them has changed. Pure.
 */
import type { Bytes } from '../util/units.js'

/** One part that is still to be made, of the bytes [start, end). */
export interface PlannedPart {
  readonly kind: 'upload' | 'copy'
  /** From 1; ascending with `start`, not without gaps. */
  readonly partNumber: number
  readonly start: Bytes
  readonly end: Bytes
}

export interface PartPlanOptions {
  readonly size: Bytes
  /** The grid: part k covers [(k-1)*partSize, k*partSize). */
  readonly partSize: Bytes
  /** No copied part may be larger. */
  readonly maxPartSize: Bytes
  /** Whether the part of this index, from 0, has been uploaded already. */
  readonly isSent: (index: number) => boolean
  /** Whether [start, end) is exactly what the base has there. */
  readonly isClean: (start: Bytes, end: Bytes) => boolean
}

/** One copied part spans as many neighbouring untouched parts of the grid as it may. */
export function planParts(options: PartPlanOptions): PlannedPart[] {
  const { size, partSize, maxPartSize, isSent, isClean } = options
  const parts: PlannedPart[] = []
  for (let index = 0; index * partSize < size; index += 1) {
    if (isSent(index)) continue
    const start = index * partSize
    const end = Math.min(start + partSize, size)
    const kind = isClean(start, end) ? 'copy' : 'upload'
    const last = parts.at(-1)
    if (
      kind === 'copy' &&
      last?.kind === 'copy' &&
      last.end === start &&
      end - last.start <= maxPartSize
    ) {
      parts[parts.length - 1] = { ...last, end }
    } else {
      parts.push({ kind, partNumber: index + 1, start, end })
    }
  }
  return parts
}
