/**
 * A composition whose parts collect in a file of the journal. Completed, the file is one more record: no
 * byte is moved again. Ranges of what is pending become parts without a copy.
 *
 * What asks for more than that goes to the store at once, with all that was collected: ranges of files
 * that only the store has, and contents so large that they would fill the journal.
 */
import { randomUUID } from 'node:crypto'
import type {
  CompleteOptions,
  ComposeOptions,
  Composition,
  CopyRange,
  DriverOptions,
  Metadata,
  Part,
  StorageDriver,
  UploadInfo,
  WriteResult,
} from '../driver/driver.js'
import { ClosedError, NotFoundError } from '../driver/errors.js'
import { PartRules } from '../driver/part-rules.js'
import type { Bytes } from '../util/units.js'
import type { ContentFile } from './content-file.js'
import { asQuota } from './errors.js'
import type { Journal } from './journal.js'
import { cutSlices, joinSlices } from './record.js'
import type { Slice } from './record.js'
import type { Uploads } from './uploads.js'

/** What a composition needs of the driver that it belongs to. */
export interface CompositionHost {
  readonly name: string
  readonly journal: Journal
  readonly remote: Pick<StorageDriver, 'partLimits'>
  readonly uploads: Uploads
  /** Unfinished ones by their ids. */
  readonly open: Map<string, JournalComposition>
  /** Records a content that is safe on the disk. */
  publish(path: string, content: Composed, options: CompleteOptions): Promise<WriteResult>
  /** Makes sure that the store has a file, and says what it calls the version. */
  settle(range: CopyRange, options: DriverOptions): Promise<CopyRange>
  /** Runs what replaces a file in the store at once, when nothing older of it is pending. */
  replace(path: string, work: () => Promise<WriteResult>): Promise<WriteResult>
}

export interface Composed {
  readonly slices: readonly Slice[]
  readonly size: Bytes
  readonly metadata: Metadata
  readonly contentType?: string
}

interface LocalPart extends Part {
  readonly slices: readonly Slice[]
}

export class JournalComposition implements Composition {
  readonly path: string
  readonly uploadId = `journal-${randomUUID()}`
  readonly initiated: Date
  readonly #host: CompositionHost
  readonly #options: ComposeOptions
  readonly #rules: PartRules
  readonly #parts = new Map<number, LocalPart>()
  /** What it refers to of contents that others own. */
  readonly #held: Slice[] = []
  #file: Promise<ContentFile> | undefined
  /** Room that was taken, beside what is in the parts of others. */
  #room: Bytes = 0
  #inStore: Promise<Composition> | undefined
  #ended = false
  #aborted = false

  constructor(host: CompositionHost, path: string, options: ComposeOptions) {
    this.path = path
    this.#host = host
    this.#rules = new PartRules({ driver: host.name, path, limits: host.remote.partLimits })
    const { signal: _, ...kept } = options
    this.#options = kept
    this.initiated = new Date(host.journal.clock())
    host.open.set(this.uploadId, this)
  }

  get info(): UploadInfo {
    const { path, uploadId, initiated } = this
    return { path, uploadId, initiated }
  }

  get isEmpty(): boolean {
    return this.#parts.size === 0
  }

