/**
 * A storage driver whose changes are safe in a local journal when they resolve, and get to the store later:
 * a decorator of another driver, which is the store.
 *
 * Reads see the journal over the store (reads.ts), changes of single files become records (changes.ts). What
 * cannot be said by them goes to the store at once, after all that is pending of the paths concerned: moves
 * of directories, copies and moves of files that only the store has, writers. So changes of one path take
 * effect in the order in which they were made.
 */
import type {
  AbortUploadOptions,
  ComposeOptions,
  Composition,
  ContentReader,
  CopyOptions,
  CopyRange,
  DeleteFailure,
  DriverCapabilities,
  DriverOptions,
  EntriesBelowOptions,
  EntriesOptions,
  EntriesPage,
  FileInfo,
  FileWriter,
  MakeDirectoryOptions,
  Metadata,
  MoveOptions,
  MoveResult,
  PartLimits,
  ReadIntoOptions,
  ReadIntoResult,
  ReadOptions,
  RedirectOptions,
  SetMetadataOptions,
  StatOptions,
  StorageDriver,
  SubtreePage,
  UploadInfo,
  WalkDirective,
  WalkOptions,
  WriteOptions,
  WriteResult,
  WriterOptions,
} from '../driver/driver.js'
import { ClosedError } from '../driver/errors.js'
import { isBelow, isReserved, pathChecks, withoutSlash } from '../driver/path.js'
import { walk } from '../driver/walk.js'
import type { Logger } from '../util/log.js'
import type { Milliseconds } from '../util/units.js'
import { Changes, TO_STORE } from './changes.js'
import { JournalComposition } from './composition.js'
import type { CompositionHost } from './composition.js'
import { Journal } from './journal.js'
import type { JournalOptions } from './journal.js'
import { Reads } from './reads.js'
import { markerKey } from './record.js'
import { Through } from './through.js'
import { Uploader } from './uploader.js'
import { Uploads } from './uploads.js'

export interface JournaledDriverOptions extends JournalOptions {
  /** From the first change of a file until it is sent to the store. */
  readonly delay: Milliseconds
  /** Who is asked whether a file that must not exist does; default `store`. */
  readonly exclusive?: 'store' | 'journal'
  /** Of this machine, in names of conflicts; default the host's name. */
  readonly host?: string
  /** Until an upload that was left is looked for the second time; default 1 s. */
  readonly pace?: Milliseconds
  readonly log: Logger
}

/** What is pending, for people and for metrics. */
export interface JournalGauges {
  readonly journalFiles: number
  readonly journalBytes: number
  /** Seconds since the oldest change that the store does not have. */
  readonly journalOldestSeconds: number
  readonly journalUploadsTotal: number
  readonly journalFailuresTotal: number
  readonly journalConflictsTotal: number
}

export class JournaledDriver implements StorageDriver {
  readonly name: string
  readonly capabilities: DriverCapabilities
  readonly partLimits: PartLimits
  readonly #remote: StorageDriver
  readonly #journal: Journal
  readonly #uploader: Uploader
  readonly #uploads: Uploads
  readonly #reads: Reads
  readonly #changes: Changes
  readonly #through: Through
  readonly #compositions = new Map<string, JournalComposition>()
  readonly #host: CompositionHost
  readonly #checks: ReturnType<typeof pathChecks>
  #closing: Promise<void> | undefined

