/** Requests on what hangs off buckets and objects: symbolic links, access control lists, tags. */
import { createHash } from 'node:crypto'
import { MiB } from '../../util/units.js'
import { describeAcl, readAclBody, readAclHeaders } from '../acl.js'
import { receiveJson } from '../body.js'
import { requireAddress, requireBucket, type Context } from '../context.js'
import { ServiceError } from '../errors.js'
import type { Exchange } from '../exchange.js'
import { readAttributes } from '../metadata.js'
import { checkKey, uriDecode, uriEncodePath } from '../names.js'
import type { Grant, ObjectRecord } from '../store.js'
import { describeTags, readTagBody } from '../tags.js'
import { writeGuard } from './object.js'

const NO_CONTENT = { size: 0, etag: createHash('md5').digest('hex'), slices: [] } as const

export async function putSymlink(exchange: Exchange, context: Context): Promise<void> {
  const address = requireFlat(exchange, context)
  const key = uriDecode(exchange.header('x-bce-symlink-target') ?? '')
  checkKey(key, context.switches.keyRules)
  const bucket = exchange.header('x-bce-symlink-bucket') ?? address.bucket
  const attributes = readAttributes(exchange.headers, address.key, context.switches)
  if (attributes.storageClass === 'ARCHIVE') throw new ServiceError('InvalidArgument')
  const guard = writeGuard(exchange)
  await exchange.receive(() => undefined)
  const content = { ...NO_CONTENT, type: 'Symlink', link: { bucket, key } } as const
  await context.store.putObject(address, content, attributes, guard)
  exchange.sendEmpty(200)
}

export async function getSymlink(exchange: Exchange, context: Context): Promise<void> {
  const { link } = requireOwn(exchange, context)
  if (link === undefined) throw new ServiceError('NotSymlink')
  const elsewhere = link.bucket !== exchange.target.bucket
  exchange.sendEmpty(200, {
    'x-bce-symlink-target': uriEncodePath(link.key),
    ...(elsewhere ? { 'x-bce-symlink-bucket': link.bucket } : {}),
  })
}

export async function getBucketAcl(exchange: Exchange, context: Context): Promise<void> {
  const { acl } = requireBucket(exchange, context)
  exchange.sendJson(200, describeAcl(context.owner.id, acl))
}

export async function putBucketAcl(exchange: Exchange, context: Context): Promise<void> {
  const { name } = requireBucket(exchange, context)
  await context.store.setBucketAcl(name, await receiveAcl(exchange))
  exchange.sendEmpty(200)
}

export async function getObjectAcl(exchange: Exchange, context: Context): Promise<void> {
  const { acl } = requireOwn(exchange, context)
  if (acl === undefined) throw new ServiceError('ObjectAclNotExists')
  exchange.sendJson(200, describeAcl(context.owner.id, acl))
}

export async function putObjectAcl(exchange: Exchange, context: Context): Promise<void> {
  const address = requireAddress(exchange, context)
  const acl = await receiveAcl(exchange)
  await context.store.amendObject(address, record => ({ ...record, acl }))
  exchange.sendEmpty(200)
}

export async function deleteObjectAcl(exchange: Exchange, context: Context): Promise<void> {
  const address = requireAddress(exchange, context)
  await context.store.amendObject(address, record => {
    const { acl: removed, ...rest } = record
    return removed === undefined ? record : rest
  })
  exchange.sendEmpty(204)
}

/** From the headers if they name one, else from the body. */
async function receiveAcl(exchange: Exchange): Promise<readonly Grant[]> {
  const canned = readAclHeaders(exchange.headers)
  if (canned === undefined) return readAclBody(await receiveJson(exchange, MiB))
  await exchange.receive(() => undefined)
  return canned
}

export async function getObjectTagging(exchange: Exchange, context: Context): Promise<void> {
  requireFlat(exchange, context)
  exchange.sendJson(200, describeTags(requireOwn(exchange, context).tags))
}

export async function putObjectTagging(exchange: Exchange, context: Context): Promise<void> {
  const address = requireFlat(exchange, context)
  const tags = readTagBody(await receiveJson(exchange, MiB))
  await context.store.amendObject(address, record => ({ ...record, tags }))
  exchange.sendEmpty(200)
}

export async function deleteObjectTagging(exchange: Exchange, context: Context): Promise<void> {
  const address = requireFlat(exchange, context)
  await context.store.amendObject(address, record => {
    const { tags: removed, ...rest } = record
    return removed === undefined ? record : rest
  })
  exchange.sendEmpty(204)
}

/** The object itself, also if it is a link. @throws ServiceError NoSuchKey */
function requireOwn(exchange: Exchange, context: Context): ObjectRecord {
  const record = context.store.object(requireAddress(exchange, context))
  if (record === undefined) throw new ServiceError('NoSuchKey')
  return record
}

/** @throws ServiceError NotImplemented in a hierarchical bucket, which has no links and no tags */
function requireFlat(exchange: Exchange, context: Context) {
  if (requireBucket(exchange, context).hierarchy === true) throw new ServiceError('NotImplemented')
  return requireAddress(exchange, context)
}
