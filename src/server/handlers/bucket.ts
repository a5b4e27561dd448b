/** Requests on the service and on buckets, listings included. */
import { KiB, MiB } from '../../util/units.js'
import { readAclHeaders } from '../acl.js'
import { isRecord, receiveJson } from '../body.js'
import { jsonTime, numberParameter, requireBucket, type Context } from '../context.js'
import { ServiceError } from '../errors.js'
import type { Exchange } from '../exchange.js'
import { listPage, type ListQuery } from '../list.js'
import { checkBucketName, checkKey } from '../names.js'
import type { BucketRecord, ObjectAddress, ObjectRecord } from '../store.js'

/** Most entries in one page of a listing, and most keys in one batch delete. */
const MAX_ENTRIES = 1000
/** Longest marker. */
const MAX_MARKER = KiB

export async function listBuckets(exchange: Exchange, context: Context): Promise<void> {
  const buckets = context.store.buckets().map(({ name, created }) => ({
    name,
    location: context.region,
    creationDate: jsonTime(created),
  }))
  exchange.sendJson(200, { owner: context.owner, buckets })
}

export async function putBucket(exchange: Exchange, context: Context): Promise<void> {
  checkBucketName(exchange.target.bucket)
  const hierarchy = await asksForHierarchy(exchange)
  const acl = readAclHeaders(exchange.headers)
  await context.store.createBucket(exchange.target.bucket, {
    hierarchy,
    ...(acl === undefined ? {} : { acl }),
  })
  exchange.sendEmpty(200, { Location: context.region })
}

/** @throws ServiceError InvalidArgument for a kind of bucket that does not exist */
async function asksForHierarchy(exchange: Exchange): Promise<boolean> {
  if (Number(exchange.header('content-length') ?? 0) === 0) return false
  const body = await receiveJson(exchange, MiB)
  const type: unknown = isRecord(body) ? body['metaType'] : undefined
  if (type === undefined || type === 'FLAT') return false
  if (type === 'HIERARCHY' || type === 'HIERARCHY_XH') return true
  throw new ServiceError('InvalidArgument', { message: 'The metaType is unknown.' })
}

export async function headBucket(exchange: Exchange, context: Context): Promise<void> {
  const bucket = requireBucket(exchange, context)
  exchange.sendHead(200, {
    'Content-Length': '0',
    'x-bce-bucket-region': context.region,
    'x-bce-bucket-storageclass': 'STANDARD',
    'x-bce-bucket-createtime': jsonTime(bucket.created),
    ...(bucket.hierarchy === true ? { 'x-bce-bucket-type': 'namespace' } : {}),
  })
}

export async function deleteBucket(exchange: Exchange, context: Context): Promise<void> {
  await context.store.deleteBucket(exchange.target.bucket)
  exchange.sendEmpty(204)
}

export async function getBucketLocation(exchange: Exchange, context: Context): Promise<void> {
  requireBucket(exchange, context)
  exchange.sendJson(200, { locationConstraint: context.region })
}

export async function listObjects(exchange: Exchange, context: Context): Promise<void> {
  const bucket = requireBucket(exchange, context)
  const query = readListQuery(exchange, { marker: 'marker', limit: 'maxKeys' })
  const page = listPage(context.store.objects(bucket.name), inDirectory(query, bucket))
  const withMetadata =
    context.switches.listWithMetadata &&
    exchange.header('x-bce-list-with-ext-meta')?.toLowerCase() === 'true'
  exchange.sendJson(200, {
    name: bucket.name,
    prefix: query.prefix,
    marker: query.marker,
    ...(query.delimiter === '' ? {} : { delimiter: query.delimiter }),
    maxKeys: query.limit,
    isTruncated: page.isTruncated,
    ...(page.nextMarker === undefined ? {} : { nextMarker: page.nextMarker }),
    contents: page.entries.map(({ key, value }) => ({
      ...describeEntry(key, value, context),
      ...(withMetadata ? { userMeta: value.meta } : {}),
    })),
    ...commonPrefixes(page.commonPrefixes, prefix =>
      withMetadata ? prefixMetadata({ bucket: bucket.name, key: prefix }, context) : {},
    ),
  })
}

/**
 * A hierarchical bucket lists one directory at a time, without the directory itself.
 * @throws ServiceError InvalidArgument
 */
