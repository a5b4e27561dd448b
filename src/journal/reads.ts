/** Reading through the journal: what is pending as if it were stored, anything else from the store. */
import { Readable } from 'node:stream'
import type {
  ContentReader,
  DriverOptions,
  EntriesBelowOptions,
  EntriesOptions,
  EntriesPage,
  FileInfo,
  ReadIntoOptions,
  ReadIntoResult,
  ReadOptions,
  StatOptions,
  StorageDriver,
  SubtreePage,
} from '../driver/driver.js'
import { PathNotFoundError } from '../driver/errors.js'
import { isReserved, isUnlinked } from '../driver/path.js'
import { checkRead } from '../driver/read-check.js'
import { MiB, type Bytes } from '../util/units.js'
import type { Journal } from './journal.js'
import { DirectoryListing, mergeEntries, mergeSubtree } from './listing.js'
import { infoOf, markerKey } from './record.js'
import type { PutRecord } from './record.js'
import type { Uploader } from './uploader.js'

export interface ReadsOptions {
  readonly journal: Journal
  readonly remote: StorageDriver
  readonly uploader: Uploader
}

/** Of a stream, at once. */
const CHUNK: Bytes = MiB

export class Reads {
  readonly #journal: Journal
  readonly #remote: StorageDriver
  readonly #uploader: Uploader

  constructor({ journal, remote, uploader }: ReadsOptions) {
    this.#journal = journal
    this.#remote = remote
    this.#uploader = uploader
  }

  async getContent(path: string, options: DriverOptions): Promise<Buffer> {
    const record = this.#pending(path)
    if (record === undefined) return await this.#remote.getContent(path, options)
    return await this.#content(record, 0, record.size)
  }

