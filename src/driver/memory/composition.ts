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
import { ClosedError, DriverError, IntegrityError, NotFoundError } from '../errors.js'
import { md5 } from './store.js'

export interface MemoryUpload extends UploadInfo {
  readonly parts: Map<number, { readonly content: Buffer; readonly etag: string }>
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
  readonly #metadata: Metadata | undefined
  #ended = false

  constructor(host: CompositionHost, path: string, options: ComposeOptions = {}) {
    this.path = path
    this.#metadata = options.metadata
    this.#host = host
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
    const ordered = parts.toSorted((a, b) => a.partNumber - b.partNumber)
    if (ordered.length === 0) throw this.#error('a composition needs at least one part')
    const { minPartSize } = this.#host.partLimits
    const contents: Buffer[] = []
    for (const [index, part] of ordered.entries()) {
      const stored = upload.parts.get(part.partNumber)
      if (stored?.etag !== part.etag) {
        const message = `part ${part.partNumber} of ${this.path} is not the one that was uploaded`
        throw new IntegrityError(message, { driver: this.#host.name, path: this.path })
      }
      if (index < ordered.length - 1 && stored.content.length < minPartSize) {
        throw this.#error(`part ${part.partNumber} of ${this.path} is smaller than ${minPartSize}`)
      }
      contents.push(stored.content)
    }
    const content = Buffer.concat(contents)
    const etag =
      ordered.length === 1 ? md5(content) : `-${md5(ordered.map(part => part.etag).join(''))}`
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
    const { maxParts, maxPartSize } = this.#host.partLimits
    if (!Number.isInteger(partNumber) || partNumber < 1 || partNumber > maxParts) {
      throw this.#error(`part number ${partNumber} is not between 1 and ${maxParts}`)
    }
    if (content.length > maxPartSize) throw this.#error(`a part is larger than ${maxPartSize}`)
    const etag = md5(content)
    upload.parts.set(partNumber, { content, etag })
    return { partNumber, etag, size: content.length }
  }

  #upload(): MemoryUpload {
    const options = { driver: this.#host.name, path: this.path }
    if (this.#ended) throw new ClosedError(`composition of ${this.path} has ended`, options)
    const upload = this.#host.uploads.get(this.uploadId)
    if (upload === undefined) throw new NotFoundError(`upload of ${this.path} is gone`, options)
    return upload
  }

  #error(message: string): DriverError {
    return new DriverError(message, { driver: this.#host.name, path: this.path })
  }
}
