/**
 * The storage driver in memory: the reference implementation of the contract, and what everything
 * above the driver is tested on. It behaves as the BOS driver does where that can be seen: keys,
 * markers, listing order, part limits and etags are BOS's. It promises no speed for huge trees.
 */
import { Readable } from 'node:stream'
import { systemClock, type Clock } from '../../util/clock.js'
import { GiB, MiB, type Bytes } from '../../util/units.js'
import type {
  AbortUploadOptions,
  ComposeOptions,
  Composition,
  CopyOptions,
  ContentReader,
  DeleteFailure,
  DriverCapabilities,
  DeleteOptions,
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
  WriteConditions,
  WriteOptions,
  WriteResult,
  WriterOptions,
} from '../driver.js'
import {
  ClosedError,
  ConflictError,
  DriverError,
  InvalidOffsetError,
  PathNotFoundError,
  PreconditionError,
} from '../errors.js'
import { metadataSize } from '../metadata.js'
import { contentEtag } from '../etag.js'
import { isBelow, isReserved, pathChecks, withoutSlash } from '../path.js'
import { walk } from '../walk.js'
import { MemoryComposition, type MemoryUpload } from './composition.js'
import { ObjectMap, type StoredObject } from './store.js'
import { keyOf, prefixOf, Tree, type PageOptions } from './tree.js'
import { MemoryWriter, type WriterHost, type WriterSession } from './writer.js'

export interface MemoryDriverOptions {
  /** Default `memory`. */
  name?: string
  /** Entries per page of `entries`; default 1000. */
  pageSize?: number
  /** Default 10 MiB. */
  partSize?: Bytes
  /** Default 5 MiB, the part that BOS takes everywhere. */
  minPartSize?: Bytes
  clock?: Pick<Clock, 'now'>
  /** Listings tell metadata when they are asked to, which not every BOS does; default false. */
  listsMetadata?: boolean
}

const EMPTY = Buffer.alloc(0)
/** As BOS has it. */
const METADATA_LIMIT: Bytes = 2048

class MemoryDriver implements StorageDriver {
  readonly name: string
  readonly capabilities: DriverCapabilities = {
    conditionalWrites: true,
    serverSideCopy: true,
    redirects: false,
    listsSubtrees: true,
    realDirectories: false,
    metadataLimit: METADATA_LIMIT,
  }
  readonly partLimits: PartLimits
  readonly #pageSize: number
  readonly #listsMetadata: boolean
  readonly #clock: Pick<Clock, 'now'>
  readonly #objects = new ObjectMap()
  readonly #tree = new Tree(this.#objects)
  readonly #host: WriterHost
  readonly #checks: ReturnType<typeof pathChecks>
  #closed = false

