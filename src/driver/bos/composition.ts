/** A multipart upload as a Composition. */
import type {
  CompleteOptions,
  ComposeOptions,
  Composition,
  CopyRange,
  DriverOptions,
  Metadata,
  Part,
  WriteResult,
} from '../driver.js'
import type { Milliseconds } from '../../util/units.js'
import { ClosedError, DriverError, InvalidOffsetError } from '../errors.js'
import { beginUpload, dropUnanswered, type BegunUpload } from './begin.js'
import { PartRules } from '../part-rules.js'
import { bodyLength } from './http.js'
import { forPath, type BosContext } from './context.js'
import { BosError } from './error.js'
import { setMetadata } from './transfer.js'

export class BosComposition implements Composition {
  readonly path: string
  readonly uploadId: string
  readonly #context: BosContext
  readonly #metadata: Metadata
  readonly #rules: PartRules
  /** When it was begun, if there may be uploads that were begun then without an answer. */
  #lostAt: Milliseconds | undefined
  #ended = false

  constructor(
    context: BosContext,
    path: string,
    { uploadId, lostAt, metadata = {} }: BegunUpload & { readonly metadata: Metadata | undefined },
  ) {
    this.#context = context
    this.#rules = new PartRules({ driver: context.name, path, limits: context.limits })
    this.#metadata = metadata
    this.#lostAt = lostAt
    this.path = path
    this.uploadId = uploadId
  }

  async uploadPart(
    partNumber: number,
    data: readonly Uint8Array[],
    options: DriverOptions = {},
  ): Promise<Part> {
    const size = bodyLength(data)
    this.#rules.check(partNumber, size)
    const { api } = this.#context
    const etag = await this.#run(options, () =>
      api.uploads.uploadPart({ ...this.#name, partNumber }, data, options),
    )
    return { partNumber, etag, size }
  }

  async copyPart(
    partNumber: number,
    source: CopyRange,
    options: DriverOptions = {},
  ): Promise<Part> {
    const { path, etag, offset, length } = source
    this.#rules.check(partNumber, length)
    if (length === 0) throw this.#error('a copied part has at least one byte')
    const { api, keys, name: driver } = this.#context
    const range = { key: keys.file(path), etag, first: offset, last: offset + length - 1 }
    // What fails here is about the source, except for the upload itself.
    const copied = await forPath(this.#context, path, async () => {
      options.signal?.throwIfAborted()
      this.#checkOpen()
      try {
        return await api.uploads.copyPart({ ...this.#name, partNumber }, range, options)
      } catch (error) {
        const isRange = error instanceof BosError && error.code === 'InvalidRange'
        throw isRange ? new InvalidOffsetError(path, offset, { driver, cause: error }) : error
      }
    })
    return { partNumber, etag: copied, size: length }
  }

  async complete(parts: readonly Part[], options: CompleteOptions = {}): Promise<WriteResult> {
    const ordered = this.#rules.ordered(parts)
    const { api, learned } = this.#context
    const size = ordered.reduce((sum, part) => sum + part.size, 0)
    const { metadata: wanted, ...plain } = options
    const metadata = isSame(wanted ?? {}, this.#metadata) ? undefined : wanted
    const sent =
      metadata === undefined || learned.completeKeepsMetadata === false ? {} : { metadata }
    const etag = await this.#run(options, () =>
      api.uploads.complete(this.#name, ordered, { ...plain, ...sent }),
    )
    this.#ended = true
    await this.#dropUnanswered()
    if (metadata === undefined) return { etag, size }
    return await this.#withMetadata({ etag, size }, metadata, options)
  }

  /**
   * Makes sure of metadata that was not known when the upload began. That a completion takes some is
   * in the SDKs and not in the documents, so the first one is looked at; a service that drops it is
   * told by a copy. Whether names that the upload began with and the completion lacks are gone, each
   * object is asked: nothing says so, and it is rare. The content is published already: failing now
   * would say that it is not.
   */
  async #withMetadata(
    version: WriteResult,
    metadata: Metadata,
    { signal }: DriverOptions,
  ): Promise<WriteResult> {
    const { learned, log } = this.#context
    const io = signal === undefined ? {} : { signal }
    try {
      const isLess = Object.keys(this.#metadata).some(name => !Object.hasOwn(metadata, name))
      if (isLess || learned.completeKeepsMetadata === undefined) {
        const { metadata: stored } = await this.#context.api.head(this.#name.key, io)
        if (!isLess) learned.completeKeepsMetadata = isSame(metadata, stored)
        if (isSame(metadata, stored)) return version
      } else if (learned.completeKeepsMetadata) return version
      return await setMetadata(this.#context, this.path, metadata, { ...io, ifMatch: version.etag })
    } catch (error) {
      log.warn({ path: this.path, error }, 'a file was stored with the attributes it began with')
      return version
    }
  }

  async abort(options: DriverOptions = {}): Promise<void> {
    if (this.#ended) return
    const { api } = this.#context
    await this.#run(options, () => api.uploads.abort(this.#name, options))
    this.#ended = true
    await this.#dropUnanswered()
  }

  async #dropUnanswered(): Promise<void> {
    const lostAt = this.#lostAt
    this.#lostAt = undefined
    await dropUnanswered(this.#context, this.#name, lostAt)
  }

  get #name(): { key: string; uploadId: string } {
    return { key: this.#context.keys.file(this.path), uploadId: this.uploadId }
  }

  #run<T>({ signal }: DriverOptions, work: () => Promise<T>): Promise<T> {
    return forPath(this.#context, this.path, () => {
      signal?.throwIfAborted()
      this.#checkOpen()
      return work()
    })
  }

  #checkOpen(): void {
    if (!this.#ended) return
    const options = { driver: this.#context.name, path: this.path }
    throw new ClosedError(`composition of ${this.path} has ended`, options)
  }

  #error(message: string): DriverError {
    return new DriverError(message, { driver: this.#context.name, path: this.path })
  }
}

/** Starts a composition. */
export function startComposition(
  context: BosContext,
  path: string,
  options: ComposeOptions = {},
): Promise<BosComposition> {
  return forPath(context, path, async () => {
    const { keys, config } = context
    const properties = { storageClass: config.storageClass, ...options }
    const begun = await beginUpload(context, keys.file(path), properties)
    return new BosComposition(context, path, { ...begun, metadata: options.metadata })
  })
}

function isSame(a: Metadata, b: Metadata): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every(name => a[name] === b[name])
}
