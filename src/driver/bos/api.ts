/**
 * The calls to BOS that the driver makes: typed, retried, and found out about when an answer got lost.
 * Keys are raw keys of one bucket. Rejects with BosError, or with the signal's reason.
 *
 * Uploads carry a CRC-32 that the service verifies; CRC because it costs a third of MD5.
 */
import type { Bytes } from '../../util/units.js'
import {
  Calls,
  COPY_BYTES_PER_MS,
  isCode,
  refuseErrorInOk,
  within,
  type CallOptions,
} from './calls.js'
import { contentEtag } from '../etag.js'
import { Deletions } from './deletions.js'
import {
  readDocumentEtag,
  readEtag,
  readHead,
  readListPage,
  type ListPage,
  type ObjectHead,
} from './documents.js'
import { BosError } from './error.js'
import type { ListQuery } from './list.js'
import type { BodySink, HttpBody, HttpHead } from './exchange.js'
import {
  checksum,
  checkUpload,
  conditionHeaders,
  copyHeaders,
  propertyHeaders,
  type Conditions,
  type CopySource,
  type Headers,
  type ObjectProperties,
} from './headers.js'
import type { HttpResponse, HttpStream } from './http.js'
import { Uploads } from './multipart.js'
import type { ChooseLanding } from './receive/landing.js'
import type { Attempt, RetryPolicy } from './retry.js'
import type { RetryWatcher } from './retry-warnings.js'
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

/** Content type of directory markers. */
export const MARKER_TYPE = 'application/x-directory'

export interface BosApiOptions {
  transport: Transport
  bucket: string
  policy: RetryPolicy
  /** Is told when a request is going to be tried again. */
  onRetry?: RetryWatcher
  /** For every request that makes an object: encryption, access. */
  writeHeaders?: Headers
}

export class BosApi {
  readonly deletions: Deletions
  readonly uploads: Uploads
  readonly #calls: Calls
  readonly #transport: Transport
  readonly #bucket: string
  readonly #writeHeaders: Headers

  constructor(options: BosApiOptions) {
    this.#transport = options.transport
    this.#bucket = options.bucket
    this.#writeHeaders = options.writeHeaders ?? {}
    this.#calls = new Calls(options.transport, options.policy, options.onRetry)
    this.deletions = new Deletions(this.#calls)
    this.uploads = new Uploads(this.#calls, {
      bucket: options.bucket,
      writeHeaders: this.#writeHeaders,
      withParents: (key, io, work) => this.#withParents(key, io, work),
    })
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
    return this.#calls.retry({ method: 'GET', key, signal }, tried => {
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
      'x-bce-content-crc32': crc,
    }
    const request = { method: 'PUT' as const, key, headers, body, signal }
    const target = { conditions: options, expected: () => contentEtag(body) }
    return await this.#withParents(key, options, () =>
      this.#calls.conditional(request, target, async attempt => {
        const response = await this.#transport.request(within(request, attempt))
        return checkUpload(refuseErrorInOk(response), crc)
      }),
    )
  }

  /**
   * @param options.replace  properties of the copy in place of the source's
   * @returns the etag of the copy
   */
  async copy(
    source: CopySource & { readonly size: Bytes },
    key: string,
    { replace, ...options }: CallOptions & { replace?: ObjectProperties | undefined } = {},
  ): Promise<string> {
    const request: BosRequest = {
      method: 'PUT',
      key,
      headers: {
        ...this.#writeHeaders,
        ...copyHeaders(this.#bucket, source),
        ...(replace === undefined ? {} : propertyHeaders(replace)),
        'x-bce-metadata-directive': replace === undefined ? 'copy' : 'replace',
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
    const isThere = async (): Promise<boolean> => (await this.find(to, options)) !== undefined
    const rename = async (attempt: Attempt): Promise<void> => {
      // After a lost answer the source may have its new name, and be another object by now.
      if (attempt.ambiguous && (await isThere())) return
      try {
        refuseErrorInOk(await this.#transport.request(within(request, attempt)))
      } catch (error) {
        // What was not answered may have been done only now.
        const mayBeEcho = attempt.ambiguous && isCode(error, 'NoSuchKey')
        if (!mayBeEcho || !(await isThere())) throw error
      }
    }
    return this.#withParents(to, options, () =>
      this.#calls.retry(request, rename, { retryClass: 'other' }),
    )
  }

  async list(
    query: ListQuery & { maxKeys?: number },
    options: CallOptions = {},
  ): Promise<ListPage> {
    const { prefix, delimiter, marker, metadata, maxKeys = 1000 } = query
    const params = {
      prefix,
      maxKeys: String(maxKeys),
      ...(delimiter === undefined ? {} : { delimiter }),
      ...(marker === undefined ? {} : { marker }),
    }
    // Not in BOS's documents; Baidu's own Hadoop connector sends it. Who does not know it ignores it.
    const headers = metadata === true ? { headers: { 'x-bce-list-with-ext-meta': 'true' } } : {}
    const request: BosRequest = { method: 'GET', params, ...headers, ...options }
    return await this.#calls.read(request, answer => readListPage(refuseErrorInOk(answer).body))
  }

  /**
   * Makes one directory of a hierarchical bucket, and those above; no error if it exists.
   *
   * @returns whether it is new; one that exists keeps the metadata that it has
   */
  async makeDirectory(
    key: string,
    options: CallOptions & Pick<ObjectProperties, 'metadata'> = {},
  ): Promise<boolean> {
    try {
      await this.put(key, Buffer.alloc(0), { ...options, contentType: MARKER_TYPE })
      return true
    } catch (error) {
      if (!isCode(error, 'NamespaceDirAlreadyExists')) throw error
      return false
    }
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
}

/** A directory of a hierarchical bucket is found without its slash too; as a file it is not there. */
function refuseDirectory(key: string, headers: Readonly<Record<string, string>>): void {
  if (headers['x-bce-object-type'] !== 'Directory' || key.endsWith('/')) return
  throw new BosError(`${key} is a directory`, { kind: 'response', status: 404, code: 'NoSuchKey' })
}
