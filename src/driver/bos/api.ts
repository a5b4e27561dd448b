/**
 * The calls to BOS that the driver makes: typed, retried, and found out about when an answer got lost.
 * Keys are raw keys of one bucket. Rejects with BosError, or with the signal's reason.
 *
 * Uploads carry a CRC-32 that the service verifies; CRC because it costs a third of MD5.
 */
import { createHash } from 'node:crypto'
import type { Bytes, Milliseconds } from '../../util/units.js'
import { Calls, isCode, refuseErrorInOk, within, type CallOptions } from './calls.js'
import {
  readDeleteFailures,
  readDeleteToken,
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
import {
  checksum,
  checkUpload,
  conditionHeaders,
  copyHeaders,
  md5,
  multipartEtag,
  propertyHeaders,
  type Conditions,
  type CopySource,
  type Headers,
  type ObjectProperties,
} from './headers.js'
import type { BodySink, HttpBody, HttpHead } from './exchange.js'
import type { HttpResponse, HttpStream } from './http.js'
import type { ChooseLanding } from './receive/landing.js'
import type { Attempt, RetryPolicy } from './retry.js'
import { encodeKey } from './sign.js'
import type { BosRequest, Transport } from './transport.js'
import { verifierOf } from './verify.js'

export interface GetOptions extends CallOptions {
  /** First and last byte; an open end is to the end of the object. Never on an empty object. */
  range?: { readonly first: Bytes; readonly last?: Bytes | undefined } | undefined
  ifMatch?: string | undefined
}

/** First and last byte. */
export interface ByteRange {
  readonly first: Bytes
  readonly last: Bytes
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

/** Content type of directory markers. */
export const MARKER_TYPE = 'application/x-directory'

/** Keys per batch delete. @see https://cloud.baidu.com/doc/BOS/s/tkc5twspg */
export const DELETE_BATCH = 1000
/** A copy is given a millisecond for so many bytes: the service answers when all are copied. */
const COPY_BYTES_PER_MS = 8192
/** A completion is given so long for each of its parts. */
const PATIENCE_PER_PART: Milliseconds = 10

export interface BosApiOptions {
  transport: Transport
  bucket: string
  policy: RetryPolicy
  /** For every request that makes an object: encryption, access. */
  writeHeaders?: Headers
}

export class BosApi {
  readonly #calls: Calls
  readonly #transport: Transport
  readonly #bucket: string
  readonly #writeHeaders: Headers

  constructor(options: BosApiOptions) {
    this.#transport = options.transport
    this.#bucket = options.bucket
    this.#writeHeaders = options.writeHeaders ?? {}
    this.#calls = new Calls(options.transport, options.policy)
  }

  /** @returns the headers of the bucket */
  async headBucket(options: CallOptions = {}): Promise<Readonly<Record<string, string>>> {
    return (await this.#calls.call({ method: 'HEAD', ...options })).headers
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectHead> {
    const request: BosRequest = { method: 'HEAD', key, ...options }
    const { headers, head } = await this.#calls.read(request, answer => ({
      headers: answer.headers,
      head: readHead(answer.headers),
    }))
    refuseDirectory(key, headers)
    return head
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

  /** One GET into a sink; `chooseSink` is called anew for each attempt. */
  get(
    key: string,
    options: GetOptions & { expectedBytes?: Bytes },
    chooseSink: (head: HttpHead) => BodySink,
  ): Promise<HttpResponse> {
    const { expectedBytes = 0 } = options
    const request = { ...this.#getRequest(key, options), expectedBytes }
    return this.#calls.call(request, head => {
      refuseDirectory(key, head.headers)
      readEtag(head.headers)
      return chooseSink(head)
    })
  }

  /**
   * One GET straight into memory. `choose` is called anew for each attempt, with what it is to ask for:
   * an attempt need not ask again for what one before has brought.
   */
  getInto(
    key: string,
    { signal }: CallOptions,
    attempt: () => {
      readonly range: ByteRange
      readonly ifMatch: string | undefined
      readonly choose: ChooseLanding
    },
  ): Promise<HttpResponse> {
    return this.#calls.retry({ signal }, tried => {
      const { range, ifMatch, choose } = attempt()
      const request: BosRequest = {
        ...this.#getRequest(key, { range, ifMatch, signal }),
        expectedBytes: range.last - range.first + 1,
      }
      return this.#transport.receive(within(request, tried), head => {
        refuseDirectory(key, head.headers)
        readEtag(head.headers)
        return choose(head)
      })
    })
  }

  /** A whole small object, checked against the checksum that the service gives. */
  getWhole(
    key: string,
    options: CallOptions & { ifMatch?: string | undefined } = {},
  ): Promise<HttpResponse> {
    return this.#calls.read(this.#getRequest(key, options), response => {
      refuseDirectory(key, response.headers)
      readEtag(response.headers)
      const verifier = verifierOf(response.headers)
      verifier?.update(response.body)
      verifier?.check()
      return response
    })
  }

  /** One GET as a stream; retried until its head has come, not afterwards. */
  getStream(key: string, options: GetOptions = {}): Promise<HttpStream> {
    const request = this.#getRequest(key, options)
    return this.#calls.retry(request, async attempt => {
      const opened = await this.#transport.stream(within(request, attempt))
      try {
        refuseDirectory(key, opened.headers)
        readEtag(opened.headers)
        return opened
      } catch (error) {
        opened.stream.destroy()
        throw error
      }
    })
  }

  /** @returns the new etag */
  async put(
    key: string,
    body: HttpBody,
    options: CallOptions & Conditions & ObjectProperties = {},
  ): Promise<string> {
    const { signal } = options
    const crc = checksum(body)
    const headers = {
      ...this.#writeHeaders,
      ...propertyHeaders(options),
      ...conditionHeaders(options),
    }
    const request = this.#upload({ key, body, headers, crc, signal })
    const target = { conditions: options, expected: () => md5(body) }
    return await this.#withParents(key, options, () =>
      this.#calls.conditional(request, target, async attempt => {
        const response = await this.#transport.request(within(request, attempt))
        return checkUpload(refuseErrorInOk(response), crc)
      }),
    )
  }

  /** @returns the etag of the copy */
  async copy(
    source: CopySource & { readonly size: Bytes },
    key: string,
    options: CallOptions = {},
  ): Promise<string> {
    const request: BosRequest = {
      method: 'PUT',
      key,
      headers: {
        ...this.#writeHeaders,
        ...copyHeaders(this.#bucket, source),
        'x-bce-metadata-directive': 'copy',
      },
      patience: source.size / COPY_BYTES_PER_MS,
      ...options,
    }
    return await this.#withParents(key, options, () =>
      this.#calls.read(request, response => readDocumentEtag(refuseErrorInOk(response).body)),
    )
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
    const rename = async (attempt: Attempt): Promise<void> => {
      try {
        refuseErrorInOk(await this.#transport.request(within(request, attempt)))
      } catch (error) {
        // After a lost answer the source may be missing because it has its new name.
        const mayBeEcho = attempt.ambiguous && isCode(error, 'NoSuchKey')
        if (!mayBeEcho || (await this.find(to, options)) === undefined) throw error
      }
    }
    return this.#withParents(to, options, () =>
      this.#calls.retry(request, rename, { retryClass: 'other' }),
    )
  }

  /** @returns whether there was an object; true if an earlier attempt may have deleted it */
  delete(key: string, options: CallOptions = {}): Promise<boolean> {
    const request: BosRequest = { method: 'DELETE', key, ...options }
    return this.#calls.retry(request, async attempt => {
      try {
        refuseErrorInOk(await this.#transport.request(within(request, attempt)))
        return true
      } catch (error) {
        if (isCode(error, 'NoSuchKey')) return attempt.ambiguous
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
    const request: BosRequest = {
      method: 'POST',
      params: { delete: '' },
      headers: documentHeaders(body),
      body,
      ...options,
    }
    const failures = await this.#calls.read(request, answer =>
      readDeleteFailures(refuseErrorInOk(answer).body),
    )
    return failures.filter(({ code }) => code !== 'NoSuchKey')
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
    const request: BosRequest = { method: 'GET', params, ...options }
    return await this.#calls.read(request, answer => readListPage(refuseErrorInOk(answer).body))
  }

  /**
   * Starts a multipart upload. An answer that got lost leaves an upload without parts behind, which
   * costs nothing and which nobody takes for his own.
   *
   * @returns the upload id
   */
  async initiate(key: string, options: CallOptions & ObjectProperties = {}): Promise<string> {
    const { signal } = options
    const headers = { ...this.#writeHeaders, ...propertyHeaders(options) }
    const request: BosRequest = { method: 'POST', key, params: { uploads: '' }, headers, signal }
    return await this.#withParents(key, options, () =>
      this.#calls.read(request, answer => readUploadId(refuseErrorInOk(answer).body)),
    )
  }

  /** @returns the etag of the part */
  async uploadPart(part: PartName, body: HttpBody, options: CallOptions = {}): Promise<string> {
    const crc = checksum(body)
    const headers = { 'content-type': 'application/octet-stream' }
    const params = partParams(part)
    const request = this.#upload({ key: part.key, body, headers, params, crc, ...options })
    return await this.#calls.retry(request, async attempt =>
      checkUpload(refuseErrorInOk(await this.#transport.request(within(request, attempt))), crc),
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
      headers: { ...copyHeaders(this.#bucket, source), 'x-bce-copy-source-range': range },
      patience: (source.last - source.first) / COPY_BYTES_PER_MS,
      ...options,
    }
    return await this.#calls.read(request, response =>
      readDocumentEtag(refuseErrorInOk(response).body),
    )
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
    const body = Buffer.from(JSON.stringify(document))
    const request = {
      method: 'POST' as const,
      key,
      params: { uploadId },
      headers: { ...documentHeaders(body), ...conditionHeaders(options) },
      body,
      patience: parts.length * PATIENCE_PER_PART,
      signal: options.signal,
    }
    const target = { conditions: options, expected: () => expected }
    return await this.#calls.conditional(request, target, async attempt => {
      const response = refuseErrorInOk(await this.#transport.request(within(request, attempt)))
      return readDocumentEtag(response.body)
    })
  }

  /** Drops an upload and its parts; no error if it is gone. */
  async abort({ key, uploadId }: UploadName, options: CallOptions = {}): Promise<void> {
    try {
      await this.#calls.call({ method: 'DELETE', key, params: { uploadId }, ...options })
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
      const request: BosRequest = { method: 'GET', key, params, ...options }
      const page = await this.#calls.read(request, answer =>
        readPartsPage(refuseErrorInOk(answer).body),
      )
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
      const request: BosRequest = { method: 'GET', params, ...options }
      const page = await this.#calls.read(request, answer =>
        readUploadsPage(refuseErrorInOk(answer).body),
      )
      yield* page.uploads
      marker = advanced(marker, page.nextMarker)
    } while (marker !== undefined)
  }

  /** Makes one directory of a hierarchical bucket, and those above; no error if it exists. */
  async makeDirectory(key: string, options: CallOptions = {}): Promise<void> {
    try {
      await this.put(key, Buffer.alloc(0), { ...options, contentType: MARKER_TYPE })
    } catch (error) {
      if (!isCode(error, 'NamespaceDirAlreadyExists')) throw error
    }
  }

  /**
   * Deletes a directory of a hierarchical bucket with all that is below.
   * @returns whether there was one
   */
  async deleteTree(key: string, options: CallOptions = {}): Promise<boolean> {
    let found = false
    let token: string | undefined
    do {
      const headers = {
        'x-bce-delete-recursive': 'true',
        ...(token === undefined ? {} : { 'x-bce-delete-token': token }),
      }
      const request: BosRequest = { method: 'DELETE', key, headers, ...options }
      try {
        token = await this.#calls.read(request, answer =>
          readDeleteToken(refuseErrorInOk(answer).body),
        )
        found = true
      } catch (error) {
        // What an answer that got lost has deleted is there no more.
        if (!isCode(error, 'NoSuchKey')) throw error
        return found
      }
    } while (token !== undefined)
    return true
  }

  close(): Promise<void> {
    return this.#transport.close()
  }

  /** In a hierarchical bucket the directories above a key are made when it turns out they are missing. */
  async #withParents<T>(key: string, { signal }: CallOptions, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const parent = key.slice(0, key.lastIndexOf('/', key.length - 2) + 1)
      if (!isCode(error, 'NamespaceParentNotExists') || parent === '') throw error
      await this.makeDirectory(parent, { signal })
      return await work()
    }
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
  }): BosRequest & { readonly key: string } {
    const { crc, headers, ...rest } = upload
    return { method: 'PUT', ...rest, headers: { ...headers, 'x-bce-content-crc32': crc } }
  }
}

/** A directory of a hierarchical bucket is found without its slash too; as a file it is not there. */
function refuseDirectory(key: string, headers: Readonly<Record<string, string>>): void {
  if (headers['x-bce-object-type'] !== 'Directory' || key.endsWith('/')) return
  throw new BosError(`${key} is a directory`, { kind: 'response', status: 404, code: 'NoSuchKey' })
}

/** Of a JSON body, which the service checks too. */
function documentHeaders(body: Buffer): Headers {
  const digest = createHash('md5').update(body).digest('base64')
  return { 'content-type': 'application/json; charset=utf-8', 'content-md5': digest }
}

function partParams({ uploadId, partNumber }: PartName): Record<string, string> {
  return { partNumber: String(partNumber), uploadId }
}

/** A marker that does not move would page forever. */
function advanced<T>(before: T | undefined, next: T | undefined): T | undefined {
  if (next === undefined || next !== before) return next
  throw new BosError('the listing does not advance', { kind: 'integrity' })
}
