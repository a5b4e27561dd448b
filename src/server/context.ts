/** What every handler is given, and the look-ups that most of them begin with. */
import type { DataFiles } from './data-files.js'
import { ServiceError } from './errors.js'
import type { Exchange } from './exchange.js'
import { checkKey } from './names.js'
import type { RunningMd5s } from './running-md5.js'
import type { SliceReader } from './slice-reader.js'
import type { BucketRecord, ObjectAddress, ObjectRecord, ObjectStore } from './store.js'
import type { Switches } from './switches.js'

export interface Context {
  readonly store: ObjectStore
  readonly files: DataFiles
  readonly reader: SliceReader
  /** Of objects that are appended to. */
  readonly runningMd5s: RunningMd5s
  readonly switches: Switches
  readonly region: string
  /** Everything belongs to one account. */
  readonly owner: { readonly id: string; readonly displayName: string }
  /** `http://host:port`, for the location of a completed upload. */
  readonly url: () => string
}

export type Handler = (exchange: Exchange, context: Context) => Promise<void>

/** @throws ServiceError NoSuchBucket */
export function requireBucket(exchange: Exchange, context: Context): BucketRecord {
  const bucket = context.store.bucket(exchange.target.bucket)
  if (bucket === undefined) throw new ServiceError('NoSuchBucket')
  return bucket
}

/**
 * The object that the request names, its key checked, whether or not it exists.
 * @throws ServiceError NoSuchBucket, InvalidObjectName, InvalidURI
 */
export function requireAddress(exchange: Exchange, context: Context): ObjectAddress {
  const { bucket, key } = exchange.target
  requireBucket(exchange, context)
  checkKey(key, context.switches.keyRules)
  return { bucket, key }
}

/**
 * What GET and HEAD deliver: of a symbolic link the content of its target under its own attributes.
 * @throws ServiceError NoSuchKey, SymlinkTargetNotExist, InvalidTargetType
 */
export function requireObject(address: ObjectAddress, context: Context): ObjectRecord {
  const record = context.store.object(address)
  if (record === undefined) throw new ServiceError('NoSuchKey')
  if (record.link === undefined) return record
  const target = requireLinkTarget(record.link, context)
  const { storageClass, headers, meta, type = 'Symlink' } = record
  const modified = Math.max(record.modified, target.modified)
  return { ...target, modified, storageClass, headers, meta, type }
}

/**
 * The address to copy from: of a symbolic link that of its target.
 * @throws ServiceError as `requireObject`, but for an address where nothing is
 */
export function followLink(address: ObjectAddress, context: Context): ObjectAddress {
  const link = context.store.object(address)?.link
  if (link === undefined) return address
  requireLinkTarget(link, context)
  return link
}

function requireLinkTarget(link: ObjectAddress, context: Context): ObjectRecord {
  const target = context.store.object(link)
  if (target === undefined) throw new ServiceError('SymlinkTargetNotExist')
  if (target.type === 'Symlink') throw new ServiceError('InvalidTargetType')
  return target
}

/** A time as JSON bodies have it: whole seconds, UTC. */
export function jsonTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`
}

/**
 * A query parameter that is a number not below 0.
 * @throws ServiceError InvalidArgument
 */
export function numberParameter(exchange: Exchange, name: string, absent: number): number {
  const text = exchange.query.get(name)
  if (text === undefined || text === '') return absent
  if (!/^\d{1,15}$/.test(text)) {
    throw new ServiceError('InvalidArgument', { message: `${name} is not a number from 0 on.` })
  }
  return Number(text)
}
