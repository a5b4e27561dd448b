/**
 * Turns method, Host, path and query into an operation on a bucket and a key. Pure but for asking
 * whether a bucket exists, which decides whether the first label of a Host names one.
 *
 * Path style: `/<bucket>/<key>`, optionally behind `/v1`. Virtual-host style: `<bucket>.<anything>`; a
 * leading `/v1` is taken away there only from presigned URLs, whose makers add it, because elsewhere it
 * may well begin a key.
 *
 * @see BOS "Request structure"
 */
import { isIP } from 'node:net'
import { ServiceError } from './errors.js'
import { uriDecode } from './names.js'

/** Every operation by its name in BOS, and two for what is none. */
export const OPERATIONS = [
  'ListBuckets',
  'PutBucket',
  'HeadBucket',
  'DeleteBucket',
  'GetBucketLocation',
  'ListObjects',
  'ListMultipartUploads',
  'DeleteMultipleObjects',
  'PutObject',
  'GetObject',
  'HeadObject',
  'DeleteObject',
  'CopyObject',
  'RenameObject',
  'InitiateMultipartUpload',
  'UploadPart',
  'UploadPartCopy',
  'CompleteMultipartUpload',
  'AbortMultipartUpload',
  'ListParts',
  'AppendObject',
  'PutSymlink',
  'GetSymlink',
  'GetBucketAcl',
  'PutBucketAcl',
  'GetObjectAcl',
  'PutObjectAcl',
  'DeleteObjectAcl',
  'GetObjectTagging',
  'PutObjectTagging',
  'DeleteObjectTagging',
  'Unsupported',
  'Unknown',
] as const

export type Operation = (typeof OPERATIONS)[number]

/** Decoded query parameters in the order sent. Names are case-sensitive. */
export class Query {
  readonly pairs: readonly (readonly [string, string])[]

  constructor(pairs: readonly (readonly [string, string])[]) {
    this.pairs = pairs
  }

  has(name: string): boolean {
    return this.pairs.some(([key]) => key === name)
  }

  get(name: string): string | undefined {
    return this.pairs.find(([key]) => key === name)?.[1]
  }
}

/** Where a request goes, before anything is decided about what it does. */
export interface Target {
  readonly rawPath: string
  readonly query: Query
  /** Empty for the service itself. */
  readonly bucket: string
  /** Empty for the bucket itself. */
  readonly key: string
  readonly pathStyle: boolean
}

export interface TargetRequest {
  readonly url: string
  readonly host: string | undefined
  readonly isBucket: (name: string) => boolean
}

export interface OperationRequest {
  readonly method: string
  readonly target: Target
  /** Whether a header is present with a value. */
  readonly hasHeader: (name: string) => boolean
}

/** Sub-resources that this server does not have. */
const UNSUPPORTED = [
  'cors',
  'copyrightProtection',
  'encryption',
  'fetch',
  'lifecycle',
  'logging',
  'mirroring',
  'notification',
  'objectlock',
  'quota',
  'replication',
  'requestPayment',
  'restore',
  'select',
  'storageClass',
  'trash',
  'versioning',
  'versions',
  'website',
]

