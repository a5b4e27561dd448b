/** Requests of multipart uploads. */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { MiB } from '../../util/units.js'
import { isRecord, receiveContent, receiveJson } from '../body.js'
import { holdsForCopySource, readConditions, unquote } from '../conditions.js'
import {
  jsonTime,
  numberParameter,
  requireAddress,
  requireObject,
  type Context,
} from '../context.js'
import { readCopySource } from '../copy-source.js'
import { combineCrc32, combineCrc32c, type CrcPiece } from '../crc-combine.js'
import { ServiceError } from '../errors.js'
import type { Exchange } from '../exchange.js'
import { checksumHeaders, readAttributes, readUserMetadata } from '../metadata.js'
import { uriEncodePath } from '../names.js'
import { filesOf, type Content, type PartRecord, type Slice, type UploadRecord } from '../store.js'
import { keep, writeGuard } from './object.js'

const MAX_PART_NUMBER = 10_000
/** Most parts in one page of ListParts. */
const MAX_PARTS = 1000
/** Times that a copy starts over because its source was replaced meanwhile. */
const COPY_ATTEMPTS = 3

export async function initiateMultipartUpload(exchange: Exchange, context: Context): Promise<void> {
  const address = requireAddress(exchange, context)
  const attributes = readAttributes(exchange.headers, address.key, context.switches)
  await exchange.receive(() => undefined)
  const { bucket, key, uploadId } = await context.store.createUpload(address, attributes)
  exchange.sendJson(200, { bucket, key, uploadId })
}

export async function uploadPart(exchange: Exchange, context: Context): Promise<void> {
  const upload = requireUpload(exchange, context)
  const partNumber = readPartNumber(exchange)
  const content = await receiveContent(exchange, context.files)
  await keep(content, context, async () => {
    await context.store.putPart(upload, { partNumber, ...content })
  })
  exchange.sendEmpty(200, { ETag: `"${content.etag}"`, ...checksumHeaders(content) })
}

export async function uploadPartCopy(exchange: Exchange, context: Context): Promise<void> {
  const upload = requireUpload(exchange, context)
  const partNumber = readPartNumber(exchange)
  await exchange.receive(() => undefined)
  for (let attempt = 0; attempt < COPY_ATTEMPTS; attempt += 1) {
    const part = await copyPart(exchange, context, { upload, partNumber })
    if (part === undefined) continue
    exchange.sendJson(200, { lastModified: jsonTime(part.modified), eTag: part.etag })
    return
  }
  throw new ServiceError('ServiceUnavailable', { message: 'The source keeps changing.' })
}

async function copyPart(
  exchange: Exchange,
  context: Context,
  target: { readonly upload: UploadRecord; readonly partNumber: number },
): Promise<PartRecord | undefined> {
  const { slices, size, crc32: known } = chooseSource(exchange, context)
  const files = filesOf(slices)
  context.files.pin(files)
  try {
    const digests = await hashSlices(slices, context, known)
    const { etag } = digests
    const [only] = slices
    const named = only !== undefined && slices.length === 1 ? [{ ...only, md5: etag }] : slices
    const part = { partNumber: target.partNumber, ...digests, size, slices: named }
    return await context.store.putPart(target.upload, part, { shared: true })
  } finally {
    await context.files.unpin(files)
  }
}

function chooseSource(
  exchange: Exchange,
  context: Context,
): { readonly slices: readonly Slice[]; readonly size: number; readonly crc32?: number } {
  const record = requireObject(readCopySource(exchange, context), context)
  const conditions = readConditions(exchange.headers, 'x-bce-copy-source-')
  if (!holdsForCopySource(record, conditions)) throw new ServiceError('PreconditionFailed')
  const text = exchange.header('x-bce-copy-source-range')
  if (text === undefined) {
    const { size, crc32 } = record
    const slices = context.store.slices(record, 0, size)
    return { slices, size, ...(crc32 === undefined ? {} : { crc32 }) }
  }
  const { first, last } = readCopyRange(text)
  if (first > last || last >= record.size) throw new ServiceError('InvalidRange')
  const size = last - first + 1
  return { slices: context.store.slices(record, first, size), size }
}

