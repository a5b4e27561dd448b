/**
 * The storage driver over BOS.
 *
 * Model: see key.ts for names, list.ts for directories, writer.ts and composition.ts for writes,
 * transfer.ts for what is moved inside the store, read.ts for reads. This file only puts them together:
 * it checks paths, turns failures into driver errors, and owns the connections. assemble.ts makes its parts.
 */
import { KiB, type Milliseconds } from '../../util/units.js'
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
  WriteOptions,
  WriteResult,
  WriterOptions,
} from '../driver.js'
import { ClosedError, PathNotFoundError } from '../errors.js'
import type { BosParameters } from '../parameters.js'
import { isBelow, isReserved, pathChecks, type PathChecks, withoutSlash } from '../path.js'
import { subtreeByDirectory, SubtreeMerger } from '../subtree.js'
import { walk } from '../walk.js'
import { dropAbandoned } from './begin.js'
import { assemble, NAME, type BosDriverOptions } from './assemble.js'
import { checkBucket } from './check.js'
import { startComposition } from './composition.js'
import { forPath, pagesBelow, type BosContext } from './context.js'
import { bodyLength } from './http.js'
import { listedDirectory, listedFile, ListingMerger, type MergedPage } from './list.js'
import { makeDirectory } from './make-directory.js'
import { openReader, readContent } from './read.js'
import { readInto } from './read-into.js'
import { dropUpload } from './resume.js'
import { remove, removeFile, removeMany, removeMarker } from './remove.js'
import { copyFile, look, move, setMetadata } from './transfer.js'
import type { Transport } from './transport.js'
import { openWriter } from './writer.js'

export type { BosDriverOptions } from './assemble.js'

/** As in distribution's S3 driver. */
const REDIRECT_EXPIRY: Milliseconds = 20 * 60_000

class BosDriver implements StorageDriver {
  readonly name = NAME
  readonly capabilities: DriverCapabilities
  readonly partLimits: PartLimits
  readonly #context: BosContext
  readonly #transport: Transport
  readonly #checks: PathChecks
  #closed = false

  constructor(context: BosContext, transport: Transport) {
    this.#context = context
    this.#transport = transport
    this.partLimits = context.limits
    this.capabilities = {
      conditionalWrites: true,
      serverSideCopy: true,
      redirects: true,
      // A hierarchical bucket wants a delimiter.
      listsSubtrees: !context.learned.hierarchical,
      realDirectories: context.learned.hierarchical,
      // 2 KB in the documents; some SDKs permit more, which no document promises.
      metadataLimit: 2 * KiB,
    }
    const keyPrefixBytes = Buffer.byteLength(context.keys.rootPrefix)
    this.#checks = pathChecks(NAME, { keyPrefixBytes })
  }

  checkPath(path: string): void {
    this.#checks.target(path)
  }

  keyOf(path: string): string {
    return this.#context.keys.file(path)
  }

  async getContent(path: string, options: DriverOptions = {}): Promise<Buffer> {
    this.#begin(options)
    this.#checks.existing(path)
    return await readContent(this.#context, path, options)
  }

  async putContent(
    path: string,
    content: Uint8Array | readonly Uint8Array[],
    options: WriteOptions = {},
  ): Promise<WriteResult> {
    this.#begin(options)
    this.#checks.target(path)
    const { api, keys, config } = this.#context
    const { storageClass } = config
    const etag = await this.#at(path, () =>
      api.put(keys.file(path), content, { ...options, storageClass }),
    )
    return { etag, size: bodyLength(content) }
  }