  async uploadPart(
    partNumber: number,
    data: readonly Uint8Array[],
    options: DriverOptions = {},
  ): Promise<Part> {
    options.signal?.throwIfAborted()
    this.#checkEnded()
    const { journal } = this.#host
    const size = data.reduce((sum, { length }) => sum + length, 0)
    this.#rules.check(partNumber, size)
    if (this.#inStore === undefined && !journal.room.takes(this.#room + size)) {
      await this.#toStore()
    }
    if (this.#inStore !== undefined) {
      return await (await this.#inStore).uploadPart(partNumber, data, options)
    }
    await journal.room.reserve(size, this.path, options.signal)
    if (this.#ended) journal.room.release(size)
    this.#checkEnded()
    this.#room += size
    try {
      this.#file ??= journal.contents.create()
      const slice = await (await this.#file).append(data)
      return this.#add(partNumber, size === 0 ? [] : [slice])
    } catch (error) {
      if (!this.#ended) {
        this.#room -= size
        journal.room.release(size)
      }
      throw asQuota(error, this.path)
    }
  }

  async copyPart(partNumber: number, range: CopyRange, options: DriverOptions = {}): Promise<Part> {
    options.signal?.throwIfAborted()
    this.#checkEnded()
    this.#rules.check(partNumber, range.length)
    const { journal } = this.#host
    const record = journal.overlay.get(range.path)
    const isPending =
      record?.kind === 'put' &&
      record.etag === range.etag &&
      range.offset + range.length <= record.size
    if (this.#inStore === undefined && isPending) {
      const slices = cutSlices(record.slices, range.offset, range.length)
      journal.contents.hold(slices)
      this.#held.push(...slices)
      return this.#add(partNumber, slices)
    }
    const source = await this.#host.settle(range, options)
    return await (await this.#toStore()).copyPart(partNumber, source, options)
  }

  async complete(parts: readonly Part[], options: CompleteOptions = {}): Promise<WriteResult> {
    options.signal?.throwIfAborted()
    this.#checkEnded()
    if (this.#inStore !== undefined) return await this.#completeInStore(parts, options)
    const slices = joinSlices(this.#rules.chosen(parts, this.#parts).flatMap(part => part.slices))
    const size = slices.reduce((sum, { length }) => sum + length, 0)
    const { contentType } = this.#options
    const metadata = options.metadata ?? this.#options.metadata ?? {}
    const content = { slices, size, metadata, ...(contentType !== undefined && { contentType }) }
    try {
      await (await this.#file)?.sync()
    } catch (error) {
      throw asQuota(error, this.path)
    }
    const result = await this.#host.publish(this.path, content, options)
    await this.#end(slices)
    return result
  }

  async abort(options: DriverOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    if (this.#ended) return
    this.#aborted = true
    await (await this.#inStore?.catch(() => undefined))?.abort(options)
    await this.#end([])
  }

  #add(partNumber: number, slices: readonly Slice[]): Part {
    const size = slices.reduce((sum, { length }) => sum + length, 0)
    const part = { partNumber, etag: randomUUID().replaceAll('-', ''), size }
    // It may have been aborted meanwhile.
    this.#checkEnded()
    this.#parts.set(partNumber, { ...part, slices })
    return part
  }

  /** From now on parts go to the store, those that are here first. */
  #toStore(): Promise<Composition> {
    this.#inStore ??= this.#moveToStore().catch((error: unknown) => {
      this.#inStore = undefined
      throw error
    })
    this.#inStore.catch(() => undefined)
    return this.#inStore
  }

  async #moveToStore(): Promise<Composition> {
    const { uploads, journal } = this.#host
    const composition = await uploads.begin(this.path, this.#options)
    try {
      for (const { partNumber, slices, size } of this.#parts.values()) {
        const bytes = Buffer.allocUnsafeSlow(size)
        await journal.contents.read(slices, 0, [bytes])
        this.#sent.set(partNumber, await composition.uploadPart(partNumber, [bytes]))
      }
    } catch (error) {
      await composition.abort()
      throw error
    }
    return composition
  }

  /** What the store calls the parts that were here first. */
  readonly #sent = new Map<number, Part>()

  async #completeInStore(parts: readonly Part[], options: CompleteOptions): Promise<WriteResult> {
    const composition = await this.#toStore()
    const theirs = parts.map(part => {
      const local = this.#parts.get(part.partNumber)
      const sent = this.#sent.get(part.partNumber)
      return local?.etag === part.etag && sent !== undefined ? sent : part
    })
    const result = await this.#host.replace(this.path, () =>
      composition.complete(theirs, this.#inStoreTerms(options)),
    )
    await this.#end([])
    return result
  }

  #inStoreTerms({ ifMatch, ...options }: CompleteOptions): CompleteOptions {
    if (ifMatch === undefined) return options
    return { ...options, ifMatch: this.#host.journal.aliases.remote(this.path, ifMatch) }
  }

  /** @param kept  what a record refers to now */
  async #end(kept: readonly Slice[]): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    const { journal, open } = this.#host
    open.delete(this.uploadId)
    journal.room.release(this.#room)
    await journal.contents.release(this.#held)
    const file = await this.#file?.catch(() => undefined)
    if (file === undefined) return
    if (kept.some(slice => slice.file === file.name)) await file.close()
    else await file.discard()
  }

  #checkEnded(): void {
    const options = { driver: this.#host.name, path: this.path }
    if (this.#aborted) throw new NotFoundError(`upload of ${this.path} is gone`, options)
    if (this.#ended) throw new ClosedError(`composition of ${this.path} has ended`, options)
  }
}
