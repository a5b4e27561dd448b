/**
 * Between headers and what is stored with an object: content headers, user metadata, storage class.
 *
 * Functions of BOS that change what an object means and that this server lacks (keys of the customer,
 * expiry) are refused rather than ignored.
 *
 * @see BOS PutObject, "User metadata"
 */
import type { IncomingHttpHeaders } from 'node:http'
import { extname } from 'node:path/posix'
import { readAclHeaders } from './acl.js'
import { ServiceError } from './errors.js'
import type { Attributes, ObjectRecord } from './store.js'
import type { Switches } from './switches.js'
import { readTagHeader } from './tags.js'

const META_PREFIX = 'x-bce-meta-'
/** Acknowledged and given back; nothing is encrypted. */
export const ENCRYPTION = 'x-bce-server-side-encryption'

const STORAGE_CLASSES = new Set([
  'STANDARD',
  'STANDARD_IA',
  'COLD',
  'ARCHIVE',
  'MAZ_STANDARD',
  'MAZ_STANDARD_IA',
  'MAZ_COLD',
])

/** Stored as sent and returned with GET and HEAD. */
const CONTENT_HEADERS = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
  ENCRYPTION,
] as const

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.csv': 'text/csv',
  '.gif': 'image/gif',
  '.gz': 'application/gzip',
  '.htm': 'text/html',
  '.html': 'text/html',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.js': 'application/javascript',
  '.json': 'application/json',
  '.mp4': 'video/mp4',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.tar': 'application/x-tar',
  '.txt': 'text/plain',
  '.xml': 'application/xml',
  '.zip': 'application/zip',
}

/** BOS shows an Expires three days ahead where none was set. */
const DEFAULT_EXPIRY = 3 * 24 * 60 * 60 * 1000

/** Request headers that ask for something this server does not do. */
const UNSUPPORTED_HEADERS = [
  'x-bce-server-side-encryption-customer-key',
  'x-bce-server-side-encryption-bos-kms-key-id',
  'x-bce-object-expires',
]

/**
 * The attributes that a PUT, an Initiate or a replacing copy asks for.
 * @throws ServiceError MetadataTooLarge, InvalidArgument, InvalidURI, InvalidEncryptionAlgorithm,
 *   NotImplemented
 */
export function readAttributes(
  headers: IncomingHttpHeaders,
  key: string,
  switches: Switches,
): Attributes {
  checkUnsupported(headers)
  checkTrafficLimit(headers['x-bce-traffic-limit'])
  const content: Record<string, string> = {}
  for (const name of CONTENT_HEADERS) {
    const value = headers[name]
    if (typeof value === 'string' && value !== '') content[name] = value
  }
  content['content-type'] ??=
    CONTENT_TYPES[extname(key).toLowerCase()] ?? 'application/octet-stream'
  const acl = readAclHeaders(headers)
  const tags = readTagHeader(headers['x-bce-tagging'])
  return {
    storageClass: readStorageClass(headers) ?? 'STANDARD',
    headers: content,
    meta: readUserMetadata(headers, switches.metadataLimit),
    ...(acl === undefined ? {} : { acl }),
    ...(tags === undefined ? {} : { tags }),
  }
}

/** @throws ServiceError InvalidArgument */
export function readStorageClass(headers: IncomingHttpHeaders): string | undefined {
  const value = headers['x-bce-storage-class']
  if (typeof value !== 'string' || value === '') return undefined
  if (!STORAGE_CLASSES.has(value)) {
    throw new ServiceError('InvalidArgument', { message: `Unknown storage class ${value}.` })
  }
  return value
}

/** Empty values are dropped. @throws ServiceError MetadataTooLarge */
export function readUserMetadata(
  headers: IncomingHttpHeaders,
  limit: number,
): Readonly<Record<string, string>> {
  const meta: Record<string, string> = {}
  let total = 0
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(META_PREFIX) || typeof value !== 'string' || value === '') continue
    total += name.length + value.length
    meta[name.slice(META_PREFIX.length)] = value
  }
  if (total > limit) {
    throw new ServiceError('MetadataTooLarge', {
      message: `The user metadata has ${total} bytes; ${limit} are allowed.`,
    })
  }
  return meta
}

/** Headers of GET and HEAD that describe the object as a whole. */
export function describe(record: ObjectRecord): Record<string, string> {
  const headers: Record<string, string> = {
    ...record.headers,
    ETag: `"${record.etag}"`,
    'Last-Modified': new Date(record.modified).toUTCString(),
    'Accept-Ranges': 'bytes',
    'x-bce-storage-class': record.storageClass,
    'x-bce-object-type': record.type ?? 'Normal',
    ...checksumHeaders(record),
  }
  if (record.type === 'Appendable') headers['x-bce-next-append-offset'] = String(record.size)
  const tags = Object.keys(record.tags ?? {}).length
  if (tags > 0) headers['x-bce-tagging-count'] = String(tags)
  headers['expires'] ??= new Date(record.modified + DEFAULT_EXPIRY).toUTCString()
  for (const [name, value] of Object.entries(record.meta)) headers[META_PREFIX + name] = value
  return headers
}

/** Content-MD5 where the etag is one, and the CRCs that are known. */
export function checksumHeaders(content: {
  readonly etag: string
  readonly crc32?: number
  readonly crc32c?: number
}): Record<string, string> {
  const headers: Record<string, string> = {}
  if (!content.etag.startsWith('-')) {
    headers['Content-MD5'] = Buffer.from(content.etag, 'hex').toString('base64')
  }
  if (content.crc32 !== undefined) headers['x-bce-content-crc32'] = String(content.crc32)
  if (content.crc32c !== undefined) headers['x-bce-content-crc32c'] = String(content.crc32c)
  return headers
}

function checkUnsupported(headers: IncomingHttpHeaders): void {
  const encryption = headers[ENCRYPTION]
  if (typeof encryption === 'string' && encryption !== '') {
    if (encryption !== 'AES256' && encryption !== 'SM4') {
      throw new ServiceError('InvalidEncryptionAlgorithm')
    }
  }
  const header = UNSUPPORTED_HEADERS.find(name => (headers[name] ?? '') !== '')
  if (header !== undefined) {
    throw new ServiceError('NotImplemented', {
      message: `The header ${header} has no effect here.`,
    })
  }
}

function checkTrafficLimit(value: string | string[] | undefined): void {
  if (value === undefined || value === '') return
  const limit = Number(value)
  if (!(limit >= 819_200 && limit <= 838_860_800)) throw new ServiceError('InvalidArgument')
}
