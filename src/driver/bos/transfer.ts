/**
 * Copies and moves inside the store. A move is a copy, its verification, and only then the removal of
 * the source; repeating an interrupted one finishes it. A file that moves to a free name is renamed by
 * the service if it can: not all buckets can, so the first refusal is remembered.
 *
 * BOS knows no condition on the target of a copy. A conditional copy is therefore an upload whose only
 * part is copied and whose completion, which does know conditions, publishes it.
 */
import { forEachParallel } from '../../util/semaphore.js'
import { MiB, type Bytes } from '../../util/units.js'
import type {
  CopyOptions,
  DriverOptions,
  FileInfo,
  Metadata,
  MoveOptions,
  MoveResult,
  SetMetadataOptions,
  StatOptions,
  WriteConditions,
  WriteResult,
} from '../driver.js'
import { ConflictError, IntegrityError, PathNotFoundError, PreconditionError } from '../errors.js'
import { childPath, isBelow } from '../path.js'
import type { Conditions, CopySource, ObjectProperties } from './headers.js'
import { beginUpload, dropUnanswered } from './begin.js'
import { forPath, pagesBelow, type BosContext } from './context.js'
import type { ListedPart, ObjectHead } from './documents.js'
import { BosError } from './error.js'

export interface ByteRange {
  readonly offset: Bytes
  readonly length: Bytes
}

/**
 * Cuts [0, size) into the fewest ranges of at most `largest` bytes, of nearly the same size: whole
 * mebibytes but for the last, as old documents want parts to be.
 */
export function evenRanges(size: Bytes, largest: Bytes): ByteRange[] {
  if (size === 0) return []
  const even = size / Math.ceil(size / largest)
  const length = Math.min(largest, Math.ceil(even / MiB) * MiB)
  return Array.from({ length: Math.ceil(size / length) }, (_, i) => ({
    offset: i * length,
    length: Math.min(length, size - i * length),
  }))
}

interface CopyJob {
  /** The version to be copied. */
  readonly source: CopySource & { readonly etag: string; readonly size: Bytes }
  readonly key: string
  /** What the source is known to be; asked for when it matters. */
  readonly head?: ObjectHead | undefined
  /** Of the copy, in place of what the source has. */
  readonly metadata?: Metadata | undefined
}

/** Copies one object in the way that its size and the conditions ask for, and verifies the copy. */
async function copyObject(
  context: BosContext,
  job: CopyJob,
  options: DriverOptions & WriteConditions,
): Promise<string> {
  const { api, config } = context
  const { source, key } = job
  const { signal, ifMatch, ifNoneMatch } = options
  const conditional = ifMatch !== undefined || ifNoneMatch !== undefined
  if (!conditional && source.size <= config.copyThreshold) {
    const replace = job.metadata && {
      ...(job.head ?? (await api.head(source.key, { signal }))),
      metadata: job.metadata,
    }
    const etag = await api.copy(source, key, { signal, replace })
    await verify(context, { key, etag, source }, signal)
    return etag
  }
  const known = job.head ?? (await api.head(source.key, { signal }))
  const head = job.metadata === undefined ? known : { ...known, metadata: job.metadata }
  // An empty range cannot be copied, and nothing needs to be.
  if (source.size === 0) {
    return await api.put(key, Buffer.alloc(0), { ...head, signal, ifMatch, ifNoneMatch })
  }
  const etag = await copyInParts(context, { ...job, head }, { signal, ifMatch, ifNoneMatch })
  await verify(context, { key, etag, source }, signal)
  return etag
}

async function copyInParts(
  context: BosContext,
  { source, key, head }: Omit<CopyJob, 'head'> & { head: ObjectProperties },
  options: Conditions & { signal: AbortSignal | undefined },
): Promise<string> {
  const { api, config, limits } = context
  const { signal } = options
  const { size } = source
  const largest =
    size <= config.copyThreshold
      ? size
      : Math.max(config.copyPartSize, Math.ceil(size / limits.maxParts))
  const { uploadId, lostAt } = await beginUpload(context, key, { ...head, signal })
  try {
    const ranges = evenRanges(size, largest).map((range, i) => ({ ...range, partNumber: i + 1 }))
    const parts: ListedPart[] = []
    await forEachParallel(
      ranges,
      async ({ offset, length, partNumber }, stop) => {
        const range = { ...source, first: offset, last: offset + length - 1 }
        const etag = await api.uploads.copyPart({ key, uploadId, partNumber }, range, {
          signal: stop,
        })
        parts.push({ partNumber, etag, size: length })
      },
      { limit: config.copiesInFlight, ...(signal === undefined ? {} : { signal }) },
    )
    parts.sort((a, b) => a.partNumber - b.partNumber)
    return await api.uploads.complete({ key, uploadId }, parts, options)
  } catch (error) {
    await api.uploads.abort({ key, uploadId }).catch((failure: unknown) => {
      context.log.warn({ key, uploadId, error: failure }, 'could not abort an upload')
    })
    throw error
  } finally {
    await dropUnanswered(context, { key, uploadId }, lostAt)
  }
}

