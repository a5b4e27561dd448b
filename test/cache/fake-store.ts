/**
 * The store as write-back sees it, in memory: every request is recorded, and each can be delayed or
 * made to fail. It checks what BOS checks (conditions, part sizes, etags of copied ranges), so that a
 * wrong request is an error here as well.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { ObjectId } from '../../src/cache/object-id.js'
import type { FileStore } from '../../src/cache/file-store.js'
import type {
  Composition,
  CopyRange,
  Part,
  PartLimits,
  WriteConditions,
  WriteResult,
} from '../../src/driver/driver.js'
import { PathNotFoundError, PreconditionError } from '../../src/driver/errors.js'
import { KiB, MiB } from '../../src/util/units.js'

export const LIMITS: PartLimits = {
  partSize: MiB,
  minPartSize: 100 * KiB,
  maxPartSize: 3 * MiB,
  maxParts: 64,
}

export type Method =
  | 'put'
  | 'copy'
  | 'compose'
  | 'uploadPart'
  | 'copyPart'
  | 'complete'
  | 'abort'
  | 'moveHere'
  | 'stat'
  | 'readBase'

export interface Request {
  readonly method: Method
  /** Bytes sent, copied or read. */
  readonly bytes: number
  readonly part?: number
  /** Ends the request early, as an abort of a transfer does. */
  readonly signal?: AbortSignal | undefined
}

interface Stored {
  readonly content: Buffer
  readonly etag: string
}

/** Objects by path, shared by the files of one test. */
export class FakeBucket {
  readonly objects = new Map<string, Stored>()
  readonly requests: Request[] = []
  /** Compositions neither completed nor aborted. */
  readonly open = new Set<FakeComposition>()
  /** Runs before each request takes effect; what it throws is what the request fails with. */
  before: (request: Request) => void | Promise<void> = () => turn()
  #versions = 0

  count(...methods: Method[]): number {
    return this.requests.filter(({ method }) => methods.includes(method)).length
  }

  /** Bytes that went through this process. */
  get bytesSent(): number {
    return this.requests
      .filter(({ method }) => method === 'put' || method === 'uploadPart')
      .reduce((sum, { bytes }) => sum + bytes, 0)
  }

  async request(request: Request): Promise<void> {
    this.requests.push(request)
    await this.before(request)
    request.signal?.throwIfAborted()
  }

  /** Puts an object there as another host would. */
  seed(path: string, content: Buffer): ObjectId {
    const { etag } = this.publish(path, content)
    return { path, etag, size: content.length }
  }

  publish(path: string, content: Buffer, conditions: WriteConditions = {}): WriteResult {
    const etag = this.objects.get(path)?.etag
    const { ifMatch, ifNoneMatch } = conditions
    if (
      (ifMatch !== undefined && ifMatch !== etag) ||
      (ifNoneMatch === '*' && etag !== undefined)
    ) {
      throw new PreconditionError(`${path} holds ${etag ?? 'nothing'}`)
    }
    this.#versions += 1
    const stored = { content, etag: `v${this.#versions}` }
    this.objects.set(path, stored)
    return { etag: stored.etag, size: content.length }
  }

  range({ path, etag, offset, length }: CopyRange): Buffer {
    const stored = this.objects.get(path)
    if (stored === undefined) throw new PathNotFoundError(path)
    if (stored.etag !== etag) throw new PreconditionError(`${path} is ${stored.etag}, not ${etag}`)
    if (offset + length > stored.content.length) throw new RangeError('a range behind the end')
    return stored.content.subarray(offset, offset + length)
  }
}

export class FakeComposition implements Composition {
  readonly path: string
  readonly uploadId: string
  readonly #bucket: FakeBucket
  readonly #parts = new Map<number, { content: Buffer; etag: string }>()
  #sent = 0

  constructor(bucket: FakeBucket, path: string) {
    this.#bucket = bucket
    this.path = path
    this.uploadId = `upload of ${path}`
    bucket.open.add(this)
  }