/** Unlike the range of a GET it must have both ends, and lie within the source. */
function readCopyRange(text: string): { readonly first: number; readonly last: number } {
  const match = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(text)
  if (match === null) {
    throw new ServiceError('InvalidArgument', {
      message: 'x-bce-copy-source-range is not bytes=first-last.',
    })
  }
  return { first: Number(match[1]), last: Number(match[2]) }
}

/** Up to this a copied range is read, and named by its MD5, however many slices it has. */
const CHEAP = 16 * MiB

/**
 * The etag of copied bytes, and their CRC-32 if it is known or falls off. Reading gigabytes to name them
 * would make a copy inside the store as slow as one through a client: as a multipart object has no MD5 of
 * its bytes, a range of several slices has none; its etag is made from theirs, and only slices that are
 * cut are read.
 */
async function hashSlices(
  slices: readonly Slice[],
  context: Context,
  known: number | undefined,
): Promise<Pick<PartRecord, 'etag' | 'crc32'>> {
  const [only] = slices
  if (slices.length === 1 && only?.md5 !== undefined) {
    return { etag: only.md5, ...(known === undefined ? {} : { crc32: known }) }
  }
  const size = slices.reduce((sum, { length }) => sum + length, 0)
  if (slices.length <= 1 || size <= CHEAP) return await hashBytes(slices, context)
  const names = createHash('md5')
  for (const slice of slices) names.update(slice.md5 ?? (await hashBytes([slice], context)).etag)
  return { etag: `-${names.digest('hex')}`, ...(known === undefined ? {} : { crc32: known }) }
}

async function hashBytes(
  slices: readonly Slice[],
  context: Context,
): Promise<{ readonly etag: string; readonly crc32: number }> {
  const md5 = createHash('md5')
  let crc = 0
  await context.reader.forEachPiece(slices, async piece => {
    md5.update(piece)
    crc = crc32(piece, crc)
  })
  return { etag: md5.digest('hex'), crc32: crc }
}

export async function completeMultipartUpload(exchange: Exchange, context: Context): Promise<void> {
  const upload = requireUpload(exchange, context)
  const { minPartSize, metadataLimit, completeMetadata } = context.switches
  const chosen = readChosenParts(await receiveJson(exchange, MiB))
  const added = completeMetadata ? readUserMetadata(exchange.headers, metadataLimit) : {}
  const meta = { ...upload.meta, ...added }
  const guard = writeGuard(exchange)
  const record = await context.store.completeUpload({
    upload,
    compose: (parts, current) => {
      guard(current)
      const list = findParts(chosen, parts)
      if (list.slice(0, -1).some(part => part.size < minPartSize)) {
        throw new ServiceError('EntityTooSmall')
      }
      const { storageClass, headers, acl, tags } = upload
      const attributes = {
        storageClass,
        headers,
        meta,
        ...(acl === undefined ? {} : { acl }),
        ...(tags === undefined ? {} : { tags }),
      }
      return { content: joinParts(list), attributes }
    },
  })
  const { bucket, key } = upload
  const location = `${context.url()}/${bucket}/${uriEncodePath(key)}`
  const body = { location, bucket, key, eTag: record.etag }
  const { 'Content-MD5': _, ...crcs } = checksumHeaders(record)
  exchange.sendJson(200, body, crcs)
}

interface ChosenPart {
  readonly partNumber: number
  readonly etag: string
}

function readChosenParts(body: unknown): readonly ChosenPart[] {
  const parts: unknown = isRecord(body) ? body['parts'] : undefined
  if (!Array.isArray(parts)) throw new ServiceError('InappropriateJSON')
  if (parts.length === 0 || parts.length > MAX_PART_NUMBER) {
    throw new ServiceError('InvalidArgument', {
      message: 'The list of parts is empty or too long.',
    })
  }
  return parts.map((part: unknown) => {
    const partNumber: unknown = isRecord(part) ? part['partNumber'] : undefined
    const etag: unknown = isRecord(part) ? part['eTag'] : undefined
    if (typeof partNumber !== 'number' || typeof etag !== 'string') {
      throw new ServiceError('InappropriateJSON')
    }
    return { partNumber, etag: unquote(etag) }
  })
}

