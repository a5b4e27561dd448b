/**
 * The calls to BOS that the driver makes: typed, retried, and found out about when an answer got lost.
 * Keys are raw keys of one bucket. Rejects with BosError, or with the signal's reason.
 *
 * Uploads carry a CRC-32 that the service verifies; CRC because it costs a third of MD5.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Bytes } from '../../util/units.js'
import {
  readDeleteFailures,
  readDocumentEtag,
  readEtag,
  readHead,
  readListPage,
  readPartsPage,
  readUploadId,
  readUploadsPage,
  type DeleteFailure,
  type ListedPart,
  type ListedUpload,
  type ListPage,
  type ObjectHead,
} from './documents.js'
import { BosError, statusOfCode } from './error.js'
import type { ChooseSink, HttpBody, HttpResponse, HttpStream } from './http.js'
import { isRetryable, retrying, type Attempt, type RetryPolicy } from './retry.js'
import { encodeKey } from './sign.js'
import { parseErrorBody, type BosRequest, type Transport } from './transport.js'

export interface CallOptions {
  signal?: AbortSignal | undefined
}

export interface Conditions {
  /** Etag without quotes. */
  ifMatch?: string | undefined
  ifNoneMatch?: '*' | undefined
}

export interface ObjectProperties {
  contentType?: string | undefined
  storageClass?: string | undefined
  /** By lower-case name without `x-bce-meta-`. */
  metadata?: Readonly<Record<string, string>> | undefined
}

export interface GetOptions extends CallOptions {
  /** First and last byte; an open end is to the end of the object. Never on an empty object. */
  range?: { readonly first: Bytes; readonly last?: Bytes | undefined } | undefined
  ifMatch?: string | undefined
}

export interface CopySource {
  readonly key: string
  readonly etag?: string | undefined
}

export interface PartName {
  readonly key: string
  readonly uploadId: string
  readonly partNumber: number
}

export interface UploadName {
  readonly key: string
  readonly uploadId: string
}

/** Keys per batch delete. @see https://cloud.baidu.com/doc/BOS/s/tkc5twspg */
export const DELETE_BATCH = 1000
/** A copy may take the service a while: it counts as this many bytes of transfer for its deadline. */
const COPY_ALLOWANCE: Bytes = 16 * 1024 * 1024

type Headers = Record<string, string>

/** CRC-32 in decimal. An empty piece is left out: zlib starts anew when it is given one. */
export function checksum(body: HttpBody): string {
  const pieces = body instanceof Uint8Array ? [body] : body
  const sum = pieces.reduce((crc, piece) => (piece.length === 0 ? crc : crc32(piece, crc)), 0)
  return String(sum)
}

function md5(body: HttpBody): string {
  const hash = createHash('md5')
  for (const piece of body instanceof Uint8Array ? [body] : body) hash.update(piece)
  return hash.digest('hex')
}

/** The etag that BOS gives an object made of these parts, in this order. */
export function multipartEtag(etags: readonly string[]): string {
  const [first, second] = etags
  if (first !== undefined && second === undefined) return first
  return `-${createHash('md5').update(etags.join('')).digest('hex')}`
}

