/**
 * Multipart uploads, call by call. Parts carry a CRC-32 that the service verifies; whether a completion
 * whose answer got lost has published the object, the object itself tells.
 *
 * @see https://cloud.baidu.com/doc/BOS/s/vkc5pdlkf
 */
import type { Bytes, Milliseconds } from '../../util/units.js'
import {
  COPY_BYTES_PER_MS,
  isCode,
  refuseErrorInOk,
  within,
  type Calls,
  type CallOptions,
} from './calls.js'
import {
  readDocumentEtag,
  readPartsPage,
  readUploadId,
  readUploadsPage,
  type ListedPart,
  type ListedUpload,
} from './documents.js'
import { BosError } from './error.js'
import { multipartEtag } from '../etag.js'
import type { HttpBody } from './exchange.js'
import {
  checksum,
  checkUpload,
  conditionHeaders,
  copyHeaders,
  documentHeaders,
  metadataHeaders,
  propertyHeaders,
  type Conditions,
  type CopySource,
  type Headers,
  type ObjectProperties,
} from './headers.js'
import type { BosRequest } from './transport.js'

export interface PartName {
  readonly key: string
  readonly uploadId: string
  readonly partNumber: number
}

export interface UploadName {
  readonly key: string
  readonly uploadId: string
}

/** A completion is given so long for each of its parts. */
const PATIENCE_PER_PART: Milliseconds = 10

/** Where objects are made, and what goes with it. */
export interface WriteTarget {
  readonly bucket: string
  /** For every request that makes an object: encryption, access. */
  readonly writeHeaders: Headers
  /** Runs work that makes an object; makes the directories above it if they turn out to be missing. */
  withParents<T>(key: string, options: CallOptions, work: () => Promise<T>): Promise<T>
}

export class Uploads {
  readonly #calls: Calls
  readonly #target: WriteTarget

  constructor(calls: Calls, target: WriteTarget) {
    this.#calls = calls
    this.#target = target
  }

  /**
   * Starts a multipart upload.
   *
   * @param lost  is told when an earlier attempt was not answered: it may have left an upload without parts
   * @returns the upload id
   */
  async initiate(
    key: string,
    options: CallOptions & ObjectProperties = {},
    lost: () => void = () => undefined,
  ): Promise<string> {
    const { signal } = options
    const headers = { ...this.#target.writeHeaders, ...propertyHeaders(options) }
    const request: BosRequest = { method: 'POST', key, params: { uploads: '' }, headers, signal }
    return await this.#target.withParents(key, options, () =>
      this.#calls.retry(request, async attempt => {
        const answer = await this.#calls.transport.request(within(request, attempt))
        if (attempt.ambiguous) lost()
        return readUploadId(refuseErrorInOk(answer).body)
      }),
    )
  }

  /** @returns the etag of the part */
  async uploadPart(part: PartName, body: HttpBody, options: CallOptions = {}): Promise<string> {
    const crc = checksum(body)
    const headers = { 'content-type': 'application/octet-stream', 'x-bce-content-crc32': crc }
    const params = partParams(part)
    const request: BosRequest = { method: 'PUT', key: part.key, params, headers, body, ...options }
    return await this.#calls.retry(request, async attempt =>
      checkUpload(
        refuseErrorInOk(await this.#calls.transport.request(within(request, attempt))),
        crc,
      ),
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
      headers: { ...copyHeaders(this.#target.bucket, source), 'x-bce-copy-source-range': range },
      patience: (source.last - source.first) / COPY_BYTES_PER_MS,
      ...options,
    }
    return await this.#calls.read(request, response =>
      readDocumentEtag(refuseErrorInOk(response).body),
    )
  }

  /**
   * Publishes an upload. If an answer got lost, the object itself tells whether it was published. By
   * another upload, maybe, an earlier attempt of whoever asks: so this one is dropped if it is still there.
   *
   * @returns the etag of the object
   */
  async complete(
    upload: UploadName,
    parts: readonly ListedPart[],
    options: CallOptions & Conditions & Pick<ObjectProperties, 'metadata'> = {},
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
      headers: {
        ...documentHeaders(body),
        ...conditionHeaders(options),
        ...metadataHeaders(options.metadata),
      },
      body,
      patience: parts.length * PATIENCE_PER_PART,
      signal: options.signal,
    }
    const target = { conditions: options, expected: () => expected }
    let isDone = false
    const etag = await this.#calls.conditional(request, target, async attempt => {
      const response = refuseErrorInOk(
        await this.#calls.transport.request(within(request, attempt)),
      )
      const answered = readDocumentEtag(response.body)
      isDone = true
      return answered
    })
    // What is published must not fail for what it has left behind.
    if (!isDone) await this.abort(upload, { signal: options.signal }).catch(() => undefined)
    return etag
  }

  /** Drops an upload and its parts; no error if it is gone. */
  async abort({ key, uploadId }: UploadName, options: CallOptions = {}): Promise<void> {
    try {
      await this.#calls.call({ method: 'DELETE', key, params: { uploadId }, ...options })
    } catch (error) {
      if (!isCode(error, 'NoSuchUpload', 'NoSuchKey')) throw error
    }
  }

  /** Whether an upload is there and has no part. */
  async isEmpty({ key, uploadId }: UploadName, options: CallOptions = {}): Promise<boolean> {
    const request: BosRequest = {
      method: 'GET',
      key,
      params: { uploadId, maxParts: '1' },
      ...options,
    }
    try {
      const { parts } = await this.#calls.read(request, answer =>
        readPartsPage(refuseErrorInOk(answer).body),
      )
      return parts.length === 0
    } catch (error) {
      if (isCode(error, 'NoSuchUpload', 'NoSuchKey')) return false
      throw error
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
}

function partParams({ uploadId, partNumber }: PartName): Record<string, string> {
  return { partNumber: String(partNumber), uploadId }
}

/** A marker that does not move would page forever. */
function advanced<T>(before: T | undefined, next: T | undefined): T | undefined {
  if (next === undefined || next !== before) return next
  throw new BosError('the listing does not advance', { kind: 'integrity' })
}