function findParts(
  chosen: readonly ChosenPart[],
  parts: ReadonlyMap<number, PartRecord>,
): readonly PartRecord[] {
  let before = 0
  return chosen.map(({ partNumber, etag }) => {
    if (partNumber <= before) throw new ServiceError('InvalidPartOrder')
    before = partNumber
    const part = parts.get(partNumber)
    if (part === undefined || part.etag !== etag) {
      throw new ServiceError('InvalidPart', {
        message: `Part ${partNumber} is unknown or its eTag differs.`,
      })
    }
    return part
  })
}

/** One part keeps its MD5; more get `-` and the MD5 of their etags in hex, one after the other. */
function joinParts(parts: readonly PartRecord[]): Content {
  const [only] = parts
  const slices = parts.flatMap(part => part.slices)
  const size = parts.reduce((sum, part) => sum + part.size, 0)
  const crcs = {
    ...combined('crc32', parts, combineCrc32),
    ...combined('crc32c', parts, combineCrc32c),
  }
  if (only !== undefined && parts.length === 1) return { size, etag: only.etag, slices, ...crcs }
  const md5 = createHash('md5')
  for (const part of parts) md5.update(part.etag)
  return { size, etag: `-${md5.digest('hex')}`, slices, ...crcs }
}

/** The CRC of all parts together, where that of each is known. */
function combined<Name extends 'crc32' | 'crc32c'>(
  name: Name,
  parts: readonly PartRecord[],
  combine: (pieces: readonly CrcPiece[]) => number,
): Partial<Record<Name, number>> {
  const pieces: CrcPiece[] = []
  for (const { [name]: crc, size } of parts) {
    if (crc === undefined) return {}
    pieces.push({ crc, size })
  }
  return { [name]: combine(pieces) } as Record<Name, number>
}

export async function abortMultipartUpload(exchange: Exchange, context: Context): Promise<void> {
  await context.store.abortUpload(requireUpload(exchange, context))
  exchange.sendEmpty(204)
}

export async function listParts(exchange: Exchange, context: Context): Promise<void> {
  const upload = requireUpload(exchange, context)
  const maxParts = Math.min(MAX_PARTS, numberParameter(exchange, 'maxParts', MAX_PARTS))
  const marker = numberParameter(exchange, 'partNumberMarker', 0)
  const page: PartRecord[] = []
  let isTruncated = false
  for (const part of context.store.parts(upload, Math.min(marker, MAX_PART_NUMBER))) {
    isTruncated = page.length >= maxParts
    if (isTruncated) break
    page.push(part)
  }
  exchange.sendJson(200, {
    bucket: upload.bucket,
    key: upload.key,
    uploadId: upload.uploadId,
    initiated: jsonTime(upload.initiated),
    owner: context.owner,
    storageClass: upload.storageClass,
    partNumberMarker: marker,
    nextPartNumberMarker: page.at(-1)?.partNumber ?? marker,
    maxParts,
    isTruncated,
    parts: page.map(part => ({
      partNumber: part.partNumber,
      lastModified: jsonTime(part.modified),
      eTag: part.etag,
      size: part.size,
    })),
  })
}

/** @throws ServiceError NoSuchUpload */
function requireUpload(exchange: Exchange, context: Context): UploadRecord {
  const address = requireAddress(exchange, context)
  const upload = context.store.upload(address, exchange.query.get('uploadId') ?? '')
  if (upload === undefined) throw new ServiceError('NoSuchUpload')
  return upload
}

/** @throws ServiceError InvalidArgument */
function readPartNumber(exchange: Exchange): number {
  const number = numberParameter(exchange, 'partNumber', 0)
  if (number < 1 || number > MAX_PART_NUMBER) {
    throw new ServiceError('InvalidArgument', {
      message: `partNumber is not between 1 and ${MAX_PART_NUMBER}.`,
    })
  }
  return number
}