  async reader(path: string, options: ReadOptions = {}): Promise<ContentReader> {
    this.#begin(options)
    this.#checks.existing(path)
    return await openReader(this.#context, path, options)
  }

  async readInto(
    path: string,
    target: Uint8Array | readonly Uint8Array[],
    options: ReadIntoOptions = {},
  ): Promise<ReadIntoResult> {
    this.#begin(options)
    this.#checks.existing(path)
    return await readInto(this.#context, path, target, options)
  }

  async writer(path: string, options: WriterOptions = {}): Promise<FileWriter> {
    this.#begin(options)
    this.#checks.target(path)
    return await openWriter(this.#context, path, options)
  }

  async compose(path: string, options: ComposeOptions = {}): Promise<Composition> {
    this.#begin(options)
    this.#checks.target(path)
    return await startComposition(this.#context, path, options)
  }

  async stat(path: string, options: StatOptions = {}): Promise<FileInfo> {
    this.#begin(options)
    this.#checks.directory(path)
    if (path === '/') return { path, size: 0, isDir: true }
    const { file, isDir, marker } = await this.#at(path, () => look(this.#context, path, options))
    if (isDir) {
      const time = marker?.modTime === undefined ? {} : { modTime: marker.modTime }
      const metadata = marker?.metadata === undefined ? {} : { metadata: marker.metadata }
      return { path, size: 0, isDir, ...time, ...metadata }
    }
    if (file === undefined) throw new PathNotFoundError(path, { driver: NAME })
    return { path, isDir, ...file }
  }

  async list(path: string, options: DriverOptions = {}): Promise<string[]> {
    this.#begin(options)
    this.#checks.directory(path)
    const paths: string[] = []
    let exists = path === '/'
    for await (const page of this.#children(path, options)) {
      exists ||= page.exists
      for (const entry of page.entries) paths.push(entry.path)
    }
    // An empty directory of a hierarchical bucket shows nothing of itself.
    if (!exists && this.#context.learned.hierarchical)
      await this.stat(path, { ...options, expect: 'directory' })
    else if (!exists) throw new PathNotFoundError(path, { driver: NAME })
    return paths
  }

  async *entries(path: string, options: EntriesOptions = {}): AsyncIterable<EntriesPage> {
    this.#begin(options)
    if (isReserved(path)) return
    this.#checks.directory(path)
    for await (const { entries, hidden } of this.#children(path, options)) {
      yield { entries, hidden }
    }
  }

  async *entriesBelow(path: string, options: EntriesBelowOptions = {}): AsyncIterable<SubtreePage> {
    this.#begin(options)
    if (isReserved(path)) return
    this.#checks.directory(path)
    if (!this.capabilities.listsSubtrees) {
      yield* subtreeByDirectory(this, path, options)
      return
    }
    const { keys } = this.#context
    const { from, signal, metadata } = options
    const prefix = keys.directory(path)
    const merger = new SubtreeMerger({
      path,
      prefix,
      from,
      toInfo: listedFile,
      toDirectory: listedDirectory,
    })
    // The marker of `from` says nothing about what is in it.
    const startAfter = from === undefined ? undefined : keys.directory(from).slice(prefix.length)
    const io = signal === undefined ? {} : { signal }
    const pages = pagesBelow(this.#context, prefix, { ...io, startAfter, metadata })
    for (;;) {
      const next = await this.#at(path, () => pages.next())
      if (next.done === true) return
      yield merger.add(next.value.objects, !next.value.truncated)
    }
  }

  async makeDirectory(path: string, options: MakeDirectoryOptions = {}): Promise<void> {
    this.#begin(options)
    this.#checks.target(path)
    await makeDirectory(this.#context, path, options)
  }

  async removeDirectoryMarker(path: string, options: DriverOptions = {}): Promise<void> {
    this.#begin(options)
    this.#checks.target(path)
    await this.#at(path, () => removeMarker(this.#context, path, options))
  }

  async setMetadata(
    path: string,
    metadata: Metadata,
    options: SetMetadataOptions = {},
  ): Promise<WriteResult> {
    this.#begin(options)
    this.#checks.existing(path)
    return await setMetadata(this.#context, path, metadata, options)
  }

  async copy(source: string, destination: string, options: CopyOptions = {}): Promise<WriteResult> {
    this.#begin(options)
    this.#checks.existing(source)
    this.#checks.target(destination)
    return await copyFile(this.#context, source, destination, options)
  }

  async move(
    source: string,
    destination: string,
    options: MoveOptions = {},
  ): Promise<MoveResult | undefined> {
    this.#begin(options)
    this.#checks.existing(source)
    this.#checks.target(destination)
    return await move(this.#context, source, destination, options)
  }

  async delete(path: string, options: DeleteOptions = {}): Promise<void> {
    this.#begin(options)
    this.#checks.existing(path)
    await remove(this.#context, path, options)
  }

  async deleteFile(path: string, options: DriverOptions = {}): Promise<void> {
    this.#begin(options)
    this.#checks.target(path)
    await this.#at(path, () => removeFile(this.#context, path, options))
  }

  async deleteMany(
    paths: readonly string[],
    options: DriverOptions = {},
  ): Promise<readonly DeleteFailure[]> {
    this.#begin(options)
    for (const path of paths) this.#checks.target(withoutSlash(path))
    return await removeMany(this.#context, paths, options)
  }

  async redirectURL(path: string, options: RedirectOptions): Promise<string | undefined> {
    this.#begin({})
    this.#checks.existing(path)
    const { method, expires = REDIRECT_EXPIRY } = options
    return await this.#transport.presign(method, this.#context.keys.file(path), expires)
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
    const { api, keys, name } = this.#context
    const prefix = path === '/' ? keys.rootPrefix : keys.file(path)
    const uploads = api.uploads.listUploads(prefix, options)
    for (;;) {
      const next = await forPath({ name }, path, () => uploads.next())
      if (next.done === true) return
      const { key, uploadId, initiated } = next.value
      const found = path !== '/' && key === prefix ? path : keys.path(key)
      if (found === undefined || (found !== path && !isBelow(found, path))) continue
      yield { path: found, uploadId, initiated }
    }
  }

  async abortUpload(
    { path, uploadId }: UploadInfo,
    options: AbortUploadOptions = {},
  ): Promise<void> {
    this.#begin(options)
    this.#checks.target(path)
    const { api, keys } = this.#context
    const key = keys.file(path)
    const { onlyEmpty = false, ...io } = options
    if (onlyEmpty && !(await this.#at(path, () => api.uploads.isEmpty({ key, uploadId }, io))))
      return
    await this.#at(path, () => dropUpload(this.#context, { key, uploadId }, io))
  }

  async close(): Promise<void> {
    this.#closed = true
    await dropAbandoned(this.#context)
    await this.#transport.close()
  }

  #begin({ signal }: DriverOptions): void {
    signal?.throwIfAborted()
    if (this.#closed) throw new ClosedError('already closed', { driver: NAME })
  }

  #at<T>(path: string, work: () => Promise<T>): Promise<T> {
    return forPath(this.#context, path, work)
  }

  async *#children(path: string, options: EntriesOptions): AsyncGenerator<MergedPage> {
    const { signal, startAfter, metadata } = options
    const prefix = this.#context.keys.directory(path)
    const merger = new ListingMerger({ path, prefix, startAfter })
    const io = signal === undefined ? {} : { signal }
    const pages = pagesBelow(this.#context, prefix, { ...io, delimiter: '/', startAfter, metadata })
    for (;;) {
      const next = await this.#at(path, () => pages.next())
      if (next.done === true) return
      yield merger.add(next.value)
    }
  }
}

/**
 * Makes a driver without asking the service: whether the bucket is there shows with the first call.
 *
 * @param parameters  from `parseBosParameters`
 * @throws DriverError if the file of authorities cannot be used
 */
export function createBosDriver(
  parameters: BosParameters,
  options: BosDriverOptions = {},
): StorageDriver {
  const { context, transport } = assemble(parameters, options)
  return new BosDriver(context, transport)
}

/**
 * Makes a driver and checks that the bucket can be used.
 *
 * @throws NotFoundError (no such bucket), AccessDeniedError (credentials, region), DriverError
 *         (endpoint unreachable), each saying what to change
 */
export async function openBosDriver(
  parameters: BosParameters,
  options: BosDriverOptions & DriverOptions = {},
): Promise<StorageDriver> {
  const { signal, ...rest } = options
  const { context, transport } = assemble(parameters, rest)
  try {
    await checkBucket(context, parameters, { signal })
  } catch (error) {
    await transport.close()
    throw error
  }
  return new BosDriver(context, transport)
}
