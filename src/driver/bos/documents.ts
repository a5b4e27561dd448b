/**
 * BOS's answers as records: what is in headers and JSON documents, checked while it is read. A
 * document that is not what the interface describes is an integrity error, never `undefined` further
 * on. Etags come without quotes.
 */
import type { Bytes } from '../../util/units.js'
import { BosError } from './error.js'

export interface ObjectHead {
  readonly size: Bytes
  readonly etag: string
  readonly modTime?: Date
  readonly storageClass?: string
  /** User metadata by lower-case name without `x-bce-meta-`. */
  readonly metadata: Readonly<Record<string, string>>
  /** What else describes the content and would be lost if it were not sent with a replacing copy. */
  readonly contentHeaders: Readonly<Record<string, string>>
}

/** Content headers that BOS keeps as they were sent; it makes up an Expires where there is none. */
const METADATA = 'x-bce-meta-'
const CONTENT_HEADERS = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
]

export interface ListedObject {
  readonly key: string
  readonly size: Bytes
  readonly etag: string
  readonly modTime: Date
  /** Where the service tells it. */
  readonly metadata?: Readonly<Record<string, string>>
}

/** What a listing may tell of the object that has the name of a common prefix. */
export interface ListedMarker {
  readonly modTime?: Date
  readonly metadata: Readonly<Record<string, string>>
}

export interface ListPage {
  readonly objects: readonly ListedObject[]
  readonly prefixes: readonly string[]
  /** By common prefix; only where metadata was asked for and is told. */
  readonly markers?: ReadonlyMap<string, ListedMarker>
  readonly truncated: boolean
  readonly nextMarker?: string
}

export interface ListedPart {
  readonly partNumber: number
  readonly etag: string
  readonly size: Bytes
}

export interface PartsPage {
  readonly parts: readonly ListedPart[]
  /** Where the next page starts; absent on the last. */
  readonly nextMarker?: number
}

export interface ListedUpload {
  readonly key: string
  readonly uploadId: string
  readonly initiated: Date
}

export interface UploadsPage {
  readonly uploads: readonly ListedUpload[]
  /** Where the next page starts; absent on the last. */
  readonly nextMarker?: string
}

export interface DeleteFailure {
  readonly key: string
  readonly code: string
  readonly message: string
}

type Headers = Readonly<Record<string, string>>

function malformed(what: string): BosError {
  return new BosError(`the answer is not understood: ${what}`, { kind: 'integrity' })
}

export function unquote(etag: string): string {
  const isQuoted = etag.length > 1 && etag.startsWith('"') && etag.endsWith('"')
  return isQuoted ? etag.slice(1, -1) : etag
}

/** A member-by-member view of a JSON object. */
class Fields {
  readonly #members: Readonly<Record<string, unknown>>

  constructor(value: unknown) {
    if (typeof value !== 'object' || value === null) throw malformed('no object')
    this.#members = value as Readonly<Record<string, unknown>>
  }

  optionalText(name: string): string | undefined {
    const value = this.#members[name]
    return typeof value === 'string' ? value : undefined
  }

  text(name: string): string {
    const value = this.optionalText(name)
    if (value === undefined) throw malformed(`no text ${name}`)
    return value
  }

  count(name: string): number {
    const value = this.#members[name]
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw malformed(`no number ${name}`)
    return value as number
  }

  flag(name: string): boolean {
    return this.#members[name] === true
  }

  time(name: string): Date {
    const time = new Date(this.text(name))
    if (Number.isNaN(time.getTime())) throw malformed(`no time ${name}`)
    return time
  }

  /** Texts by name, or undefined if there are none. */
  optionalTexts(name: string): Readonly<Record<string, string>> | undefined {
    const value = this.#members[name]
    if (typeof value !== 'object' || value === null) return undefined
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, text]) =>
        typeof text === 'string' ? [[key.toLowerCase().replace(/^x-bce-meta-/, ''), text]] : [],
      ),
    )
  }

  /** An absent list is an empty one. */
  list<T>(name: string, read: (fields: Fields) => T): T[] {
    const value = this.#members[name]
    if (value === undefined || value === null) return []
    if (!Array.isArray(value)) throw malformed(`no list ${name}`)
    return value.map(item => read(new Fields(item)))
  }
}

function document(body: Buffer): Fields {
  try {
    return new Fields(JSON.parse(body.toString()))
  } catch (error) {
    throw error instanceof BosError ? error : malformed('no JSON')
  }
}