  async reader(path: string, options: ReadOptions): Promise<ContentReader> {
    const record = this.#pending(path)
    const { aliases } = this.#journal
    if (record === undefined) {
      const opened = await this.#remote.reader(path, this.#versioned(path, options))
      const alias = aliases.get(path)
      if (alias?.remote !== opened.etag) return opened
      const { local, modTime } = alias
      return { ...opened, etag: local, ...(modTime && { modTime: new Date(modTime) }) }
    }
    const { offset = 0, length = Infinity } = options
    checkRead(
      this.#remote.name,
      { path, size: record.size, etag: record.etag },
      { offset, etag: options.etag },
    )
    const { size, etag, modTime } = record
    const end = Math.min(size, offset + length)
    // Held until the stream has ended, however that comes about.
    this.#journal.contents.hold(record.slices)
    const stream = Readable.from(this.#chunks(record, offset, end), { objectMode: false })
    stream.once('close', () => void this.#journal.contents.release(record.slices))
    return { stream, size, etag, modTime: new Date(modTime) }
  }

  async readInto(
    path: string,
    target: Uint8Array | readonly Uint8Array[],
    options: ReadIntoOptions,
  ): Promise<ReadIntoResult> {
    const record = this.#pending(path)
    if (record === undefined) {
      const result = await this.#remote.readInto(path, target, this.#versioned(path, options))
      return { ...result, etag: this.#journal.aliases.local(path, result.etag) }
    }
    const { offset = 0, etag, accept, filled } = options
    checkRead(this.#remote.name, { path, size: record.size, etag: record.etag }, { offset, etag })
    accept?.(record.metadata ?? {})
    const { contents } = this.#journal
    let at = offset
    contents.hold(record.slices)
    try {
      for (const piece of target instanceof Uint8Array ? [target] : target) {
        const length = Math.min(piece.length, record.size - at)
        await contents.read(record.slices, at, [piece.subarray(0, length)])
        at += length
        if (length === piece.length) filled?.(piece)
      }
    } finally {
      void contents.release(record.slices)
    }
    return { bytesRead: at - offset, size: record.size, etag: record.etag }
  }

  async stat(path: string, options: StatOptions): Promise<FileInfo> {
    const { overlay } = this.#journal
    const { expect, ...io } = options
    if (path === '/' || (isReserved(path) && !isUnlinked(path))) {
      return await this.#remote.stat(path, options)
    }
    if (expect === 'marker') return await this.#statMarker(path, options)
    if (expect !== 'file') {
      if (overlay.isDirectory(path)) return this.#directoryInfo(path)
      if (overlay.hides(path)) await this.#uploader.drain({ below: [path] }, options.signal)
      if (expect === 'directory') return await this.#remote.stat(path, options)
    }
    const record = overlay.get(path)
    if (record === undefined) {
      return this.#journal.aliases.info(await this.#remote.stat(path, options))
    }
    const mayBeDirectory = expect === undefined && record.base.is !== 'absent'
    const directory = mayBeDirectory ? await this.#statDirectory(path, io) : undefined
    if (directory !== undefined) return directory
    if (record.kind === 'put') return infoOf(record)
    throw this.#notFound(path)
  }

  async list(path: string, options: DriverOptions): Promise<string[]> {
    if (!this.#journal.overlay.concerns(path)) return await this.#remote.list(path, options)
    if (path !== '/') await this.stat(path, { ...options, expect: 'directory' })
    const paths: string[] = []
    for await (const page of this.entries(path, options)) {
      paths.push(...page.entries.map(entry => entry.path))
    }
    return paths
  }

  async *entries(path: string, options: EntriesOptions): AsyncGenerator<EntriesPage> {
    const { overlay, aliases } = this.#journal
    const tellsMetadata = options.metadata === true
    await this.#settleHollow(path, false, options.signal)
    const watch = this.#journal.watch()
    try {
      const state = { overlay, aliases, watch, tellsMetadata }
      const listing = new DirectoryListing(state, path, options.startAfter)
      yield* mergeEntries(this.#remote.entries(path, options), listing)
    } finally {
      watch.end()
    }
  }

  async *entriesBelow(path: string, options: EntriesBelowOptions): AsyncGenerator<SubtreePage> {
    const { overlay, aliases } = this.#journal
    const tellsMetadata = options.metadata === true
    await this.#settleHollow(path, true, options.signal)
    const watch = this.#journal.watch()
    try {
      const pages = this.#remote.entriesBelow(path, options)
      const state = { overlay, aliases, watch, tellsMetadata }
      yield* mergeSubtree(pages, state, { path, from: options.from })
    } finally {
      watch.end()
    }
  }

  /** Whether such directories still exist, only the store can tell, when it has all deletes. */
  async #settleHollow(path: string, deep: boolean, signal?: AbortSignal): Promise<void> {
    const hollow = this.#journal.overlay.hollow(path, deep)
    if (hollow.length > 0) await this.#uploader.drain({ below: hollow }, signal)
  }

  /** The pending file, or undefined if nothing is pending. @throws PathNotFoundError if it was deleted */
  #pending(path: string): PutRecord | undefined {
    const record = this.#journal.overlay.get(path)
    if (record?.kind === 'delete') throw this.#notFound(path)
    return record
  }

  #versioned<T extends { etag?: string }>(path: string, options: T): T {
    const { etag } = options
    if (etag === undefined) return options
    return { ...options, etag: this.#journal.aliases.remote(path, etag) }
  }

  async #statMarker(path: string, options: StatOptions): Promise<FileInfo> {
    const record = this.#journal.overlay.get(markerKey(path))
    if (record?.kind === 'delete') throw this.#notFound(path)
    if (record !== undefined && (record.metadata !== undefined || record.base.is === 'absent')) {
      return { metadata: {}, ...infoOf(record) }
    }
    try {
      return await this.#remote.stat(path, options)
    } catch (error) {
      if (record === undefined || !(error instanceof PathNotFoundError)) throw error
      return { metadata: {}, ...infoOf(record) }
    }
  }

  async #statDirectory(path: string, io: DriverOptions): Promise<FileInfo | undefined> {
    try {
      return await this.#remote.stat(path, { ...io, expect: 'directory' })
    } catch (error) {
      if (error instanceof PathNotFoundError) return undefined
      throw error
    }
  }

  #directoryInfo(path: string): FileInfo {
    return this.#journal.info(markerKey(path)) ?? { path, size: 0, isDir: true }
  }

  async *#chunks(record: PutRecord, offset: Bytes, end: Bytes): AsyncGenerator<Buffer> {
    for (let at = offset; at < end; at += CHUNK) {
      yield await this.#content(record, at, Math.min(CHUNK, end - at))
    }
  }

  async #content(record: PutRecord, offset: Bytes, length: Bytes): Promise<Buffer> {
    const { contents } = this.#journal
    const bytes = Buffer.allocUnsafeSlow(length)
    contents.hold(record.slices)
    try {
      await contents.read(record.slices, offset, [bytes])
    } finally {
      void contents.release(record.slices)
    }
    return bytes
  }

  #notFound(path: string): PathNotFoundError {
    return new PathNotFoundError(path, { driver: this.#remote.name })
  }
}