/** @throws ServiceError InvalidURI */
export function parseTarget(request: TargetRequest): Target {
  const url = request.url.startsWith('/') ? request.url : request.url.replace(/^\w+:\/\/[^/?]*/, '')
  const at = url.indexOf('?')
  const rawPath = at === -1 ? url : url.slice(0, at)
  const query = parseQuery(at === -1 ? '' : url.slice(at + 1))
  const path = uriDecode(rawPath).replace(/^\//, '')

  const bucket = virtualBucket(request)
  if (bucket !== undefined) {
    const presigned = query.pairs.some(([name]) => name.toLowerCase() === 'authorization')
    const key = presigned ? path.replace(/^v1\//, '') : path
    return { rawPath, query, bucket, key, pathStyle: false }
  }
  const inner = path.replace(/^v1(\/|$)/, '')
  const slash = inner.indexOf('/')
  return {
    rawPath,
    query,
    bucket: slash === -1 ? inner : inner.slice(0, slash),
    key: slash === -1 ? '' : inner.slice(slash + 1),
    pathStyle: inner !== '',
  }
}

function parseQuery(text: string): Query {
  const pairs = text
    .split('&')
    .filter(pair => pair !== '')
    .map((pair): readonly [string, string] => {
      const [name, value] = splitPair(pair.replaceAll('+', ' '))
      return [uriDecode(name), uriDecode(value)]
    })
  return new Query(pairs)
}

function splitPair(pair: string): readonly [string, string] {
  const equals = pair.indexOf('=')
  return equals === -1 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
}

/** The bucket that the Host names, if it names one. */
function virtualBucket({ host, isBucket }: TargetRequest): string | undefined {
  const name = (host ?? '').replace(/:\d*$/, '').toLowerCase()
  if (name.startsWith('[') || isIP(name) !== 0) return undefined
  const dot = name.indexOf('.')
  if (dot <= 0) return undefined
  const label = name.slice(0, dot)
  const certain = /^[^.]+\.[^.]+\.bcebos\.com$|^[^.]+\.localhost$/.test(name)
  return certain || isBucket(label) ? label : undefined
}

/** @throws ServiceError MethodNotAllowed */
export function chooseOperation(request: OperationRequest): Operation {
  const { bucket, key, query } = request.target
  if (bucket === '') return serviceOperation(request.method)
  const version = query.get('versionId') ?? 'null'
  if (version !== 'null' || UNSUPPORTED.some(name => query.has(name))) return 'Unsupported'
  for (const [name, operations] of Object.entries(key === '' ? OF_BUCKETS : OF_OBJECTS)) {
    if (query.has(name)) return subresourceOperation(request.method, operations)
  }
  return key === '' ? bucketOperation(request) : objectOperation(request)
}

type ByMethod = Readonly<Record<string, Operation>>

const OF_OBJECTS: Readonly<Record<string, ByMethod>> = {
  append: { POST: 'AppendObject' },
  symlink: { PUT: 'PutSymlink', GET: 'GetSymlink' },
  acl: { GET: 'GetObjectAcl', PUT: 'PutObjectAcl', DELETE: 'DeleteObjectAcl' },
  tagging: {
    GET: 'GetObjectTagging',
    PUT: 'PutObjectTagging',
    DELETE: 'DeleteObjectTagging',
  },
}

const OF_BUCKETS: Readonly<Record<string, ByMethod>> = {
  acl: { GET: 'GetBucketAcl', PUT: 'PutBucketAcl' },
  append: {},
  symlink: {},
  tagging: { GET: 'Unsupported', PUT: 'Unsupported', DELETE: 'Unsupported' },
}

function subresourceOperation(method: string, operations: ByMethod): Operation {
  const operation = operations[method]
  if (operation === undefined) throw new ServiceError('MethodNotAllowed')
  return operation
}

function serviceOperation(method: string): Operation {
  if (method === 'GET') return 'ListBuckets'
  throw new ServiceError('MethodNotAllowed')
}

function bucketOperation({ method, target: { query } }: OperationRequest): Operation {
  switch (method) {
    case 'GET':
      if (query.has('location')) return 'GetBucketLocation'
      return query.has('uploads') ? 'ListMultipartUploads' : 'ListObjects'
    case 'HEAD':
      return 'HeadBucket'
    case 'PUT':
      return 'PutBucket'
    case 'DELETE':
      return 'DeleteBucket'
    case 'POST':
      if (query.has('delete')) return 'DeleteMultipleObjects'
      break
  }
  throw new ServiceError('MethodNotAllowed')
}

function objectOperation(request: OperationRequest): Operation {
  const { query } = request.target
  switch (request.method) {
    case 'GET':
      return query.has('uploadId') ? 'ListParts' : 'GetObject'
    case 'HEAD':
      return 'HeadObject'
    case 'PUT':
      return putOperation(request)
    case 'DELETE':
      return query.has('uploadId') ? 'AbortMultipartUpload' : 'DeleteObject'
    case 'POST':
      if (query.has('uploads')) return 'InitiateMultipartUpload'
      if (query.has('uploadId')) return 'CompleteMultipartUpload'
      if (request.hasHeader('x-bce-rename-key')) return 'RenameObject'
      break
  }
  throw new ServiceError('MethodNotAllowed')
}

function putOperation({ target: { query }, hasHeader }: OperationRequest): Operation {
  const copy = hasHeader('x-bce-copy-source')
  if (query.has('uploadId') || query.has('partNumber'))
    return copy ? 'UploadPartCopy' : 'UploadPart'
  if (hasHeader('x-bce-rename-key')) return 'RenameObject'
  return copy ? 'CopyObject' : 'PutObject'
}
