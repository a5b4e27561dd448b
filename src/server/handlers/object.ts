/** Requests on single objects. */
import { readAclHeaders } from '../acl.js'
import { contentLength, receiveContent } from '../body.js'
import { holdsForCopySource, holdsForWrite, judgeRead, readConditions } from '../conditions.js'
import { jsonTime, requireAddress, requireBucket, requireObject, type Context } from '../context.js'
import { readCopySource } from '../copy-source.js'
import { ServiceError } from '../errors.js'
import type { Exchange } from '../exchange.js'
import {
  checksumHeaders,
  describe,
  ENCRYPTION,
  readAttributes,
  readStorageClass,
} from '../metadata.js'
import { checkKey, uriDecode } from '../names.js'
import { parseRange } from '../ranges.js'
import {
  filesOf,
  type Attributes,
  type Content,
  type Guard,
  type ObjectAddress,
  type ObjectRecord,
} from '../store.js'
import { readTagHeader } from '../tags.js'
import { GiB, MiB } from '../../util/units.js'

/** Query parameters that replace response headers. */
const OVERRIDES: Readonly<Record<string, string>> = {
  responseContentType: 'content-type',
  responseContentDisposition: 'content-disposition',
  responseContentLanguage: 'content-language',
  responseExpires: 'expires',
  responseCacheControl: 'cache-control',
  responseContentEncoding: 'content-encoding',
}

/** Bodies above this are refused before they are received where that can be known. */
const EARLY_REFUSAL = MiB

export async function putObject(exchange: Exchange, context: Context): Promise<void> {
  const address = requireAddress(exchange, context)
  const attributes = readAttributes(exchange.headers, address.key, context.switches)
  const guard = writeGuard(exchange)
  if (exchange.expectsContinue || contentLength(exchange) > EARLY_REFUSAL) {
    guard(context.store.object(address))
  }
  const content = await receiveContent(exchange, context.files)
  const record = await keep(content, context, async () => {
    return await context.store.putObject(address, content, attributes, guard)
  })
  const encryption = record.headers[ENCRYPTION]
  exchange.sendEmpty(200, {
    ETag: `"${record.etag}"`,
    ...checksumHeaders(record),
    'x-bce-storage-class': record.storageClass,
    ...(encryption === undefined ? {} : { [ENCRYPTION]: encryption }),
  })
}

/**
 * Discards received content if the store refuses it. After any other failure the change may have been
 * made; the sweep at the next start can tell.
 */
export async function keep<Result>(
  content: Pick<Content, 'slices'>,
  context: Context,
  store: () => Promise<Result>,
): Promise<Result> {
  try {
    return await store()
  } catch (error) {
    const files = filesOf(content.slices)
    if (error instanceof ServiceError) await context.files.remove(files)
    else context.files.leave(files)
    throw error
  }
}

/** The conditions of a request that makes or replaces an object. */
export function writeGuard(exchange: Exchange): Guard {
  const conditions = readConditions(exchange.headers)
  const forbidOverwrite = exchange.header('x-bce-forbid-overwrite')?.toLowerCase() === 'true'
  return current => {
    if (!holdsForWrite(current, conditions)) throw new ServiceError('PreconditionFailed')
    if (forbidOverwrite && current !== undefined) throw new ServiceError('FileAlreadyExists')
  }
}

/** GET and HEAD alike: HEAD has the same headers and no body. */
export async function getObject(exchange: Exchange, context: Context): Promise<void> {
  const record = requireObject(requireAddress(exchange, context), context)
  const verdict = judgeRead(record, readConditions(exchange.headers))
  if (verdict === 'failed') throw new ServiceError('PreconditionFailed')
  if (verdict === 'not-modified') {
    exchange.sendEmpty(304, describe(record))
    return
  }
  const { status, first, length, headers } = chooseRange(exchange, record, context)
  if (exchange.isHead) exchange.sendHead(status, headers)
  else await sendBody(exchange, context, { record, first, length, status, headers })
}

interface ChosenRange {
  readonly status: number
  readonly first: number
  readonly length: number
  readonly headers: Readonly<Record<string, string>>
}

function chooseRange(exchange: Exchange, record: ObjectRecord, context: Context): ChosenRange {
  const { size } = record
  const range = parseRange(exchange.header('range') ?? queryRange(exchange), size)
  if (range.kind === 'unsatisfiable') {
    throw new ServiceError('InvalidRange', {
      status: size === 0 ? context.switches.rangeOnEmpty : 416,
      headers: { 'Content-Range': `bytes */${size}` },
    })
  }
  const headers: Record<string, string> = describe(record)
  for (const [name, value] of exchange.query.pairs) {
    const header = OVERRIDES[name]
    if (header !== undefined && value !== '') headers[header] = headerValue(name, value)
  }
  if (range.kind === 'whole') {
    headers['Content-Length'] = String(size)
    return { status: 200, first: 0, length: size, headers }
  }
  const { first, last } = range
  headers['Content-Length'] = String(last - first + 1)
  headers['Content-Range'] = `bytes ${first}-${last}/${size}`
  return { status: 206, first, length: last - first + 1, headers }
}

/** Text as the bytes of a header. @throws ServiceError InvalidArgument for control characters */
function headerValue(name: string, text: string): string {
  const value = Buffer.from(text).toString('latin1')
  if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) {
    throw new ServiceError('InvalidArgument', { message: `${name} contains control characters.` })
  }
  return value
}

function queryRange(exchange: Exchange): string | undefined {
  const range = exchange.query.get('x-bce-range')
  return range === undefined || range.includes('=') ? range : `bytes=${range}`
}

