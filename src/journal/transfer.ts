/**
 * Moves the bytes of a record to the store: a small one by one request, a large one in parts, of which few are in
 * memory at once. And compares them with what is there: by etags where these tell, else byte by byte.
 */
import type {
  CompleteOptions,
  FileInfo,
  Part,
  StorageDriver,
  WriteConditions,
  WriteOptions,
  WriteResult,
} from '../driver/driver.js'
import { composedEtag, contentEtag, isComposedEtag, isContentEtag } from '../driver/etag.js'
import { PartLayout } from '../driver/parts.js'
import type { PartRange } from '../driver/parts.js'
import type { Logger } from '../util/log.js'
import { forEachParallel, Semaphore } from '../util/semaphore.js'
import { MiB, type Bytes } from '../util/units.js'
import type { Contents } from './contents.js'
import type { PutRecord } from './record.js'
import type { Uploads } from './uploads.js'

export interface TransferOptions {
  readonly remote: StorageDriver
  readonly contents: Contents
  readonly uploads: Uploads
  readonly log: Logger
}

export interface Sending {
  /** It may be there already. */
  readonly isDoubtful: boolean
  readonly signal: AbortSignal
  /** Must have noted what the store will call the version before it can have it. */
  readonly expect: (etag: string) => Promise<void>
}

/** Parts, and contents of such a size, that are in memory at once. */
const IN_MEMORY = 4
/** Smaller contents do not count. */
const SMALL: Bytes = MiB
/** Bytes compared at once. */
const COMPARED: Bytes = 4 * MiB

export class Transfer {
  readonly #options: TransferOptions
  readonly #layout: PartLayout
  readonly #memory = new Semaphore(IN_MEMORY)

  constructor(options: TransferOptions) {
    this.#options = options
    this.#layout = new PartLayout(options.remote.partLimits)
  }

  /** Puts a record into the store under conditions. @throws whatever the store throws */
  async put(
    record: PutRecord,
    conditions: WriteConditions,
    sending: Sending,
  ): Promise<WriteResult> {
    return this.isSmall(record)
      ? await this.#putWhole(record, conditions, sending)
      : await this.#compose(record, conditions, sending)
  }

  /** It goes by one request. */
  isSmall({ size }: PutRecord): boolean {
    return size <= this.#layout.part(1).size
  }

  /** Whether a version in the store is the content of a record. */
  async isSame(record: PutRecord, info: FileInfo, signal: AbortSignal): Promise<boolean> {
    const { etag, size } = info
    if (size !== record.size || etag === undefined) return false
    if (etag === record.etag) return true
    if (isContentEtag(etag) && isContentEtag(record.etag)) return false
    if (isComposedEtag(etag) && etag === (await this.#composedEtag(record, signal))) return true
    const theirs = Buffer.allocUnsafeSlow(Math.min(COMPARED, size))
    for (let offset = 0; offset < size; offset += COMPARED) {
      const length = Math.min(COMPARED, size - offset)
      const target = theirs.subarray(0, length)
      await this.#options.remote.readInto(record.key, target, { offset, etag, signal })
      if (!(await this.#bytes(record, offset, length)).equals(target)) return false
    }
    return true
  }

  async #putWhole(
    record: PutRecord,
    conditions: WriteConditions,
    { signal, expect }: Sending,
  ): Promise<WriteResult> {
    const { remote } = this.#options
    return await this.#inMemory(record.size, signal, async () => {
      const content = await this.#bytes(record, 0, record.size)
      const options: WriteOptions = { ...conditions, ...headersOf(record), signal }
      if (!isContentEtag(record.etag)) await expect(contentEtag(content))
      return await remote.putContent(record.key, content, options)
    })
  }

  async #compose(
    record: PutRecord,
    conditions: WriteConditions,
    { signal, expect }: Sending,
  ): Promise<WriteResult> {
    const { uploads } = this.#options
    const composition = await uploads.begin(record.key, { ...headersOf(record), signal })
    try {
      const parts: Part[] = []
      const send = async (range: PartRange, signal: AbortSignal): Promise<void> => {
        const length = Math.min(range.size, record.size - range.offset)
        await this.#inMemory(length, signal, async () => {
          const bytes = await this.#bytes(record, range.offset, length)
          parts.push(await composition.uploadPart(range.partNumber, [bytes], { signal }))
        })
      }
      await forEachParallel(this.#ranges(record.size), send, { limit: IN_MEMORY, signal })
      const options: CompleteOptions = { ...conditions, signal }
      await expect(composedEtag(parts))
      return await composition.complete(parts, options)
    } catch (error) {
      await composition.abort().catch((failure: unknown) => {
        this.#options.log.warn({ path: record.key, err: failure }, 'cannot abort an upload')
      })
      throw error
    }
  }

  *#ranges(size: Bytes): Generator<PartRange> {
    for (let number = 1; ; number += 1) {
      const range = this.#layout.part(number)
      if (range.offset >= size) return
      yield range
    }
  }

  async #inMemory<T>(size: Bytes, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (size <= SMALL) return await work()
    const release = await this.#memory.acquire(signal)
    try {
      return await work()
    } finally {
      release()
    }
  }

  async #bytes({ slices }: PutRecord, offset: Bytes, length: Bytes): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(length)
    await this.#options.contents.read(slices, offset, [bytes])
    return bytes
  }

  /** What the store calls it when it was put together of the parts that are sent now. */
  async #composedEtag(record: PutRecord, signal: AbortSignal): Promise<string> {
    const parts: Part[] = []
    for (const { partNumber, offset, size } of this.#ranges(record.size)) {
      signal.throwIfAborted()
      const length = Math.min(size, record.size - offset)
      const etag = contentEtag(await this.#bytes(record, offset, length))
      parts.push({ partNumber, etag, size: length })
    }
    return composedEtag(parts)
  }
}

function headersOf({
  metadata,
  contentType,
}: PutRecord): Pick<WriteOptions, 'metadata' | 'contentType'> {
  return {
    ...(metadata !== undefined && Object.keys(metadata).length > 0 && { metadata }),
    ...(contentType !== undefined && { contentType }),
  }
}