  private constructor(remote: StorageDriver, journal: Journal, options: JournaledDriverOptions) {
    const { delay, exclusive = 'store', host, pace, log } = options
    this.name = remote.name
    this.capabilities = remote.capabilities
    this.partLimits = remote.partLimits
    this.#remote = remote
    this.#journal = journal
    const hosted = host === undefined ? {} : { host }
    this.#uploads = new Uploads({ journal, remote, log, ...(pace !== undefined && { pace }) })
    const uploader = new Uploader({
      journal,
      remote,
      uploads: this.#uploads,
      delay,
      log,
      ...hosted,
    })
    this.#uploader = uploader
    this.#reads = new Reads({ journal, remote, uploader })
    this.#changes = new Changes({ journal, remote, exclusive })
    this.#through = new Through({ journal, remote, uploader })
    this.#checks = pathChecks(this.name)
    this.#host = {
      name: this.name,
      journal,
      remote,
      uploads: this.#uploads,
      open: this.#compositions,
      publish: (...request) => this.#changes.publish(...request),
      settle: async (range: CopyRange, { signal }: DriverOptions) => {
        await uploader.drain({ keys: [range.path] }, signal)
        return { ...range, etag: journal.aliases.remote(range.path, range.etag) }
      },
      replace: (path, work) => this.#through.replace(path, work),
    }
  }

  /**
   * Opens the journal over a store, and begins to send what is in it.
   *
   * @throws JournalError that says what to do
   */
  static async open(
    remote: StorageDriver,
    options: JournaledDriverOptions,
  ): Promise<JournaledDriver> {
    return new JournaledDriver(remote, await Journal.open(options), options)
  }

  /** Changes that an earlier process had left. */
  get recovered(): number {
    return this.#journal.recovered
  }

  /** Writers wait for room. */
  get isFull(): boolean {
    return this.#journal.room.waiting > 0
  }

  get gauges(): JournalGauges {
    const { overlay, room, clock } = this.#journal
    const { uploaded, failures, conflicts } = this.#uploader.totals
    const [oldest] = overlay.entries()
    const age = oldest === undefined ? 0 : clock() - oldest.record.since
    return {
      journalFiles: overlay.size,
      journalBytes: room.used,
      journalOldestSeconds: Math.max(0, Math.round(age / 1000)),
      journalUploadsTotal: uploaded,
      journalFailuresTotal: failures,
      journalConflictsTotal: conflicts,
    }
  }

  /** Resolves when the store has all that is pending now. @throws PendingError that says what is left */
  async drain(signal?: AbortSignal): Promise<void> {
    await this.#uploader.drainAll(signal)
  }

  /** Waits for unfinished uploads that an earlier process may have left to be aborted. Never rejects. */
  async dropLeftUploads(signal?: AbortSignal): Promise<void> {
    await this.#uploads.left.settled(signal)
  }

  checkPath(path: string): void {
    this.#remote.checkPath(path)
  }

  keyOf(path: string): string {
    return this.#remote.keyOf(path)
  }

  async getContent(path: string, options: DriverOptions = {}): Promise<Buffer> {
    this.#begin(options)
    this.#checks.existing(path)
    return await this.#reads.getContent(path, options)
  }

  async putContent(
    path: string,
    content: Uint8Array | readonly Uint8Array[],
    options: WriteOptions = {},
  ): Promise<WriteResult> {
    this.#begin(options)
    this.checkPath(path)
    const pieces = content instanceof Uint8Array ? [content] : content
    const result = await this.#changes.put(path, pieces, options)
    return result === TO_STORE ? await this.#through.put(path, pieces, options) : result
  }

  async reader(path: string, options: ReadOptions = {}): Promise<ContentReader> {
    this.#begin(options)
    this.#checks.existing(path)
    return await this.#reads.reader(path, options)
  }

  async readInto(
    path: string,
    target: Uint8Array | readonly Uint8Array[],
    options: ReadIntoOptions = {},
  ): Promise<ReadIntoResult> {
    this.#begin(options)
    this.#checks.existing(path)
    return await this.#reads.readInto(path, target, options)
  }

  async writer(path: string, options: WriterOptions = {}): Promise<FileWriter> {
    this.#begin(options)
    this.checkPath(path)
    return await this.#through.writer(path, options)
  }

  async compose(path: string, options: ComposeOptions = {}): Promise<Composition> {
    this.#begin(options)
    this.checkPath(path)
    return new JournalComposition(this.#host, path, options)
  }

  async stat(path: string, options: StatOptions = {}): Promise<FileInfo> {
    this.#begin(options)
    this.#checks.directory(path)
    return await this.#reads.stat(path, options)
  }

  async list(path: string, options: DriverOptions = {}): Promise<string[]> {
    this.#begin(options)
    this.#checks.directory(path)
    return await this.#reads.list(path, options)
  }

  async *entries(path: string, options: EntriesOptions = {}): AsyncIterable<EntriesPage> {
    this.#begin(options)
    if (isReserved(path)) return
    this.#checks.directory(path)
    yield* this.#reads.entries(path, options)
  }

  async *entriesBelow(path: string, options: EntriesBelowOptions = {}): AsyncIterable<SubtreePage> {
    this.#begin(options)
    if (isReserved(path)) return
    this.#checks.directory(path)
    yield* this.#reads.entriesBelow(path, options)
  }

  async makeDirectory(path: string, options: MakeDirectoryOptions = {}): Promise<void> {
    this.#begin(options)
    this.checkPath(path)
    await this.#changes.makeDirectory(path, options)
  }

  async removeDirectoryMarker(path: string, options: DriverOptions = {}): Promise<void> {
    this.#begin(options)
    this.checkPath(path)
    await this.#changes.remove([markerKey(path)])
  }

  async setMetadata(
    path: string,
    metadata: Metadata,
    options: SetMetadataOptions = {},
  ): Promise<WriteResult> {
    this.#begin(options)
    this.#checks.existing(path)
    const result = await this.#changes.setMetadata(path, metadata, options)
    return result === TO_STORE ? this.#through.setMetadata(path, metadata, options) : result
  }

  async copy(source: string, destination: string, options: CopyOptions = {}): Promise<WriteResult> {
    this.#begin(options)
    this.#checks.existing(source)
    this.checkPath(destination)
    const result = await this.#changes.copy(source, destination, options)
    return result === TO_STORE ? this.#through.copy(source, destination, options) : result
  }

  async move(
    source: string,
    destination: string,
    options: MoveOptions = {},
  ): Promise<MoveResult | undefined> {
    this.#begin(options)
    this.#checks.existing(source)
    this.checkPath(destination)
    if (source === destination) {
      await this.stat(source, options.signal === undefined ? {} : { signal: options.signal })
      return undefined
    }
    const result = await this.#changes.move(source, destination, options)
    return result === TO_STORE ? await this.#through.move(source, destination, options) : result
  }

  async delete(path: string, options: DriverOptions = {}): Promise<void> {
    this.#begin(options)
    this.#checks.existing(path)
    await this.#through.delete(path, options)
  }

  async deleteFile(path: string, options: DriverOptions = {}): Promise<void> {
    this.#begin(options)
    this.checkPath(path)
    await this.#changes.remove([path])
  }

  async deleteMany(
    paths: readonly string[],
    options: DriverOptions = {},
  ): Promise<readonly DeleteFailure[]> {
    this.#begin(options)
    for (const path of paths) this.checkPath(withoutSlash(path))
    await this.#changes.remove(paths)
    return []
  }

  async redirectURL(path: string, options: RedirectOptions): Promise<string | undefined> {
    this.#checks.existing(path)
    await this.#uploader.drain({ keys: [path] })
    return await this.#remote.redirectURL(path, options)
  }

  async walk(
    path: string,
    visit: (info: FileInfo) => WalkDirective | Promise<WalkDirective>,
    options: WalkOptions = {},
  ): Promise<void> {
    await walk(this, path, visit, options)
  }

  async *uploads(path: string, options: DriverOptions = {}): AsyncIterable<UploadInfo> {
    this.#begin(options)
    this.#checks.directory(path)
    for (const { info } of this.#compositions.values()) {
      if (info.path === path || isBelow(info.path, path)) yield info
    }
    for await (const upload of this.#remote.uploads(path, options)) {
      if (!this.#uploads.owns(upload)) yield upload
    }
  }

  async abortUpload(upload: UploadInfo, options: AbortUploadOptions = {}): Promise<void> {
    this.#begin(options)
    const local = this.#compositions.get(upload.uploadId)
    if (local !== undefined) {
      if (options.onlyEmpty !== true || local.isEmpty) await local.abort(options)
    }
    // One of an earlier process: its parts went when the journal was opened.
    else if (!upload.uploadId.startsWith('journal-'))
      await this.#remote.abortUpload(upload, options)
  }

  /** What is pending stays in the journal. */
  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    for (const composition of this.#compositions.values()) await composition.abort()
    await this.#uploader.close()
    await this.#uploads.left.close()
    await this.#journal.close()
    await this.#remote.close()
  }

  #begin({ signal }: DriverOptions): void {
    signal?.throwIfAborted()
    if (this.#closing !== undefined) throw new ClosedError('already closed', { driver: this.name })
  }
}