  async uploadPart(
    partNumber: number,
    data: readonly Uint8Array[],
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<Part> {
    const bytes = data.reduce((sum, piece) => sum + piece.length, 0)
    await this.#bucket.request({ method: 'uploadPart', bytes, part: partNumber, signal })
    // Read at the end of the transfer: memory that was used again by then is found out.
    return this.#put(partNumber, Buffer.concat(data))
  }

  async copyPart(
    partNumber: number,
    source: CopyRange,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<Part> {
    const { length: bytes } = source
    await this.#bucket.request({ method: 'copyPart', bytes, part: partNumber, signal })
    return this.#put(partNumber, this.#bucket.range(source))
  }

  async complete(
    parts: readonly Part[],
    { signal, ...conditions }: WriteConditions & { signal?: AbortSignal } = {},
  ): Promise<WriteResult> {
    await this.#bucket.request({ method: 'complete', bytes: 0, signal })
    this.#checkOpen()
    const contents = parts.map(({ partNumber, etag }, i) => {
      const part = this.#parts.get(partNumber)
      if (part === undefined || part.etag !== etag) throw new Error(`part ${partNumber} is missing`)
      if (i > 0 && partNumber <= (parts[i - 1]?.partNumber ?? 0)) throw new Error('out of order')
      if (i < parts.length - 1 && part.content.length < LIMITS.minPartSize) {
        throw new Error(`part ${partNumber} is too small`)
      }
      return part.content
    })
    const result = this.#bucket.publish(this.path, Buffer.concat(contents), conditions)
    this.#bucket.open.delete(this)
    return result
  }

  async abort(): Promise<void> {
    await this.#bucket.request({ method: 'abort', bytes: 0 })
    this.#bucket.open.delete(this)
  }

  #put(partNumber: number, content: Buffer): Part {
    this.#checkOpen()
    if (partNumber < 1 || partNumber > LIMITS.maxParts) throw new Error('no such part number')
    if (content.length > LIMITS.maxPartSize) throw new Error('a part is too large')
    this.#sent += 1
    const etag = `part ${partNumber}.${this.#sent}`
    this.#parts.set(partNumber, { content: Buffer.from(content), etag })
    return { partNumber, etag, size: content.length }
  }

  #checkOpen(): void {
    if (!this.#bucket.open.has(this)) throw new Error('the composition has ended')
  }
}

export class FakeFile implements FileStore {
  readonly bucket: FakeBucket
  readonly versions: ObjectId[] = []
  linked = true
  #path: string

  constructor(bucket: FakeBucket, path: string) {
    this.bucket = bucket
    this.#path = path
  }

  /** What is stored under the file's name. */
  get content(): Buffer | undefined {
    return this.bucket.objects.get(this.#path)?.content
  }

  renameTo(path: string): void {
    this.#path = path
  }

  path(): string {
    return this.#path
  }

  isLinked(): boolean {
    return this.linked
  }

  async put(content: readonly Uint8Array[], conditions: WriteConditions): Promise<WriteResult> {
    const bytes = content.reduce((sum, piece) => sum + piece.length, 0)
    const path = this.#path
    await this.bucket.request({ method: 'put', bytes })
    return this.bucket.publish(path, Buffer.concat(content), conditions)
  }

  async copy({ path, etag, size }: ObjectId): Promise<WriteResult> {
    const here = this.#path
    await this.bucket.request({ method: 'copy', bytes: size })
    const content = this.bucket.range({ path, etag, offset: 0, length: size })
    return this.bucket.publish(here, content)
  }

  async compose(): Promise<Composition> {
    const path = this.#path
    await this.bucket.request({ method: 'compose', bytes: 0 })
    return new FakeComposition(this.bucket, path)
  }

  async moveHere(publishedAt: string): Promise<WriteResult> {
    const path = this.#path
    await this.bucket.request({ method: 'moveHere', bytes: 0 })
    const stored = this.bucket.objects.get(publishedAt)
    if (stored === undefined) throw new PathNotFoundError(publishedAt)
    this.bucket.objects.delete(publishedAt)
    // A copy may have another etag.
    return this.bucket.publish(path, stored.content)
  }

  async stat(): Promise<ObjectId | undefined> {
    const path = this.#path
    await this.bucket.request({ method: 'stat', bytes: 0 })
    const stored = this.bucket.objects.get(path)
    return stored && { path, etag: stored.etag, size: stored.content.length }
  }

  async read(object: ObjectId, offset: number, length: number): Promise<readonly Uint8Array[]> {
    await this.bucket.request({ method: 'readBase', bytes: length })
    const bytes = Buffer.from(this.bucket.range({ ...object, offset, length }))
    // Valid until the next turn only, as cached blocks are.
    setImmediate(() => bytes.fill(0xee))
    return [bytes]
  }

  published(version: ObjectId): void {
    this.versions.push(version)
  }
}
