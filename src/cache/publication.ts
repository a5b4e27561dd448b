/**
 * Brings all bytes of a file under write to the store, under its name: the one place that makes a new
 * version. A small file goes by one put, any other by a composition of parts that were sent before,
 * parts that are sent now, and parts that are copied inside the store.
 *
 * A composition is completed only when its parts make up exactly the size of the file.
 */
import type { Part, PartLimits, WriteConditions } from '../driver/driver.js'
import type { PartLayout } from '../driver/parts.js'
import { ErrnoError } from '../util/errno.js'
import { forEachParallel } from '../util/semaphore.js'
import type { Bytes } from '../util/units.js'
import type { Budget } from './budget.js'
import type { BufferPool } from './buffer-pool.js'
import type { FileStore } from './file-store.js'
import type { ObjectId } from './object-id.js'
import type { Source } from './origins.js'
import { planParts } from './part-plan.js'
import type { PlannedPart, UploadedPart } from './part-plan.js'
import { isResident, resident } from './pieces.js'
import type { UploadSession } from './upload-session.js'
import { PAGE_SIZE } from './write-buffer.js'
import type { Piece } from './write-buffer.js'

/** What is to be published. None of it may change meanwhile. */
export interface Publication {
  readonly size: Bytes
  readonly path: string
  readonly base: ObjectId | undefined
  readonly store: FileStore
  readonly session: UploadSession
  readonly owner: {
    readonly limits: PartLimits
    readonly layout: PartLayout
    /** For what is put together from bytes that are not in memory. */
    readonly assembly: Budget
    readonly pool: BufferPool
  }
  readonly pieces: (start: Bytes, end: Bytes) => readonly Piece[]
  readonly assemble: (pieces: readonly Piece[], page: () => Buffer) => Promise<Uint8Array[]>
  /** Where an object lies now. */
  readonly objectOf: (source: Source) => ObjectId
}

/** Parts of one file made at a time, beyond those already being sent. */
const PARALLELISM = 8

/**
 * @returns the version; its path is not the file's if a directory above was renamed after parts had
 *   been sent
 * @throws whatever the store throws; nothing has changed then, and it can be tried again
 */
export async function publish(publication: Publication): Promise<ObjectId> {
  const { size, owner, session, pieces } = publication
  const { limits, layout } = owner
  const isSmall = session.sent.size === 0 && size <= layout.part(1).size
  if (isSmall) {
    const whole = pieces(0, size)
    if (whole.every(({ kind }) => kind !== 'stored')) return putWhole(publication, whole)
  }
  const original = wholeOriginal(publication)
  const copied = original === undefined ? undefined : await copyWhole(publication, original)
  if (copied !== undefined) return copied
  const plan = planParts({ size, limits, layout, sent: session.indexes, pieces })
  const isCopied = plan.length > 0 && plan.every(({ kind }) => kind === 'copy')
  return isSmall && !isCopied
    ? putWhole(publication, pieces(0, size))
    : composeWhole(publication, plan)
}

async function putWhole(publication: Publication, pieces: readonly Piece[]): Promise<ObjectId> {
  const { path, session, store } = publication
  // Of an upload none of whose parts arrived.
  if (!session.isIdle) await session.drop()
  const conditions = conditionsOf(publication, pieces)
  const stored = await sending(publication, pieces, content => store.put(content, conditions))
  return { path, etag: stored.etag, size: stored.size }
}

/** The object that the file is a copy of, if it is that, and large enough to be copied. */
function wholeOriginal({ size, owner, session, pieces }: Publication): ObjectId | undefined {
  const [only, ...others] = pieces(0, size)
  if (session.sent.size > 0 || size < owner.limits.minPartSize || others.length > 0) return
  if (only?.kind !== 'stored' || only.source === 'base' || only.from !== 0) return
  return only.source.size === size ? only.source : undefined
}

async function copyWhole(
  { path, session, store }: Publication,
  original: ObjectId,
): Promise<ObjectId | undefined> {
  await session.drop()
  const copied = await store.copy(original)
  return copied && { path, etag: copied.etag, size: copied.size }
}

async function composeWhole(
  publication: Publication,
  plan: readonly PlannedPart[],
): Promise<ObjectId> {
  const { size, path, session } = publication
  const composition = await session.composeAt(path)
  // A directory above may have been renamed since the composition was begun. Then the old name is
  // not this file's any more: whoever has it now must not be replaced.
  const conditions: WriteConditions =
    composition.path === path
      ? conditionsOf(publication, publication.pieces(0, size))
      : { ifNoneMatch: '*' }
  try {
    const made = await makeParts(publication, plan)
    checkSize(publication, made)
    const { etag } = await session.complete(composition, made, conditions)
    return { path: composition.path, etag, size }
  } catch (error) {
    await session.abandon(composition)
    throw error
  }
}

function checkSize({ path, session, size }: Publication, made: readonly Part[]): void {
  const total = session.size + made.reduce((sum, part) => sum + part.size, 0)
  if (total === size) return
  throw new ErrnoError('EIO', `${path}: parts make ${total} bytes instead of ${size}`)
}

async function makeParts(publication: Publication, plan: readonly PlannedPart[]): Promise<Part[]> {
  const { session, objectOf } = publication
  const made: Part[] = []
  const make = async (planned: PlannedPart): Promise<void> => {
    if (planned.kind === 'upload') {
      made.push(await sendPart(publication, planned))
      return
    }
    const { partNumber, from, start, end, source } = planned
    const { path, etag } = objectOf(source)
    made.push(await session.copy(partNumber, { path, etag, offset: from, length: end - start }))
  }
  await forEachParallel(plan, make, { limit: PARALLELISM })
  return made
}

function sendPart(
  publication: Publication,
  { partNumber, start, end }: UploadedPart,
): Promise<Part> {
  const { session } = publication
  return sending(publication, publication.pieces(start, end), content =>
    session.send(partNumber, content),
  )
}

/**
 * What is not in memory yet takes memory of its own for as long as it is being sent. That is used again:
 * new memory for each part would wait for the collection of garbage, in hundreds of MiB.
 */
async function sending<T>(
  { owner, assemble }: Publication,
  pieces: readonly Piece[],
  send: (content: readonly Uint8Array[]) => Promise<T>,
): Promise<T> {
  let missing = 0
  for (const piece of pieces) if (!isResident(piece)) missing += piece.length
  if (missing === 0) return send(pieces.flatMap(resident))
  const pages: Buffer[] = []
  const page = (): Buffer => {
    const taken = owner.pool.take(PAGE_SIZE)
    pages.push(taken)
    return taken
  }
  await owner.assembly.reserve(missing)
  try {
    const sent = await send(await assemble(pieces, page))
    // Those of a request that failed are not used again: nobody knows who still reads them.
    for (const taken of pages) owner.pool.give(taken)
    return sent
  } finally {
    owner.assembly.release(missing)
  }
}

/** What was made from a version may replace that version only. */
function conditionsOf({ base }: Publication, pieces: readonly Piece[]): WriteConditions {
  const usesBase = pieces.some(piece => piece.kind === 'stored' && piece.source === 'base')
  return usesBase && base !== undefined ? { ifMatch: base.etag } : {}
}