interface BodyToSend extends ChosenRange {
  readonly record: ObjectRecord
}

/** The status goes out with the first bytes, so that unreadable data can still be answered with 500. */
async function sendBody(exchange: Exchange, context: Context, body: BodyToSend): Promise<void> {
  const { record, first, length, status, headers } = body
  const slices = context.store.slices(record, first, length)
  const files = filesOf(slices)
  context.files.pin(files)
  let started = false
  try {
    await context.reader.forEachPiece(slices, async piece => {
      if (!started && !exchange.start(status, headers)) return
      started = true
      await exchange.write(piece)
    })
    if (!started && !exchange.start(status, headers)) return
    exchange.end()
  } finally {
    await context.files.unpin(files)
  }
}

export async function deleteObject(exchange: Exchange, context: Context): Promise<void> {
  const address = requireAddress(exchange, context)
  const { hierarchy } = requireBucket(exchange, context)
  const recursive = exchange.header('x-bce-delete-recursive')?.toLowerCase() === 'true'
  if (hierarchy === true && recursive) {
    await deleteDirectory(exchange, context, address)
    return
  }
  await context.store.deleteObject(address)
  exchange.sendEmpty(204)
}

/** The token for the next page is only there to be sent back: what is left is found without it. */
async function deleteDirectory(
  exchange: Exchange,
  context: Context,
  address: ObjectAddress,
): Promise<void> {
  const limit = context.switches.recursiveDeleteLimit
  const { deleted, isTruncated } = await context.store.deleteTree(address, limit)
  exchange.sendJson(200, {
    name: address.bucket,
    isTruncated,
    ...(isTruncated ? { nextDeleteToken: exchange.requestId } : {}),
    deleteNumber: deleted,
  })
}

export async function copyObject(exchange: Exchange, context: Context): Promise<void> {
  const target = requireAddress(exchange, context)
  const source = readCopySource(exchange, context)
  const conditions = readConditions(exchange.headers, 'x-bce-copy-source-')
  const guard = context.switches.copyTargetConditions ? writeGuard(exchange) : () => undefined
  const choose = copyAttributes(exchange, context, { source, target })
  await exchange.receive(() => undefined)
  const record = await context.store.copyObject({
    source,
    target,
    attributes: (from, current) => {
      if (!holdsForCopySource(from, conditions)) throw new ServiceError('PreconditionFailed')
      if (from.size > 5 * GiB) throw new ServiceError('EntityTooLarge')
      guard(current)
      return choose(from)
    },
  })
  exchange.sendJson(200, { lastModified: jsonTime(record.modified), eTag: record.etag })
}

/** @throws ServiceError InvalidArgument for a directive that does not exist */
function copyAttributes(
  exchange: Exchange,
  context: Context,
  copy: { readonly source: ObjectAddress; readonly target: ObjectAddress },
): (source: ObjectRecord) => Attributes {
  const { source, target } = copy
  const directive = exchange.header('x-bce-metadata-directive')?.toLowerCase() ?? 'copy'
  const storageClass = readStorageClass(exchange.headers)
  const tagsOf = chooseTags(exchange)
  const given = readAclHeaders(exchange.headers)
  // The list of the source is not copied.
  const acl = given === undefined ? {} : { acl: given }
  if (directive === 'replace') {
    const { headers, meta } = readAttributes(exchange.headers, target.key, context.switches)
    return from => ({
      headers,
      meta,
      storageClass: storageClass ?? from.storageClass,
      ...acl,
      ...tagsOf(from),
    })
  }
  if (directive !== 'copy') throw new ServiceError('InvalidArgument')
  const self = source.bucket === target.bucket && source.key === target.key
  return from => {
    if (self && (storageClass ?? from.storageClass) === from.storageClass) {
      throw new ServiceError('InvalidArgument', {
        message: 'A copy of an object onto itself must change metadata or storage class.',
      })
    }
    const { headers, meta } = from
    return {
      headers,
      meta,
      storageClass: storageClass ?? from.storageClass,
      ...acl,
      ...tagsOf(from),
    }
  }
}

/** @throws ServiceError InvalidArgument */
function chooseTags(exchange: Exchange): (source: ObjectRecord) => Pick<Attributes, 'tags'> {
  const directive = exchange.header('x-bce-tagging-directive')?.toLowerCase() ?? 'copy'
  const tags = readTagHeader(exchange.header('x-bce-tagging')) ?? {}
  if (directive === 'replace') return () => ({ tags })
  if (directive !== 'copy') throw new ServiceError('InvalidArgument')
  return source => (source.tags === undefined ? {} : { tags: source.tags })
}

/** Replaces an object at the target unless that is switched off; keeps metadata, etag and time. */
export async function renameObject(exchange: Exchange, context: Context): Promise<void> {
  const target = requireAddress(exchange, context)
  const { hierarchy } = requireBucket(exchange, context)
  const { renameObject: onFlat, renameReplaces, keyRules } = context.switches
  if (hierarchy !== true && !onFlat) throw new ServiceError('NotImplemented')
  const key = uriDecode(exchange.header('x-bce-rename-key') ?? '')
  checkKey(key, keyRules)
  const guard = writeGuard(exchange)
  await exchange.receive(() => undefined)
  await context.store.renameObject({
    source: { bucket: target.bucket, key },
    target,
    guard: current => {
      guard(current)
      const replaces = current !== undefined && current.type !== 'Directory' && key !== target.key
      if (replaces && !renameReplaces) throw new ServiceError('RenameConflict')
    },
  })
  exchange.sendEmpty(200)
}