function count(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

export function readEtag(headers: Headers): string {
  const etag = headers['etag']
  if (etag === undefined) throw malformed('no ETag')
  return unquote(etag)
}

export function readModTime(headers: Headers): Date | undefined {
  const time = new Date(headers['last-modified'] ?? '')
  return Number.isNaN(time.getTime()) ? undefined : time
}

/** User metadata by lower-case name without `x-bce-meta-`. */
export function readMetadata(headers: Headers): Readonly<Record<string, string>> {
  const metadata = Object.entries(headers)
    .filter(([name]) => name.startsWith(METADATA))
    .map(([name, value]) => [name.slice(METADATA.length), value] as const)
  return Object.fromEntries(metadata)
}

export function readHead(headers: Headers): ObjectHead {
  const size = count(headers['content-length'])
  if (size === undefined) throw malformed('no Content-Length')
  const modTime = readModTime(headers)
  const storageClass = headers['x-bce-storage-class']
  return {
    size,
    etag: readEtag(headers),
    ...(modTime === undefined ? {} : { modTime }),
    ...(storageClass === undefined ? {} : { storageClass }),
    metadata: readMetadata(headers),
    contentHeaders: Object.fromEntries(
      CONTENT_HEADERS.flatMap(name => {
        const value = headers[name]
        return value === undefined ? [] : [[name, value]]
      }),
    ),
  }
}

export interface BodyRange {
  readonly offset: Bytes
  readonly length: Bytes
  /** Size of the whole object. */
  readonly size: Bytes
}

/** Which bytes the body of a GET holds. */
export function readRange(status: number, headers: Headers): BodyRange {
  const length = count(headers['content-length'])
  if (length === undefined) throw malformed('no Content-Length')
  if (status !== 206) return { offset: 0, length, size: length }
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers['content-range'] ?? '')
  if (range === null) throw malformed('no Content-Range')
  const [first, last, size] = [Number(range[1]), Number(range[2]), Number(range[3])]
  if (last - first + 1 !== length || last >= size) throw malformed('Content-Range contradicts')
  return { offset: first, length, size }
}

export function readListPage(body: Buffer): ListPage {
  const fields = document(body)
  const nextMarker = fields.optionalText('nextMarker')
  const markers = new Map<string, ListedMarker>()
  return {
    objects: fields.list('contents', item => {
      const metadata = item.optionalTexts('userMeta')
      return {
        key: item.text('key'),
        size: item.count('size'),
        etag: unquote(item.text('eTag')),
        modTime: item.time('lastModified'),
        ...(metadata === undefined ? {} : { metadata }),
      }
    }),
    prefixes: fields.list('commonPrefixes', item => {
      const prefix = item.text('prefix')
      const metadata = item.optionalTexts('userMeta')
      const hasTime = item.optionalText('lastModified') !== undefined
      const time = hasTime ? { modTime: item.time('lastModified') } : {}
      if (metadata !== undefined) markers.set(prefix, { metadata, ...time })
      return prefix
    }),
    ...(markers.size === 0 ? {} : { markers }),
    truncated: fields.flag('isTruncated'),
    ...(nextMarker === undefined || nextMarker === '' ? {} : { nextMarker }),
  }
}

export function readPartsPage(body: Buffer): PartsPage {
  const fields = document(body)
  return {
    parts: fields.list('parts', item => ({
      partNumber: item.count('partNumber'),
      etag: unquote(item.text('eTag')),
      size: item.count('size'),
    })),
    ...(fields.flag('isTruncated') ? { nextMarker: fields.count('nextPartNumberMarker') } : {}),
  }
}

export function readUploadsPage(body: Buffer): UploadsPage {
  const fields = document(body)
  return {
    uploads: fields.list('uploads', item => ({
      key: item.text('key'),
      uploadId: item.text('uploadId'),
      initiated: item.time('initiated'),
    })),
    ...(fields.flag('isTruncated') ? { nextMarker: fields.text('nextKeyMarker') } : {}),
  }
}

export function readUploadId(body: Buffer): string {
  return document(body).text('uploadId')
}

/** The etag in the document of a copy or a completion. */
export function readDocumentEtag(body: Buffer): string {
  return unquote(document(body).text('eTag'))
}

/** What a batch delete could not delete; it answers nothing when all went well. */
export function readDeleteFailures(body: Buffer): DeleteFailure[] {
  if (body.length === 0) return []
  return document(body).list('errors', item => ({
    key: item.text('key'),
    code: item.text('code'),
    message: item.optionalText('message') ?? '',
  }))
}

/** What a recursive delete that has not come to its end wants to be sent with the next one. */
export function readDeleteToken(body: Buffer): string | undefined {
  if (body.length === 0) return undefined
  const fields = document(body)
  return fields.flag('isTruncated') ? fields.text('nextDeleteToken') : undefined
}