function inDirectory(query: ListQuery, bucket: BucketRecord): ListQuery {
  if (bucket.hierarchy !== true) return query
  if (query.delimiter !== '/') {
    throw new ServiceError('InvalidArgument', {
      message: 'A hierarchical bucket is listed with the delimiter "/".',
    })
  }
  const { prefix, marker } = query
  return marker === '' && prefix.endsWith('/') ? { ...query, marker: prefix } : query
}

/** What a directory or its marker object adds to its common prefix. */
function prefixMetadata(address: ObjectAddress, context: Context): object {
  const record = context.store.object(address)
  return record === undefined
    ? {}
    : { lastModified: jsonTime(record.modified), userMeta: record.meta }
}

function describeEntry(key: string, record: ObjectRecord, context: Context): object {
  return {
    key,
    lastModified: jsonTime(record.modified),
    eTag: record.etag,
    size: record.size,
    storageClass: record.storageClass,
    owner: context.owner,
  }
}

function commonPrefixes(
  prefixes: readonly string[],
  more: (prefix: string) => object = () => ({}),
): object {
  if (prefixes.length === 0) return {}
  return { commonPrefixes: prefixes.map(prefix => ({ prefix, ...more(prefix) })) }
}

export async function listMultipartUploads(exchange: Exchange, context: Context): Promise<void> {
  const bucket = requireBucket(exchange, context)
  const query = readListQuery(exchange, { marker: 'keyMarker', limit: 'maxUploads' })
  const page = listPage(context.store.uploads(bucket.name), query)
  exchange.sendJson(200, {
    bucket: bucket.name,
    prefix: query.prefix,
    keyMarker: query.marker,
    ...(query.delimiter === '' ? {} : { delimiter: query.delimiter }),
    ...(page.nextMarker === undefined ? {} : { nextKeyMarker: page.nextMarker }),
    maxUploads: query.limit,
    isTruncated: page.isTruncated,
    uploads: page.entries.map(({ key, value }) => ({
      key,
      uploadId: value.uploadId,
      owner: context.owner,
      initiated: jsonTime(value.initiated),
      storageClass: value.storageClass,
    })),
    ...commonPrefixes(page.commonPrefixes),
  })
}

/** @throws ServiceError InvalidArgument */
function readListQuery(
  exchange: Exchange,
  names: { readonly marker: string; readonly limit: string },
): ListQuery {
  const { query } = exchange
  const delimiter = query.get('delimiter') ?? ''
  const marker = query.get(names.marker) ?? ''
  if (Array.from(delimiter).length > 1) {
    throw new ServiceError('InvalidArgument', { message: 'The delimiter is not one character.' })
  }
  if (Buffer.byteLength(marker) > MAX_MARKER) {
    throw new ServiceError('InvalidArgument', { message: `${names.marker} is too long.` })
  }
  const limit = Math.min(MAX_ENTRIES, numberParameter(exchange, names.limit, MAX_ENTRIES))
  return { prefix: query.get('prefix') ?? '', delimiter, marker, limit }
}

/** Answers with an empty body when every key was deleted, else with those that were not. */
export async function deleteMultipleObjects(exchange: Exchange, context: Context): Promise<void> {
  const { name: bucket } = requireBucket(exchange, context)
  const keys = readKeys(await receiveJson(exchange, 2 * MiB))
  const results = await Promise.all(
    keys.map(async key => await deleteOne({ bucket, key }, context)),
  )
  const errors = results.filter(result => result !== undefined)
  if (errors.length === 0) exchange.sendEmpty(200)
  else exchange.sendJson(200, { errors })
}

async function deleteOne(
  address: { readonly bucket: string; readonly key: string },
  context: Context,
): Promise<object | undefined> {
  try {
    checkKey(address.key, context.switches.keyRules)
    await context.store.deleteObject(address)
    return undefined
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    return { key: address.key, code: error.code, message: error.message }
  }
}

function readKeys(body: unknown): readonly string[] {
  const objects: unknown = isRecord(body) ? body['objects'] : undefined
  if (!Array.isArray(objects) || objects.length === 0) throw new ServiceError('InappropriateJSON')
  if (objects.length > MAX_ENTRIES) {
    throw new ServiceError('InvalidArgument', { message: `More than ${MAX_ENTRIES} keys.` })
  }
  return objects.map((object: unknown) => {
    const key: unknown = isRecord(object) ? object['key'] : undefined
    if (typeof key !== 'string') throw new ServiceError('InappropriateJSON')
    return key
  })
}