/** The copy has the source's etag, or else at least its size. */
async function verify(
  { api, name: driver }: BosContext,
  copy: { readonly key: string; readonly etag: string; readonly source: CopyJob['source'] },
  signal: AbortSignal | undefined,
): Promise<void> {
  if (copy.etag === copy.source.etag) return
  const { size } = await api.head(copy.key, { signal })
  if (size === copy.source.size) return
  const message = `the copy ${copy.key} has ${size} bytes instead of ${copy.source.size}`
  throw new IntegrityError(message, { driver })
}

/** @see StorageDriver.copy */
export async function copyFile(
  context: BosContext,
  from: string,
  to: string,
  options: CopyOptions,
): Promise<WriteResult> {
  const { api, keys } = context
  const head = await forPath(context, from, () => api.head(keys.file(from), options))
  if (options.etag !== undefined && options.etag !== head.etag) {
    const message = `${from} is version ${head.etag}, not ${options.etag}`
    throw new PreconditionError(message, { driver: context.name, path: from })
  }
  return await copyKnown(context, { from, to, version: versionOf(head), head }, options)
}

function versionOf({ etag, size }: WriteResult): WriteResult {
  return { etag, size }
}

/** One file, from here to there. */
interface FileMove {
  readonly from: string
  readonly to: string
  /** What the source is. */
  readonly version: WriteResult
  /** All that it is, if that is known; asked for when it matters. */
  readonly head: ObjectHead | undefined
}

async function copyKnown(
  context: BosContext,
  { from, to, version, head }: FileMove,
  options: Omit<MoveOptions, 'known'>,
): Promise<WriteResult> {
  const { keys } = context
  const source = { key: keys.file(from), ...version }
  const etag = await forPath(context, to, () =>
    copyObject(context, { source, key: keys.file(to), head, metadata: options.metadata }, options),
  )
  return { etag, size: version.size }
}

/** @see StorageDriver.setMetadata: a copy onto itself */
export async function setMetadata(
  context: BosContext,
  path: string,
  metadata: Metadata,
  options: SetMetadataOptions,
): Promise<WriteResult> {
  const { api, keys, config } = context
  const { known, ifMatch, signal } = options
  const key = keys.file(path)
  return await forPath(context, path, async () => {
    const { etag, size, contentHeaders, storageClass } = known ?? {}
    const isKnown = etag !== undefined && size !== undefined && contentHeaders !== undefined
    const head = isKnown
      ? { etag, size, contentHeaders, storageClass: storageClass ?? config.storageClass }
      : await api.head(key, { signal })
    const source = { key, etag: ifMatch ?? head.etag, size: head.size }
    if (head.size > config.copyThreshold) {
      // Its own completion can be conditional: nobody else's version is replaced.
      const whole = { ...head, metadata }
      const made = await copyInParts(
        context,
        { source, key, head: whole },
        { signal, ifMatch: source.etag },
      )
      return { etag: made, size: head.size }
    }
    const made = await api.copy(source, key, { signal, replace: { ...head, metadata } })
    await verify(context, { key, etag: made, source }, signal)
    return { etag: made, size: head.size }
  })
}

/** What is at a path: the file's head, and whether anything is below it. */
export interface Found {
  readonly file: ObjectHead | undefined
  readonly isDir: boolean
  /** What is known of the directory's marker. */
  readonly marker?: { readonly modTime?: Date; readonly metadata?: Metadata }
}