  constructor(options: MemoryDriverOptions) {
    this.name = options.name ?? 'memory'
    this.#pageSize = options.pageSize ?? 1000
    this.#listsMetadata = options.listsMetadata ?? false
    this.#clock = options.clock ?? systemClock
    this.partLimits = {
      partSize: options.partSize ?? 10 * MiB,
      minPartSize: options.minPartSize ?? 5 * MiB,
      maxPartSize: 5 * GiB,
      maxParts: 10_000,
    }
    this.#checks = pathChecks(this.name)
    this.#host = {
      name: this.name,
      partLimits: this.partLimits,
      uploads: new Map<string, MemoryUpload>(),
      sessions: new Map<string, WriterSession>(),
      now: () => this.#now(),
      readRange: range => {
        const { content, etag } = this.#object(range.path)
        if (etag !== range.etag) throw this.#precondition(range.path, range.etag)
        if (range.offset < 0 || range.offset + range.length > content.length) {
          throw new InvalidOffsetError(range.path, range.offset, { driver: this.name })
        }
        return content.subarray(range.offset, range.offset + range.length)
      },
      publish: (path, content, given, etag) => this.#publish(path, content, given, etag),
    }
  }

  checkPath(path: string): void {
    this.#checks.target(path)
  }

  keyOf(path: string): string {
    return keyOf(path)
  }

  async getContent(path: string, options: DriverOptions = {}): Promise<Buffer> {
    this.#begin(options)
    this.#checks.existing(path)
    return Buffer.from(this.#object(path).content)
  }

  async putContent(
    path: string,
    content: Uint8Array | readonly Uint8Array[],
    options: WriteOptions = {},
  ): Promise<WriteResult> {
    this.#begin(options)
    this.#checks.target(path)
    const bytes = content instanceof Uint8Array ? Buffer.from(content) : Buffer.concat(content)
    return this.#publish(path, bytes, options)
  }

  async reader(path: string, options: ReadOptions = {}): Promise<ContentReader> {
    this.#begin(options)
    this.#checks.existing(path)
    const offset = options.offset ?? 0
    const object = this.#range(path, offset, options.etag)
    const { content, etag, modTime } = object
    const end = Math.min(content.length, offset + (options.length ?? Infinity))
    const bytes = Buffer.from(content.subarray(offset, end))
    const stream = Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false })
    return { stream, size: content.length, etag, modTime }
  }

  async readInto(
    path: string,
    target: Uint8Array | readonly Uint8Array[],
    options: ReadIntoOptions = {},
  ): Promise<ReadIntoResult> {
    this.#begin(options)
    this.#checks.existing(path)
    const offset = options.offset ?? 0
    const { content, etag, metadata } = this.#range(path, offset, options.etag)
    options.accept?.(metadata)
    let position = offset
    for (const piece of target instanceof Uint8Array ? [target] : target) {
      const copied = content.copy(piece, 0, position, position + piece.length)
      position += copied
      if (copied === piece.length) options.filled?.(piece)
    }
    const bytesRead = position - offset
    return { bytesRead, size: content.length, etag }
  }

  async writer(path: string, options: WriterOptions = {}): Promise<FileWriter> {
    this.#begin(options)
    this.#checks.target(path)
    const { sessions } = this.#host
    if (options.append !== true) {
      sessions.delete(path)
      return new MemoryWriter(this.#host, path, EMPTY)
    }
    const content = sessions.get(path)?.content ?? this.#object(path).content
    return new MemoryWriter(this.#host, path, content)
  }

  async compose(path: string, options: ComposeOptions = {}): Promise<Composition> {
    this.#begin(options)
    this.#checks.target(path)
    return new MemoryComposition(this.#host, path, options)
  }

  async stat(path: string, options: StatOptions = {}): Promise<FileInfo> {
    this.#begin(options)
    this.#checks.directory(path)
    const info = this.#tree.info(path, options.expect)
    if (info === undefined) throw new PathNotFoundError(path, { driver: this.name })
    return info
  }

  async list(path: string, options: DriverOptions = {}): Promise<string[]> {
    this.#begin(options)
    this.#checks.directory(path)
    if (this.#tree.info(path, 'directory') === undefined) {
      throw new PathNotFoundError(path, { driver: this.name })
    }
    return this.#tree.children(path).map(entry => entry.path)
  }

  async *entries(path: string, options: EntriesOptions = {}): AsyncIterable<EntriesPage> {
    this.#begin(options)
    if (isReserved(path)) return
    this.#checks.directory(path)
    const pages = this.#pages(options.metadata, options.startAfter)
    for (const entries of this.#tree.childPages(path, pages)) {
      options.signal?.throwIfAborted()
      yield { entries, hidden: 0 }
    }
  }

  async *entriesBelow(path: string, options: EntriesBelowOptions = {}): AsyncIterable<SubtreePage> {
    this.#begin(options)
    if (isReserved(path)) return
    this.#checks.directory(path)
    const pages = this.#pages(options.metadata, options.from)
    for (const page of this.#tree.subtreePages(path, pages)) {
      options.signal?.throwIfAborted()
      yield page
    }
  }

  async makeDirectory(path: string, options: MakeDirectoryOptions = {}): Promise<void> {
    this.#begin(options)
    this.#checks.target(path)
    const key = prefixOf(path)
    const { metadata } = options
    if (metadata === undefined && this.#objects.get(key) !== undefined) return
    const modTime = this.#now()
    this.#objects.set(key, {
      content: EMPTY,
      etag: contentEtag(EMPTY),
      modTime,
      metadata: metadata ?? {},
    })
  }

  async setMetadata(
    path: string,
    metadata: Metadata,
    options: SetMetadataOptions = {},
  ): Promise<WriteResult> {
    this.#begin(options)
    this.#checks.existing(path)
    const { content, etag } = this.#object(path)
    const { ifMatch } = options
    const conditions = ifMatch === undefined ? {} : { ifMatch }
    return this.#publish(path, content, { ...conditions, metadata }, etag)
  }

  async removeDirectoryMarker(path: string, options: DriverOptions = {}): Promise<void> {
    this.#begin(options)
    this.#checks.target(path)
    this.#objects.delete(prefixOf(path))
  }

  async copy(source: string, destination: string, options: CopyOptions = {}): Promise<WriteResult> {
    this.#begin(options)
    this.#checks.existing(source)
    this.#checks.target(destination)
    const { content, etag, metadata } = this.#object(source)
    if (options.etag !== undefined && options.etag !== etag) throw this.#precondition(source)
    return this.#publish(destination, content, { metadata, ...options }, etag)
  }

  async move(
    source: string,
    destination: string,
    options: MoveOptions = {},
  ): Promise<MoveResult | undefined> {
    this.#begin(options)
    this.#checks.existing(source)
    this.#checks.target(destination)
    const from = this.#tree.info(source)
    if (from === undefined) throw new PathNotFoundError(source, { driver: this.name })
    if (source === destination) return undefined
    const to = this.#tree.info(destination)
    if (options.ifNoneMatch === '*' && to !== undefined) throw this.#precondition(destination)
    if (!from.isDir) {
      if (to?.isDir === true) throw this.#conflict(destination, 'is a directory')
      const { content, etag, metadata } = this.#object(source)
      this.#publish(destination, content, { metadata, ...options }, etag)
      this.#objects.delete(keyOf(source))
      options.onMoved?.(content.length)
      return { etag, size: content.length }
    }
    if (isBelow(destination, source)) throw this.#conflict(destination, `lies inside ${source}`)
    this.#checkConditions(destination, options)
    const prefix = prefixOf(source)
    for (const key of this.#objects.keysBelow(prefix)) {
      const object = this.#objects.get(key)
      if (object === undefined) continue
      this.#objects.set(prefixOf(destination) + key.slice(prefix.length), object)
      this.#objects.delete(key)
      options.onMoved?.(object.content.length)
    }
    this.#objects.delete(keyOf(destination))
    return undefined
  }

  async delete(path: string, options: DeleteOptions = {}): Promise<void> {
    this.#begin(options)
    this.#checks.existing(path)
    const keys = this.#objects.keysBelow(prefixOf(path))
    const wasFile = this.#objects.delete(keyOf(path))
    for (const key of keys) this.#objects.delete(key)
    const count = keys.length + (wasFile ? 1 : 0)
    if (count === 0) throw new PathNotFoundError(path, { driver: this.name })
    options.onDeleted?.(count)
  }

  async deleteFile(path: string, options: DriverOptions = {}): Promise<void> {
    this.#begin(options)
    this.#checks.target(path)
    this.#objects.delete(keyOf(path))
  }

  async deleteMany(
    paths: readonly string[],
    options: DriverOptions = {},
  ): Promise<readonly DeleteFailure[]> {
    this.#begin(options)
    for (const path of paths) this.#checks.target(withoutSlash(path))
    for (const path of paths) this.#objects.delete(keyOf(path))
    return []
  }

  async redirectURL(path: string, _options: RedirectOptions): Promise<string | undefined> {
    this.#checks.existing(path)
    return undefined
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
    for (const upload of [...this.#host.uploads.values(), ...this.#host.sessions.values()]) {
      if (upload.path !== path && !isBelow(upload.path, path)) continue
      yield { path: upload.path, uploadId: upload.uploadId, initiated: upload.initiated }
    }
  }

  async abortUpload(upload: UploadInfo, options: AbortUploadOptions = {}): Promise<void> {
    this.#begin(options)
    const { uploads, sessions } = this.#host
    const parts = uploads.get(upload.uploadId)?.parts
    if (options.onlyEmpty === true && (parts === undefined || parts.size > 0)) return
    uploads.delete(upload.uploadId)
    if (sessions.get(upload.path)?.uploadId === upload.uploadId) sessions.delete(upload.path)
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #begin(options: DriverOptions): void {
    options.signal?.throwIfAborted()
    if (this.#closed) throw new ClosedError('already closed', { driver: this.name })
  }

  #pages(metadata: boolean | undefined, from: string | undefined): PageOptions {
    return { pageSize: this.#pageSize, isTold: this.#listsMetadata && metadata === true, from }
  }

  #now(): Date {
    return new Date(this.#clock.now())
  }

  #object(path: string): StoredObject {
    const object = this.#objects.get(keyOf(path))
    if (object === undefined) throw new PathNotFoundError(path, { driver: this.name })
    return object
  }

  #range(path: string, offset: Bytes, etag: string | undefined): StoredObject {
    if (offset < 0) throw new InvalidOffsetError(path, offset, { driver: this.name })
    const object = this.#object(path)
    if (etag !== undefined && etag !== object.etag) throw this.#precondition(path, etag)
    if (offset > object.content.length) {
      throw new InvalidOffsetError(path, offset, { driver: this.name })
    }
    return object
  }

  #publish(
    path: string,
    content: Buffer,
    options: WriteConditions & { readonly metadata?: Metadata },
    etag: string = contentEtag(content),
  ): WriteResult {
    this.#checkConditions(path, options)
    const { metadata = {} } = options
    const size = metadataSize(metadata)
    if (size > METADATA_LIMIT) {
      throw new DriverError(`${size} bytes of metadata`, { driver: this.name, path })
    }
    this.#objects.set(keyOf(path), { content, etag, modTime: this.#now(), metadata })
    return { etag, size: content.length }
  }

  #checkConditions(path: string, { ifMatch, ifNoneMatch }: WriteConditions): void {
    const etag = this.#objects.get(keyOf(path))?.etag
    if (ifNoneMatch === '*' && etag !== undefined) throw this.#precondition(path)
    if (ifMatch !== undefined && etag !== ifMatch) throw this.#precondition(path, ifMatch)
  }

  #precondition(path: string, etag?: string): PreconditionError {
    const message = etag === undefined ? `${path} exists` : `${path} does not hold version ${etag}`
    return new PreconditionError(message, { driver: this.name, path })
  }

  #conflict(path: string, problem: string): ConflictError {
    return new ConflictError(`${path} ${problem}`, { driver: this.name, path })
  }
}

/** Makes an empty store. */
export function createMemoryDriver(options: MemoryDriverOptions = {}): StorageDriver {
  return new MemoryDriver(options)
}
