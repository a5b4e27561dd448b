/** Parts put together in memory: the memory driver's compositions. */
import { randomUUID } from 'node:crypto'
import type {
  CompleteOptions,
  ComposeOptions,
  Composition,
  CopyRange,
  DriverOptions,
  Metadata,
  Part,
  PartLimits,
  UploadInfo,
  WriteConditions,
  WriteResult,
} from '../driver.js'
import type { Bytes } from '../../util/units.js'
import { ClosedError, NotFoundError } from '../errors.js'
import { composedEtag, contentEtag } from '../etag.js'
import { PartRules } from '../part-rules.js'

interface MemoryPart {
  readonly content: Buffer
  readonly etag: string
  readonly size: Bytes
}

export interface MemoryUpload extends UploadInfo {
  readonly parts: Map<number, MemoryPart>
}

/** What a composition needs of the driver it belongs to. */
export interface CompositionHost {
  readonly name: string
  readonly partLimits: PartLimits
  /** By upload id. */
  readonly uploads: Map<string, MemoryUpload>
  now(): Date
  readRange(range: CopyRange): Buffer
  publish(
    path: string,
    content: Buffer,
    options: WriteConditions & { readonly metadata?: Metadata },
    etag?: string,
  ): WriteResult
}

export class MemoryComposition implements Composition {
  readonly path: string
  readonly uploadId: string = randomUUID()
  readonly #host: CompositionHost
  readonly #rules: PartRules
  readonly #metadata: Metadata | undefined
  #ended = false

  constructor(host: CompositionHost, path: string, options: ComposeOptions = {}) {
    this.path = path
    this.#metadata = options.metadata
    this.#host = host
    this.#rules = new PartRules({ driver: host.name, path, limits: host.partLimits })
    host.uploads.set(this.uploadId, {
      path,
      uploadId: this.uploadId,
      initiated: host.now(),
      parts: new Map(),
    })
  }

  async uploadPart(
    partNumber: number,
    data: readonly Uint8Array[],
    options: DriverOptions = {},
  ): Promise<Part> {
    options.signal?.throwIfAborted()
    return this.#put(partNumber, Buffer.concat(data))
  }

  async copyPart(
    partNumber: number,
    source: CopyRange,
    options: DriverOptions = {},
  ): Promise<Part> {
    options.signal?.throwIfAborted()
    return this.#put(partNumber, this.#host.readRange(source))
  }

  async complete(parts: readonly Part[], options: CompleteOptions = {}): Promise<WriteResult> {
    options.signal?.throwIfAborted()
    const upload = this.#upload()
    const chosen = this.#rules.chosen(parts, upload.parts)
    const content = Buffer.concat(chosen.map(part => part.content))
    const etag = composedEtag(parts)
    const metadata = options.metadata ?? this.#metadata
    const published = metadata === undefined ? options : { ...options, metadata }
    const result = this.#host.publish(this.path, content, published, etag)
    this.#ended = true
    this.#host.uploads.delete(this.uploadId)
    return result
  }

  async abort(options: DriverOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    this.#ended = true
    this.#host.uploads.delete(this.uploadId)
  }

  #put(partNumber: number, content: Buffer): Part {
    const upload = this.#upload()
    const size = content.length
    this.#rules.check(partNumber, size)
    const etag = contentEtag(content)
    upload.parts.set(partNumber, { content, etag, size })
    return { partNumber, etag, size }
  }

  #upload(): MemoryUpload {
    const options = { driver: this.#host.name, path: this.path }
    if (this.#ended) throw new ClosedError(`composition of ${this.path} has ended`, options)
    const upload = this.#host.uploads.get(this.uploadId)
    if (upload === undefined) throw new NotFoundError(`upload of ${this.path} is gone`, options)
    return upload
  }
}