/** Looks for both kinds at once: one round trip. */
export async function look(
  { api, keys, learned }: BosContext,
  path: string,
  options: StatOptions,
): Promise<Found> {
  const { expect, signal } = options
  const prefix = keys.directory(path)
  if (expect === 'marker') {
    const marker = await api.find(prefix, { signal })
    return { file: undefined, isDir: marker !== undefined, ...(marker && { marker }) }
  }
  if (learned.hierarchical) {
    const [file, directory] = await Promise.all([
      expect === 'directory' ? undefined : api.find(keys.file(path), { signal }),
      expect === 'file' ? undefined : api.find(prefix, { signal }),
    ])
    return { file, isDir: directory !== undefined, ...(directory && { marker: directory }) }
  }
  const [file, below] = await Promise.all([
    expect === 'directory' ? undefined : api.find(keys.file(path), { signal }),
    expect === 'file' ? undefined : api.list({ prefix, maxKeys: 1 }, { signal }),
  ])
  const first = below?.objects[0]
  const isMarker = first?.key === prefix
  return {
    file,
    isDir: first !== undefined,
    ...(isMarker ? { marker: first } : {}),
  }
}

/** @see StorageDriver.move */
export async function move(
  context: BosContext,
  from: string,
  to: string,
  options: MoveOptions,
): Promise<MoveResult | undefined> {
  const moved = await moveThere(context, from, to, options)
  if (moved !== undefined) options.onMoved?.(moved.size)
  return moved
}

async function moveThere(
  context: BosContext,
  from: string,
  to: string,
  options: MoveOptions,
): Promise<MoveResult | undefined> {
  const { known, ...others } = options
  const { etag, size } = known?.source ?? {}
  if (known === undefined || etag === undefined || size === undefined || from === to) {
    return await moveUnknown(context, from, to, others)
  }
  const job = { from, to, version: { etag, size }, head: headOf(known.source) }
  try {
    return await moveFile(context, { ...job, isFree: known.isFree }, others)
  } catch (error) {
    // Perhaps the source is another version by now, or is a directory.
    const isNews = error instanceof PreconditionError || error instanceof PathNotFoundError
    if (!isNews) throw error
    return await moveUnknown(context, from, to, others)
  }
}

function headOf({
  size,
  etag,
  metadata,
  contentHeaders,
  storageClass,
}: FileInfo): ObjectHead | undefined {
  if (etag === undefined || metadata === undefined || contentHeaders === undefined) return undefined
  return { size, etag, metadata, contentHeaders, ...(storageClass && { storageClass }) }
}

async function moveUnknown(
  context: BosContext,
  from: string,
  to: string,
  options: Omit<MoveOptions, 'known'>,
): Promise<MoveResult | undefined> {
  const { api, keys, learned, name: driver } = context
  const { signal } = options
  const io = signal === undefined ? {} : { signal }
  const [source, target] = await Promise.all([
    forPath(context, from, () => look(context, from, io)),
    forPath(context, to, () => look(context, to, io)),
  ])
  if (source.file === undefined && !source.isDir) throw new PathNotFoundError(from, { driver })
  if (from === to) return undefined
  if (options.ifNoneMatch === '*' && (target.isDir || target.file !== undefined)) {
    throw new PreconditionError(`${to} exists`, { driver, path: to })
  }
  if (source.isDir) {
    if (options.ifMatch !== undefined && target.file?.etag !== options.ifMatch) {
      const message = `${to} does not hold version ${options.ifMatch}`
      throw new PreconditionError(message, { driver, path: to })
    }
    if (isBelow(to, from)) {
      throw new ConflictError(`${to} lies inside ${from}`, { driver, path: to })
    }
    if (learned.hierarchical) {
      await moveRealDirectory(context, { from, to, target }, { ...io, onMoved: options.onMoved })
      return undefined
    }
    await moveDirectory(context, from, to, { ...io, onMoved: options.onMoved })
    if (target.file !== undefined) await api.deletions.object(keys.file(to), io)
    return undefined
  }
  if (source.file === undefined) return undefined
  if (target.isDir) throw new ConflictError(`${to} is a directory`, { driver, path: to })
  // Nobody but the completion of a copy can promise that nothing is replaced.
  const isFree = target.file === undefined && options.ifNoneMatch === undefined
  const job = { from, to, version: versionOf(source.file), head: source.file, isFree }
  return await moveFile(context, job, options)
}

async function moveFile(
  context: BosContext,
  job: FileMove & { readonly isFree: boolean },
  options: Omit<MoveOptions, 'known'>,
): Promise<MoveResult> {
  const { api, keys } = context
  const { signal, ifMatch, metadata } = options
  const io = signal === undefined ? {} : { signal }
  const isPlain = ifMatch === undefined && metadata === undefined
  const renamedTo = job.isFree && isPlain ? await renamed(context, job, io) : undefined
  if (renamedTo !== undefined) return renamedTo
  const copied = await copyKnown(context, job, options)
  await forPath(context, job.from, () => api.deletions.object(keys.file(job.from), io))
  return copied
}

