/**
 * A stream of unknown length into one object: one PUT if it is short, else a multipart upload with
 * several parts under way. Nothing is visible before all of it is there, and nothing stays behind
 * when it fails.
 */
import type { Composition, Part, StorageDriver, WriteConditions } from '../../driver/driver.js'
import { partSizeOf } from '../../driver/parts.js'
import { forEachParallel } from '../../util/semaphore.js'
import type { Bytes } from '../../util/units.js'

export interface UploadOptions extends WriteConditions {
  readonly signal: AbortSignal
  /** Told of bytes once BOS has them. */
  readonly onBytes?: (bytes: Bytes) => void
}

/** Parts at once: each is in memory meanwhile. */
const PARTS_AT_ONCE = 4

interface Piece {
  readonly partNumber: number
  readonly data: readonly Uint8Array[]
  readonly size: Bytes
  readonly isLast: boolean
}

/** @returns the number of bytes */
export async function upload(
  driver: StorageDriver,
  path: string,
  source: AsyncIterable<Uint8Array>,
  options: UploadOptions,
): Promise<Bytes> {
  const { signal, onBytes, ...conditions } = options
  const pieces = cut(driver, source)[Symbol.asyncIterator]()
  const first = await pieces.next()
  const piece: Piece = first.done === true ? EMPTY : first.value
  if (piece.isLast) {
    await driver.putContent(path, piece.data, { signal, ...conditions })
    onBytes?.(piece.size)
    return piece.size
  }
  const composition = await driver.compose(path, { signal })
  try {
    const parts = await send(composition, chain(piece, pieces), { signal, onBytes })
    const { size } = await composition.complete(parts, { signal, ...conditions })
    return size
  } catch (error) {
    // Not with the command's signal: it is what has ended the upload.
    await composition.abort({ signal: AbortSignal.timeout(ABORT_WITHIN) }).catch(() => undefined)
    throw error
  }
}

const EMPTY: Piece = { partNumber: 1, data: [], size: 0, isLast: true }
const ABORT_WITHIN = 10_000

async function send(
  composition: Composition,
  pieces: AsyncIterable<Piece>,
  options: { signal: AbortSignal; onBytes: ((bytes: Bytes) => void) | undefined },
): Promise<Part[]> {
  const parts: Part[] = []
  const work = async ({ partNumber, data, size }: Piece, signal: AbortSignal): Promise<void> => {
    parts.push(await composition.uploadPart(partNumber, data, { signal }))
    options.onBytes?.(size)
  }
  await forEachParallel(pieces, work, { limit: PARTS_AT_ONCE, signal: options.signal })
  return parts.sort((a, b) => a.partNumber - b.partNumber)
}

async function* chain(first: Piece, rest: AsyncIterator<Piece>): AsyncGenerator<Piece> {
  yield first
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
}

/** Cuts the stream where parts end; the last piece is known to be it. */
async function* cut(
  driver: StorageDriver,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Piece> {
  let partNumber = 1
  let data: Uint8Array[] = []
  let size = 0
  for await (const chunk of source) {
    let rest = chunk
    while (rest.length > 0) {
      const room = partSizeOf(partNumber, driver.partLimits) - size
      if (room === 0) {
        yield { partNumber, data, size, isLast: false }
        partNumber += 1
        data = []
        size = 0
        continue
      }
      const taken = rest.subarray(0, room)
      data.push(taken)
      size += taken.length
      rest = rest.subarray(taken.length)
    }
  }
  if (size > 0) yield { partNumber, data, size, isLast: true }
}
