/**
 * Appending to a committed file: its bytes become the first parts of a new upload, copied inside the
 * store, several at once.
 */
import { forEachParallel } from '../../util/semaphore.js'
import type { Bytes } from '../../util/units.js'
import type { DriverOptions, Part } from '../driver.js'
import type { BosContext } from './context.js'
import type { UploadName } from './multipart.js'
import { evenRanges, type ByteRange } from './transfer.js'

/** What is to be continued, and in which upload. */
export interface CommittedFile extends UploadName {
  readonly etag: string
  /** At least one byte. */
  readonly size: Bytes
}

/** The more parts are copied, the larger are those that follow (parts.ts). */
const MOST_PARTS = 100

/** Few enough that what is appended is cut small, and enough to be copied at once. */
function copiedPartSize({ limits, config }: BosContext, size: Bytes): Bytes {
  if (size <= config.copyThreshold) return size
  const even = Math.ceil(size / MOST_PARTS)
  return Math.min(limits.maxPartSize, Math.max(config.copyPartSize, even))
}

/** The ranges to copy. Unlike a copy's, none may be too small for a part: more parts follow. */
function copiedRanges(context: BosContext, size: Bytes): readonly ByteRange[] {
  const { minPartSize, maxPartSize } = context.limits
  const ranges = evenRanges(size, copiedPartSize(context, size))
  const [before, last] = ranges.slice(-2)
  if (before === undefined || last === undefined || last.length >= minPartSize) return ranges
  const { offset } = before
  const joined = { offset, length: size - offset }
  return [
    ...ranges.slice(0, -2),
    ...(joined.length <= maxPartSize
      ? [joined]
      : [
          { offset, length: joined.length - minPartSize },
          { offset: size - minPartSize, length: minPartSize },
        ]),
  ]
}

/** Copies a file into the first parts of an upload, which is aborted if that fails. */
export async function copyCommitted(
  context: BosContext,
  { key, uploadId, etag, size }: CommittedFile,
  options: DriverOptions,
): Promise<Part[]> {
  const { api, config, log } = context
  const parts: Part[] = []
  try {
    await forEachParallel(
      copiedRanges(context, size).entries(),
      async ([index, { offset, length }], signal) => {
        const part = { key, uploadId, partNumber: index + 1 }
        const source = { key, etag, first: offset, last: offset + length - 1 }
        const copied = await api.uploads.copyPart(part, source, { signal })
        parts.push({ partNumber: part.partNumber, etag: copied, size: length })
      },
      { limit: config.copiesInFlight, ...options },
    )
  } catch (error) {
    await api.uploads.abort({ key, uploadId }).catch((failure: unknown) => {
      log.warn({ key, uploadId, error: failure }, 'could not abort an upload')
    })
    throw error
  }
  return parts.sort((a, b) => a.partNumber - b.partNumber)
}
