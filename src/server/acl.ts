/**
 * Access control lists, as far as they decide what a request without a signature may do: every signed
 * request is the owner's, who may do anything.
 *
 * An object without a list of its own is under that of its bucket.
 *
 * @see BOS "Access control", PutBucketAcl, PutObjectAcl
 */
import type { IncomingHttpHeaders } from 'node:http'
import { isRecord } from './body.js'
import { ServiceError } from './errors.js'
import type { Operation } from './router.js'
import type { Grant } from './store.js'

/** Grantee that stands for everybody. */
const EVERYBODY = '*'

const CANNED: Readonly<Record<string, readonly string[]>> = {
  private: [],
  'public-read': ['READ'],
  'public-read-write': ['READ', 'WRITE'],
}

/** Headers that grant one permission, with a value such as `id="a",id="b"`. */
const GRANT_HEADERS: Readonly<Record<string, string>> = {
  'x-bce-grant-read': 'READ',
  'x-bce-grant-full-control': 'FULL_CONTROL',
}

const PERMISSIONS = new Set([
  'FULL_CONTROL',
  'READ',
  'WRITE',
  'LIST',
  'MODIFY',
  'GetObject',
  'PutObject',
  'DeleteObject',
  'ListParts',
  'ListObjects',
  'RenameObject',
])

/** What a request without a signature needs one of; nothing else is open to it. */
const NEEDED: Partial<Readonly<Record<Operation, readonly string[]>>> = {
  GetObject: ['READ', 'GetObject'],
  HeadObject: ['READ', 'GetObject'],
  ListObjects: ['READ', 'LIST', 'ListObjects'],
  HeadBucket: ['READ', 'LIST', 'ListObjects'],
  PutObject: ['WRITE', 'PutObject'],
  AppendObject: ['WRITE', 'PutObject'],
  DeleteObject: ['WRITE', 'DeleteObject'],
  DeleteMultipleObjects: ['WRITE', 'DeleteObject'],
  InitiateMultipartUpload: ['WRITE', 'PutObject'],
  UploadPart: ['WRITE', 'PutObject'],
  CompleteMultipartUpload: ['WRITE', 'PutObject'],
  AbortMultipartUpload: ['WRITE', 'PutObject'],
}

/** Whether a request without a signature may do this under this list. */
export function isOpenToAll(operation: Operation, acl: readonly Grant[] | undefined): boolean {
  const needed = NEEDED[operation] ?? []
  return (acl ?? []).some(
    ({ grantees, permissions }) =>
      grantees.includes(EVERYBODY) &&
      needed.length > 0 &&
      permissions.some(one => one === 'FULL_CONTROL' || needed.includes(one)),
  )
}

/**
 * The list that the headers of a request ask for, if they do.
 * @throws ServiceError InvalidArgument
 */
export function readAclHeaders(headers: IncomingHttpHeaders): readonly Grant[] | undefined {
  const canned = headers['x-bce-acl']
  const grants: Grant[] = []
  for (const [header, permission] of Object.entries(GRANT_HEADERS)) {
    const value = headers[header]
    if (typeof value !== 'string' || value === '') continue
    const grantees = [...value.matchAll(/id="([^"]+)"/g)].map(([, id = '']) => id)
    if (grantees.length === 0) throw new ServiceError('InvalidArgument')
    grants.push({ grantees, permissions: [permission] })
  }
  if (typeof canned !== 'string' || canned === '') return grants.length === 0 ? undefined : grants
  const permissions = Object.hasOwn(CANNED, canned) ? CANNED[canned] : undefined
  if (permissions === undefined || grants.length > 0) {
    throw new ServiceError('InvalidArgument', { message: `x-bce-acl cannot be ${canned} here.` })
  }
  return permissions.length === 0 ? [] : [{ grantees: [EVERYBODY], permissions }]
}

/** The list in the body of PutBucketAcl and PutObjectAcl. @throws ServiceError InappropriateJSON */
export function readAclBody(body: unknown): readonly Grant[] {
  const list: unknown = isRecord(body) ? body['accessControlList'] : undefined
  if (!Array.isArray(list)) throw new ServiceError('InappropriateJSON')
  return list.map((entry: unknown) => {
    const grantees = texts(isRecord(entry) ? entry['grantee'] : undefined, one =>
      isRecord(one) ? one['id'] : undefined,
    )
    const permissions = texts(isRecord(entry) ? entry['permission'] : undefined, one => one)
    if (permissions.some(one => !PERMISSIONS.has(one))) throw new ServiceError('InvalidArgument')
    return { grantees, permissions }
  })
}

function texts(list: unknown, read: (one: unknown) => unknown): readonly string[] {
  const values: readonly unknown[] = Array.isArray(list) ? list.map(read) : []
  const strings = values.filter((value): value is string => typeof value === 'string')
  if (strings.length === 0 || strings.length < values.length) {
    throw new ServiceError('InappropriateJSON')
  }
  return strings
}

/** The body of GetBucketAcl and GetObjectAcl. */
export function describeAcl(owner: string, acl: readonly Grant[] = []): object {
  const own: Grant = { grantees: [owner], permissions: ['FULL_CONTROL'] }
  return {
    owner: { id: owner },
    accessControlList: [own, ...acl].map(({ grantees, permissions }) => ({
      grantee: grantees.map(id => ({ id })),
      permission: permissions,
    })),
  }
}