const NO_RENAME_STATUS: ReadonlySet<number> = new Set([400, 405, 501])
/** What services that do not replace say of a target that has been made meanwhile. */
const TAKEN_STATUS: ReadonlySet<number> = new Set([409, 412])

/** Lets the service rename a file to a free name; undefined if it does not, with nothing changed. */
async function renamed(
  context: BosContext,
  { from, to, version }: FileMove,
  options: DriverOptions,
): Promise<MoveResult | undefined> {
  const { api, keys, config, learned } = context
  if (!config.rename || learned.noRename) return undefined
  try {
    await forPath(context, from, async () => {
      try {
        await api.rename(keys.file(from), keys.file(to), options)
      } catch (error) {
        const status = error instanceof BosError ? (error.status ?? 0) : 0
        if (NO_RENAME_STATUS.has(status)) throw new NoRename('the service has none')
        throw TAKEN_STATUS.has(status) ? new NoRename('the target is taken') : error
      }
    })
  } catch (error) {
    if (!(error instanceof NoRename)) throw error
    learned.noRename ||= error.why === 'the service has none'
    return undefined
  }
  const found = await forPath(context, to, () => api.find(keys.file(to), options))
  if (found?.size === version.size) return placed(found)
  const source = await forPath(context, from, () => api.find(keys.file(from), options))
  // Without a source it was renamed, whatever it has become since.
  if (source === undefined && found !== undefined) return placed(found)
  // The service said yes and did something else: copy.
  learned.noRename = true
  return undefined
}

function placed({ etag, size, modTime }: ObjectHead): MoveResult {
  return { etag, size, ...(modTime && { modTime }) }
}

class NoRename extends Error {
  readonly why: 'the service has none' | 'the target is taken'

  constructor(why: NoRename['why']) {
    super(why)
    this.why = why
  }
}

interface Moved {
  readonly onMoved: MoveOptions['onMoved'] | undefined
}

/** Copies everything, and when all of it is verified deletes exactly what was copied. */
async function moveDirectory(
  context: BosContext,
  from: string,
  to: string,
  { onMoved, ...options }: DriverOptions & Moved,
): Promise<void> {
  const { api, keys, config } = context
  const [fromPrefix, toPrefix] = [keys.directory(from), keys.directory(to)]
  const copied: string[] = []
  await forPath(context, from, async () => {
    await forEachParallel(
      objectsBelow(context, fromPrefix, options),
      async ({ key, etag, size }, signal) => {
        const target = toPrefix + key.slice(fromPrefix.length)
        await copyObject(context, { source: { key, etag, size }, key: target }, { signal })
        copied.push(key)
        onMoved?.(size)
      },
      { limit: config.copiesInFlight, ...options },
    )
    await api.deletions.objects(copied, options)
  })
}

/** Renames a directory of a hierarchical bucket, at one stroke; into one that exists, child by child. */
async function moveRealDirectory(
  context: BosContext,
  { from, to, target }: { from: string; to: string; target: Found },
  { onMoved, ...options }: DriverOptions & Moved,
): Promise<void> {
  const { api, keys } = context
  const [fromKey, toKey] = [keys.directory(from), keys.directory(to)]
  if (!target.isDir) {
    // A file and a directory cannot have one name.
    if (target.file !== undefined)
      await forPath(context, to, () => api.deletions.object(keys.file(to), options))
    await forPath(context, from, () => api.rename(fromKey, toKey, options))
    return
  }
  await forPath(context, from, async () => {
    for await (const page of pagesBelow(context, fromKey, { ...options, delimiter: '/' })) {
      const files = page.objects.map(({ key }) => key)
      for (const key of [...files, ...page.prefixes]) {
        const name = key.slice(fromKey.length).replace(/\/$/, '')
        if (name === '') continue
        await move(context, childPath(from, name), childPath(to, name), {
          ...options,
          ...(onMoved && { onMoved }),
        })
      }
    }
    await api.deletions.tree(fromKey, options)
  })
}

async function* objectsBelow(
  context: BosContext,
  prefix: string,
  options: DriverOptions,
): AsyncGenerator<{ key: string; etag: string; size: Bytes }> {
  for await (const page of pagesBelow(context, prefix, options)) yield* page.objects
}
