/** What requests say in headers, and how bodies are summed up. Pure. */
import { createHash } from 'node:crypto'
import { crc32Of } from '../../util/checksum.js'
import { readEtag } from './documents.js'
import { BosError } from './error.js'
import type { HttpBody } from './exchange.js'
import type { HttpResponse } from './http.js'
import { encodeKey } from './sign.js'

export type Headers = Record<string, string>

export interface Conditions {
  /** Etag without quotes. */
  ifMatch?: string | undefined
  ifNoneMatch?: '*' | undefined
  /** An earlier request for the same may have taken effect. */
  repeated?: boolean | undefined
}

export interface ObjectProperties {
  contentType?: string | undefined
  /** Absent is the bucket's own. */
  storageClass?: string | undefined
  /** By lower-case name without `x-bce-meta-`. */
  metadata?: Readonly<Record<string, string>> | undefined
  /** Content-Type and its kind by lower-case name; stronger than `contentType`. */
  contentHeaders?: Readonly<Record<string, string>> | undefined
}

export interface CopySource {
  readonly key: string
  readonly etag?: string | undefined
}

export function conditionHeaders({ ifMatch, ifNoneMatch }: Conditions): Headers {
  return {
    ...(ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` }),
    ...(ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch }),
  }
}

export function propertyHeaders({
  contentType,
  storageClass,
  metadata,
  contentHeaders,
}: ObjectProperties): Headers {
  return {
    'content-type': contentType ?? 'application/octet-stream',
    ...contentHeaders,
    ...(storageClass === undefined ? {} : { 'x-bce-storage-class': storageClass }),
    ...metadataHeaders(metadata),
  }
}

export function metadataHeaders(metadata: ObjectProperties['metadata'] = {}): Headers {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [`x-bce-meta-${name}`, value]),
  )
}

/** CRC-32 in decimal. */
export function checksum(body: HttpBody): string {
  return String(crc32Of(body instanceof Uint8Array ? [body] : body))
}

/** The headers that name what is to be copied, in which version. */
export function copyHeaders(bucket: string, { key, etag }: CopySource): Headers {
  return {
    'x-bce-copy-source': `/${bucket}/${encodeKey(key)}`,
    ...(etag === undefined ? {} : { 'x-bce-copy-source-if-match': `"${etag}"` }),
  }
}

/** The service has stored what was sent. @returns the etag */
export function checkUpload({ headers }: HttpResponse, crc: string): string {
  const stored = headers['x-bce-content-crc32']
  if (stored !== undefined && stored !== crc) {
    throw new BosError(`stored with CRC-32 ${stored} instead of ${crc}`, { kind: 'integrity' })
  }
  return readEtag(headers)
}

/** Of a JSON body, which the service checks too. */
export function documentHeaders(body: Buffer): Headers {
  const digest = createHash('md5').update(body).digest('base64')
  return { 'content-type': 'application/json; charset=utf-8', 'content-md5': digest }
}