function conditionHeaders({ ifMatch, ifNoneMatch }: Conditions): Headers {
  return {
    ...(ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` }),
    ...(ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch }),
  }
}

function propertyHeaders({ contentType, storageClass, metadata = {} }: ObjectProperties): Headers {
  return {
    'content-type': contentType ?? 'application/octet-stream',
    ...(storageClass === undefined ? {} : { 'x-bce-storage-class': storageClass }),
    ...Object.fromEntries(
      Object.entries(metadata).map(([name, value]) => [`x-bce-meta-${name}`, value]),
    ),
  }
}

function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof BosError && codes.includes(error.code ?? '')
}

function isPrecondition(error: unknown): boolean {
  return error instanceof BosError && (error.status === 412 || error.code === 'FileAlreadyExists')
}

/** Copies and completions may report an error with status 200. */
function refuseErrorInOk(response: HttpResponse): HttpResponse {
  const document = parseErrorBody(response.body)
  const { code } = document ?? {}
  if (document === undefined || code === undefined) return response
  const requestId = document.requestId ?? response.headers['x-bce-request-id']
  throw new BosError(document.message ?? code, {
    kind: 'response',
    status: statusOfCode(code),
    code,
    ...(requestId === undefined ? {} : { requestId }),
  })
}

export class BosApi {
  readonly #transport: Transport
  readonly #bucket: string
  readonly #policy: RetryPolicy

  constructor(options: { transport: Transport; bucket: string; policy: RetryPolicy }) {
    this.#transport = options.transport
    this.#bucket = options.bucket
    this.#policy = options.policy
  }

  /** @returns the headers of the bucket */
  async headBucket(options: CallOptions = {}): Promise<Readonly<Record<string, string>>> {
    return (await this.#call({ method: 'HEAD', ...options })).headers
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectHead> {
    const { headers } = await this.#call({ method: 'HEAD', key, ...options })
    return readHead(headers)
  }

  /** As `head`, undefined if there is no such object. */
  async find(key: string, options: CallOptions = {}): Promise<ObjectHead | undefined> {
    try {
      return await this.head(key, options)
    } catch (error) {
      if (error instanceof BosError && error.status === 404) return undefined
      throw error
    }
  }

  /** One GET into a sink, or into the response; `chooseSink` is called anew for each attempt. */
  get(
    key: string,
    options: GetOptions & { expectedBytes?: Bytes } = {},
    chooseSink?: ChooseSink,
  ): Promise<HttpResponse> {
    const { expectedBytes = 0 } = options
    return this.#call({ ...this.#getRequest(key, options), expectedBytes }, chooseSink)
  }

  /** One GET as a stream; retried until its head has come, not afterwards. */
  getStream(key: string, options: GetOptions = {}): Promise<HttpStream> {
    const request = this.#getRequest(key, options)
    return this.#retry(options, () => this.#transport.stream(request))
  }

  /** @returns the new etag */
  async put(
    key: string,
    body: HttpBody,
    options: CallOptions & Conditions & ObjectProperties = {},
  ): Promise<string> {
    const { signal } = options
    const crc = checksum(body)
    const headers = { ...propertyHeaders(options), ...conditionHeaders(options) }
    const request = this.#upload({ key, body, headers, crc, signal })
    const etagOfBody = (): string => md5(body)
    return await this.#conditional(options, { key, expected: etagOfBody }, async () => {
      const response = await this.#transport.request(request)
      return checkUpload(response, crc)
    })
  }

  /** @returns the etag of the copy */
  async copy(source: CopySource, key: string, options: CallOptions = {}): Promise<string> {
    const request: BosRequest = {
      method: 'PUT',
      key,
      headers: { ...this.#copyHeaders(source), 'x-bce-metadata-directive': 'copy' },
      expectedBytes: COPY_ALLOWANCE,
      ...options,
    }
    const response = await this.#retry(options, async () =>
      refuseErrorInOk(await this.#transport.request(request)),
    )
    return readDocumentEtag(response.body)
  }

  /**
   * Renames an object inside the store, where the service can. What it does to an existing target is
   * not described: use it for names that are free.
   *
   * @see baidubce/bce-sdk-java, RenameObject
   */
  rename(from: string, to: string, options: CallOptions = {}): Promise<void> {
    const headers = { 'x-bce-rename-key': encodeKey(from) }
    const request: BosRequest = { method: 'POST', key: to, headers, ...options }
    return this.#retry(options, async ({ ambiguous }) => {
      try {
        refuseErrorInOk(await this.#transport.request(request))
      } catch (error) {
        // After a lost answer the source may be missing because it has its new name.
        const mayBeEcho = ambiguous && isCode(error, 'NoSuchKey')
        if (!mayBeEcho || (await this.find(to, options)) === undefined) throw error
      }
    })
  }

  /** @returns whether there was an object; true if an earlier attempt may have deleted it */
  delete(key: string, options: CallOptions = {}): Promise<boolean> {
    return this.#retry(options, async ({ ambiguous }) => {
      try {
        await this.#transport.request({ method: 'DELETE', key, ...options })
        return true
      } catch (error) {
        if (isCode(error, 'NoSuchKey')) return ambiguous
        throw error
      }
    })
  }

  /**
   * Deletes at most 1000 objects.
   *
   * @returns what could not be deleted; a key that was not there has been deleted
   */
  async deleteBatch(
    keys: readonly string[],
    options: CallOptions = {},
  ): Promise<readonly DeleteFailure[]> {
    const body = Buffer.from(JSON.stringify({ objects: keys.map(key => ({ key })) }))
    const response = await this.#call({
      method: 'POST',
      params: { delete: '' },
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body,
      ...options,
    })
    return readDeleteFailures(response.body).filter(({ code }) => code !== 'NoSuchKey')
  }

  /** Deletes any number of objects. @throws BosError for the first that could not be deleted */
  async deleteMany(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (let at = 0; at < keys.length; at += DELETE_BATCH) {
      const [failure] = await this.deleteBatch(keys.slice(at, at + DELETE_BATCH), options)
      if (failure === undefined) continue
      const { key, code, message } = failure
      const status = statusOfCode(code)
      throw new BosError(`deleting ${key}: ${message}`, { kind: 'response', status, code })
    }
  }

  async list(
    query: { prefix: string; delimiter?: '/'; marker?: string; maxKeys?: number },
    options: CallOptions = {},
  ): Promise<ListPage> {
    const { prefix, delimiter, marker, maxKeys = 1000 } = query
    const params = {
      prefix,
      maxKeys: String(maxKeys),
      ...(delimiter === undefined ? {} : { delimiter }),
      ...(marker === undefined ? {} : { marker }),
    }
    const response = await this.#call({ method: 'GET', params, ...options })
    return readListPage(response.body)
  }

  /**
   * Starts a multipart upload. An answer that got lost leaves an upload without parts behind, which
   * costs nothing and which nobody takes for his own.
   *
   * @returns the upload id
   */
  async initiate(key: string, options: CallOptions & ObjectProperties = {}): Promise<string> {
    const { signal } = options
    const headers = propertyHeaders(options)
    const request: BosRequest = { method: 'POST', key, params: { uploads: '' }, headers, signal }
    return readUploadId((await this.#call(request)).body)
  }

  /** @returns the etag of the part */
  async uploadPart(part: PartName, body: HttpBody, options: CallOptions = {}): Promise<string> {
    const crc = checksum(body)
    const headers = { 'content-type': 'application/octet-stream' }
    const params = partParams(part)
    const request = this.#upload({ key: part.key, body, headers, params, crc, ...options })
    return await this.#retry(options, async () =>
      checkUpload(await this.#transport.request(request), crc),
    )
  }

  /** Makes a part of a range of an object, inside the store. @returns the etag of the part */
  async copyPart(
    part: PartName,
    source: CopySource & { readonly first: Bytes; readonly last: Bytes },
    options: CallOptions = {},
  ): Promise<string> {
    const range = `bytes=${source.first}-${source.last}`
    const request: BosRequest = {
      method: 'PUT',
      key: part.key,
      params: partParams(part),
      headers: { ...this.#copyHeaders(source), 'x-bce-copy-source-range': range },
      expectedBytes: COPY_ALLOWANCE,
      ...options,
    }
    const response = await this.#retry(options, async () =>
      refuseErrorInOk(await this.#transport.request(request)),
    )
    return readDocumentEtag(response.body)
  }

  /**
   * Publishes an upload. If an answer got lost, the object itself tells whether it was published.
   *
   * @returns the etag of the object
   */
  async complete(
    upload: UploadName,
    parts: readonly ListedPart[],
    options: CallOptions & Conditions = {},
  ): Promise<string> {
    const { key, uploadId } = upload
    const expected = multipartEtag(parts.map(part => part.etag))
    const document = {
      parts: parts.map(({ partNumber, etag }) => ({ partNumber, eTag: etag })),
    }
    const request: BosRequest = {
      method: 'POST',
      key,
      params: { uploadId },
      headers: {
        'content-type': 'application/json; charset=utf-8',
        ...conditionHeaders(options),
      },
      body: Buffer.from(JSON.stringify(document)),
      expectedBytes: COPY_ALLOWANCE,
      signal: options.signal,
    }
    return await this.#conditional(options, { key, expected: () => expected }, async () => {
      const response = refuseErrorInOk(await this.#transport.request(request))
      return readDocumentEtag(response.body)
    })
  }

  /** Drops an upload and its parts; no error if it is gone. */
  async abort({ key, uploadId }: UploadName, options: CallOptions = {}): Promise<void> {
    try {
      await this.#call({ method: 'DELETE', key, params: { uploadId }, ...options })
    } catch (error) {
      if (!isCode(error, 'NoSuchUpload', 'NoSuchKey')) throw error
    }
  }

  /** All parts of an upload, ascending. */
  async listParts({ key, uploadId }: UploadName, options: CallOptions = {}): Promise<ListedPart[]> {
    const parts: ListedPart[] = []
    let marker: number | undefined
    do {
      const params = {
        uploadId,
        maxParts: '1000',
        ...(marker === undefined ? {} : { partNumberMarker: String(marker) }),
      }
      const response = await this.#call({ method: 'GET', key, params, ...options })
      const page = readPartsPage(response.body)
      parts.push(...page.parts)
      marker = advanced(marker, page.nextMarker)
    } while (marker !== undefined)
    return parts
  }

  /** All unfinished uploads whose keys start with `prefix`, in the order of their keys. */
  async *listUploads(prefix: string, options: CallOptions = {}): AsyncGenerator<ListedUpload> {
    let marker: string | undefined
    do {
      const params = {
        uploads: '',
        prefix,
        maxUploads: '1000',
        ...(marker === undefined ? {} : { keyMarker: marker }),
      }
      const response = await this.#call({ method: 'GET', params, ...options })
      const page = readUploadsPage(response.body)
      yield* page.uploads
      marker = advanced(marker, page.nextMarker)
    } while (marker !== undefined)
  }

  close(): Promise<void> {
    return this.#transport.close()
  }

  #call(request: BosRequest, chooseSink?: ChooseSink): Promise<HttpResponse> {
    return this.#retry(request, () => this.#transport.request(request, chooseSink))
  }

  #retry<T>(
    { signal }: CallOptions,
    work: (attempt: Attempt) => Promise<T>,
    retryable: (error: unknown) => boolean = isRetryable,
  ): Promise<T> {
    return retrying(work, { policy: this.#policy, retryable, signal })
  }

  /**
   * Runs a write that must not be judged by the answer to a repetition: after a lost answer, "it
   * exists already" and "no such upload" may be the echo of our own success, which the etag tells.
   */
  #conditional(
    options: CallOptions & Conditions,
    target: { readonly key: string; readonly expected: () => string },
    write: () => Promise<string>,
  ): Promise<string> {
    const { signal, ifMatch, ifNoneMatch } = options
    const hasCondition = ifMatch !== undefined || ifNoneMatch !== undefined
    // Without a condition of ours, 412 says that another writer is at work at this moment.
    const retryable = (error: unknown): boolean =>
      isRetryable(error) || (!hasCondition && isPrecondition(error))
    return this.#retry(
      options,
      async ({ ambiguous }) => {
        try {
          return await write()
        } catch (error) {
          const mayBeEcho = isPrecondition(error) || isCode(error, 'NoSuchUpload')
          if (!ambiguous || !mayBeEcho) throw error
          const found = await this.find(target.key, { signal })
          if (found?.etag !== target.expected()) throw error
          return found.etag
        }
      },
      retryable,
    )
  }

  #getRequest(key: string, { range, ifMatch, signal }: GetOptions): BosRequest {
    const headers: Headers = conditionHeaders({ ifMatch })
    if (range !== undefined) headers['range'] = `bytes=${range.first}-${range.last ?? ''}`
    return { method: 'GET', key, headers, signal }
  }

  #upload(upload: {
    key: string
    body: HttpBody
    headers: Headers
    crc: string
    params?: Readonly<Record<string, string>>
    signal?: AbortSignal | undefined
  }): BosRequest {
    const { crc, headers, ...rest } = upload
    return { method: 'PUT', ...rest, headers: { ...headers, 'x-bce-content-crc32': crc } }
  }

  #copyHeaders({ key, etag }: CopySource): Headers {
    return {
      'x-bce-copy-source': `/${this.#bucket}/${encodeKey(key)}`,
      ...(etag === undefined ? {} : { 'x-bce-copy-source-if-match': `"${etag}"` }),
    }
  }
}

function partParams({ uploadId, partNumber }: PartName): Record<string, string> {
  return { partNumber: String(partNumber), uploadId }
}

/** A marker that does not move would page forever. */
function advanced<T>(before: T | undefined, next: T | undefined): T | undefined {
  if (next === undefined || next !== before) return next
  throw new BosError('the listing does not advance', { kind: 'integrity' })
}

function checkUpload({ headers }: HttpResponse, crc: string): string {
  const stored = headers['x-bce-content-crc32']
  if (stored !== undefined && stored !== crc) {
    throw new BosError(`stored with CRC-32 ${stored} instead of ${crc}`, { kind: 'integrity' })
  }
  return readEtag(headers)
}
