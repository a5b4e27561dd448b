/**
 * Changes of single files and markers, as records of the journal.
 *
 * A record says what the store is believed to have under its key (`Base`). A file that is known to be new,
 * and is deleted or moved away before anything of it was sent, leaves nothing: neither a put nor a delete.
 */
import { randomUUID } from 'node:crypto'
import type {
  CompleteOptions,
  CopyOptions,
  MakeDirectoryOptions,
  Metadata,
  MoveOptions,
  MoveResult,
  SetMetadataOptions,
  StorageDriver,
  WriteConditions,
  WriteOptions,
  WriteResult,
} from '../driver/driver.js'
import {
  ConflictError,
  DriverError,
  PathNotFoundError,
  PreconditionError,
} from '../driver/errors.js'
import { contentEtag } from '../driver/etag.js'
import { metadataSize } from '../driver/metadata.js'
import { parentPath, withAncestors, withoutSlash } from '../driver/path.js'
import { KiB, type Bytes } from '../util/units.js'
import type { Composed } from './composition.js'
import { asQuota } from './errors.js'
import { OWN } from './frame.js'
import type { DeleteDraft, Draft, Journal, PutDraft } from './journal.js'
import type { Entry } from './overlay.js'
import { ABSENT, ANY, isMarkerKey, markerKey } from './record.js'
import type { Base, PutRecord, Slice } from './record.js'
import { RECORD } from './room.js'

export interface ChangesOptions {
  readonly journal: Journal
  readonly remote: StorageDriver
  /**
   * Who decides which of two hosts has made a file that must not exist: the store, at once, or the journal
   * for this host, and for others the upload.
   */
  readonly exclusive: 'store' | 'journal'
}

/** What only the store can do. */
export const TO_STORE = Symbol('to the store')

/** Contents up to this size lie in the log: one write for all of it. */
const IN_LOG: Bytes = 512 * KiB

export class Changes {
  readonly #journal: Journal
  readonly #remote: StorageDriver
  readonly #exclusive: ChangesOptions['exclusive']

  constructor({ journal, remote, exclusive }: ChangesOptions) {
    this.#journal = journal
    this.#remote = remote
    this.#exclusive = exclusive
  }

  async put(
    path: string,
    content: readonly Uint8Array[],
    options: WriteOptions,
  ): Promise<WriteResult | typeof TO_STORE> {
    const { metadata = {}, contentType, signal, ...conditions } = options
    this.#checkMetadata(path, metadata)
    const { room } = this.#journal
    const size = content.reduce((sum, { length }) => sum + length, 0)
    if (!room.takes(size)) return TO_STORE
    if (this.#mustAskStore(path, conditions)) return TO_STORE
    await room.reserve(size + RECORD, path, signal)
    try {
      const inLog = size <= IN_LOG
      const slices = inLog ? [{ file: OWN, offset: 0, length: size }] : await this.#store(content)
      const type = contentType === undefined ? {} : { contentType }
      const composed = { slices: size === 0 ? [] : slices, size, metadata, ...type }
      // As BOS has it: what is there after an answer got lost is known by it.
      const etag = contentEtag(content)
      const result = await this.#record(path, composed, {
        conditions,
        etag,
        contents: inLog ? content : [],
      })
      return result
    } catch (error) {
      throw asQuota(error, path)
    } finally {
      room.release(size + RECORD)
    }
  }

  /** Records a content that is safe on the disk. */
  async publish(path: string, content: Composed, options: CompleteOptions): Promise<WriteResult> {
    this.#checkMetadata(path, content.metadata)
    const { signal: _, metadata: __, ...conditions } = options
    return await this.#record(path, content, { conditions, etag: newEtag(), contents: [] })
  }

  /** Deletes files and, by paths that end with a slash, markers. */
  async remove(keys: readonly string[]): Promise<void> {
    const { locks, overlay } = this.#journal
    await locks.run(keys, async () => {
      const sets: Draft[] = []
      const removes: Entry[] = []
      const gone = new Set(keys)
      for (const key of gone) {
        const entry = overlay.entry(key)
        if (entry?.record.kind === 'delete') continue
        if (isMarkerKey(key) && this.#staysAsDirectory(key, gone)) continue
        if (entry !== undefined && isUnknownToStore(entry)) removes.push(entry)
        else sets.push(this.#deletion(key, entry))
      }
      if (sets.length > 0 || removes.length > 0) await this.#journal.change({ sets, removes })
    })
  }

  async makeDirectory(path: string, options: MakeDirectoryOptions): Promise<void> {
    const { locks, overlay, clock } = this.#journal
    const { metadata, isFree = false } = options
    if (metadata !== undefined) this.#checkMetadata(path, metadata)
    const key = markerKey(path)
    await locks.run([key], async () => {
      const entry = overlay.entry(key)
      const found = entry?.record
      if (found?.kind === 'put' && metadata === undefined) return
      const free = isFree ? ABSENT : ANY
      // The one that was removed may still be in the store, with metadata of its own.
      const told = metadata ?? (found === undefined ? undefined : {})
      const marker: PutDraft = {
        kind: 'put',
        key,
        since: sinceOf(entry) ?? clock(),
        modTime: clock(),
        changed: clock(),
        base: entry === undefined ? free : this.#journal.nextBase(entry),
        size: 0,
        etag: newEtag(),
        slices: [],
        ...(told !== undefined && { metadata: told }),
      }
      await this.#journal.change({ sets: [marker] })
    })
  }

  /** @returns TO_STORE if the file is not pending, or is on its way */
  async setMetadata(
    path: string,
    metadata: Metadata,
    { ifMatch }: SetMetadataOptions,
  ): Promise<WriteResult | typeof TO_STORE> {
    this.#checkMetadata(path, metadata)
    const { locks, overlay } = this.#journal
    return await locks.run([path], async () => {
      const entry = overlay.entry(path)
      if (entry?.record.kind !== 'put' || entry.sending !== undefined) return TO_STORE
      const { record } = entry
      if (ifMatch !== undefined && ifMatch !== record.etag) throw this.#precondition(path, ifMatch)
      const base = this.#journal.nextBase(entry)
      const { seq: _, ...kept } = record
      const changed = this.#journal.clock()
      const modTime = changed
      await this.#journal.change({ sets: [{ ...kept, metadata, base, modTime, changed }] })
      return { etag: record.etag, size: record.size }
    })
  }

  /** @returns TO_STORE unless a file is moved that is pending, and not on its way */
  async move(
    source: string,
    destination: string,
    options: MoveOptions,
  ): Promise<MoveResult | typeof TO_STORE> {
    const { locks, overlay } = this.#journal
    return await locks.run([source, destination], async () => {
      const entry = overlay.entry(source)
      if (entry?.record.kind !== 'put' || entry.sending !== undefined) return TO_STORE
      if (overlay.isDirectory(source)) return TO_STORE
      const { record } = entry
      const isKnown = options.known !== undefined
      // Whether a directory is there, whose content is being deleted, only the store will know.
      if (!isKnown && (overlay.hides(source) || overlay.hides(destination))) return TO_STORE
      const isFile = isKnown || record.base.is === 'absent'
      if (!isFile && (await this.#inStore(source))?.isDir === true) return TO_STORE
      const { seq: _, ...kept } = record
      const base = await this.#baseOfTarget(destination, record, options)
      const { metadata = record.metadata ?? {} } = options
      this.#checkMetadata(destination, metadata)
      const isGone = isUnknownToStore(entry)
      const changed = this.#journal.clock()
      // As in BOS, where the object at the new name is a new one.
      const times = { changed, modTime: changed }
      const moved: Draft = { ...kept, ...times, key: destination, base, metadata }
      await this.#journal.change({
        sets: isGone ? [moved] : [moved, this.#deletion(source, entry)],
        removes: isGone ? [entry] : [],
      })
      this.#journal.aliases.forget(destination)
      return { etag: record.etag, size: record.size, modTime: new Date(changed) }
    })
  }

  /** @returns TO_STORE if the source is not pending */
  async copy(
    source: string,
    destination: string,
    options: CopyOptions,
  ): Promise<WriteResult | typeof TO_STORE> {
    const { locks, overlay, clock } = this.#journal
    return await locks.run([source, destination], async () => {
      const record = overlay.get(source)
      if (record?.kind !== 'put') return TO_STORE
      const { etag, metadata = record.metadata ?? {}, ...conditions } = options
      if (etag !== undefined && etag !== record.etag) throw this.#precondition(source, etag)
      this.#checkMetadata(destination, metadata)
      const base = await this.#checkConditions(destination, record.etag, conditions)
      const { seq: _, ...kept } = record
      const since = sinceOf(overlay.entry(destination)) ?? clock()
      const times = { since, modTime: clock(), changed: clock() }
      const copied = { ...kept, ...times, key: destination, base, metadata }
      await this.#journal.change({ sets: [copied] })
      return { etag: record.etag, size: record.size }
    })
  }

  async #record(
    path: string,
    content: Composed,
    {
      conditions,
      etag,
      contents,
    }: {
      readonly conditions: WriteConditions
      readonly etag: string
      readonly contents: readonly Uint8Array[]
    },
  ): Promise<WriteResult> {
    const { locks, overlay, clock } = this.#journal
    return await locks.run([path], async () => {
      const base = await this.#checkConditions(path, etag, conditions)
      const modTime = clock()
      const since = sinceOf(overlay.entry(path)) ?? modTime
      const times = { since, modTime, changed: modTime }
      const draft: PutDraft = { kind: 'put', key: path, ...times, base, etag, ...content }
      await this.#journal.change({ sets: [draft], contents })
      return { etag, size: content.size }
    })
  }

  /** A content that is too large for the log, safe on the disk. */
  async #store(content: readonly Uint8Array[]): Promise<readonly Slice[]> {
    const file = await this.#journal.contents.create()
    try {
      const slice = await file.append(content)
      await file.sync()
      await file.close()
      return [slice]
    } catch (error) {
      await file.discard()
      throw error
    }
  }

  /** Whether the store alone can say who was first. */
  #mustAskStore(path: string, { ifNoneMatch }: WriteConditions): boolean {
    if (ifNoneMatch === undefined || this.#exclusive === 'journal') return false
    return this.#journal.overlay.get(path) === undefined
  }

  /**
   * Checks conditions, and says what the store has under the path then.
   *
   * @param etag  of what is to be put there
   */
  async #checkConditions(path: string, etag: string, conditions: WriteConditions): Promise<Base> {
    const { aliases, overlay } = this.#journal
    const { ifMatch, ifNoneMatch, isFree = false, repeated = false } = conditions
    this.#checkKind(path)
    const entry = overlay.entry(path)
    if (entry !== undefined) {
      const found = entry.record.kind === 'put' ? entry.record.etag : undefined
      const isEcho = repeated && found === etag
      if (ifNoneMatch !== undefined && found !== undefined && !isEcho) throw this.#exists(path)
      if (ifMatch !== undefined && found !== ifMatch && !isEcho) {
        throw this.#precondition(path, ifMatch)
      }
      return this.#journal.nextBase(entry)
    }
    const asksStore = ifNoneMatch !== undefined && this.#exclusive === 'store'
    if (asksStore && (await this.#etagInStore(path)) !== undefined) throw this.#exists(path)
    if (ifNoneMatch !== undefined || (isFree && ifMatch === undefined)) return ABSENT
    const alias = aliases.get(path)
    const own = alias === undefined ? {} : { own: [alias.remote] }
    if (ifMatch === undefined) return { is: 'any', ...own }
    const remote = aliases.remote(path, ifMatch)
    if ((await this.#etagInStore(path)) !== remote) throw this.#precondition(path, ifMatch)
    return { is: 'version', etag: remote, ...own }
  }

  async #baseOfTarget(path: string, { etag }: PutRecord, options: MoveOptions): Promise<Base> {
    const { overlay } = this.#journal
    const { known, ifMatch, ifNoneMatch } = options
    if (overlay.isDirectory(path)) {
      throw ifNoneMatch === undefined ? this.#isDirectory(path) : this.#exists(path)
    }
    const conditions = {
      ...(ifMatch !== undefined && { ifMatch }),
      ...(ifNoneMatch !== undefined && { ifNoneMatch }),
    }
    if (known !== undefined) {
      return this.#checkConditions(path, etag, { ...conditions, isFree: known.isFree })
    }
    const found = await this.#inStore(path)
    if (found?.isDir === true) {
      throw ifNoneMatch === undefined ? this.#isDirectory(path) : this.#exists(path)
    }
    const isPending = overlay.get(path) !== undefined
    if (!isPending && ifNoneMatch !== undefined && found !== undefined) throw this.#exists(path)
    return this.#checkConditions(path, etag, { ...conditions, isFree: found === undefined })
  }

  /** Where directories are real: what is pending is as good as stored. Of the rest the store will tell. */
  #checkKind(path: string): void {
    if (!this.#remote.capabilities.realDirectories) return
    const { overlay } = this.#journal
    if (overlay.isDirectory(path)) throw this.#isDirectory(path)
    for (const above of withAncestors(parentPath(path))) {
      if (overlay.get(above)?.kind === 'put') throw this.#isFile(above)
    }
  }

  /** A real directory is not removed as long as something is in it. @param gone  goes with it */
  #staysAsDirectory(marker: string, gone: ReadonlySet<string>): boolean {
    if (!this.#remote.capabilities.realDirectories) return false
    for (const { key, record } of this.#journal.overlay.below(withoutSlash(marker))) {
      if (key !== withoutSlash(marker) && record.kind === 'put' && !gone.has(key)) return true
    }
    return false
  }

  async #inStore(path: string): Promise<{ readonly isDir: boolean } | undefined> {
    try {
      return await this.#remote.stat(path)
    } catch (error) {
      if (error instanceof PathNotFoundError) return undefined
      throw error
    }
  }

  async #etagInStore(path: string): Promise<string | undefined> {
    try {
      return (await this.#remote.stat(path, { expect: 'file' })).etag
    } catch (error) {
      if (error instanceof PathNotFoundError) return undefined
      throw error
    }
  }

  #deletion(key: string, entry: Entry | undefined): DeleteDraft {
    const { aliases, clock } = this.#journal
    const changed = clock()
    const alias = aliases.get(key)
    const own = [
      ...((entry === undefined ? undefined : this.#journal.nextBase(entry).own) ?? []),
      ...(alias === undefined ? [] : [alias.remote]),
    ]
    const base: Base = own.length === 0 ? ANY : { is: 'any', own }
    return { kind: 'delete', key, since: sinceOf(entry) ?? changed, changed, base }
  }

  #checkMetadata(path: string, metadata: Metadata): void {
    const size = metadataSize(metadata)
    if (size <= this.#remote.capabilities.metadataLimit) return
    throw new DriverError(`${size} bytes of metadata`, { driver: this.#remote.name, path })
  }

  #exists(path: string): PreconditionError {
    return new PreconditionError(`${path} exists`, { driver: this.#remote.name, path })
  }

  #precondition(path: string, etag: string): PreconditionError {
    const message = `${path} does not hold version ${etag}`
    return new PreconditionError(message, { driver: this.#remote.name, path })
  }

  #isFile(path: string): ConflictError {
    return new ConflictError(`${path} is a file`, { driver: this.#remote.name, path })
  }

  #isDirectory(path: string): ConflictError {
    return new ConflictError(`${path} is a directory`, { driver: this.#remote.name, path })
  }
}

/** Whether the store has never had anything of it: deleted, it leaves nothing to be done. */
function isUnknownToStore({ record, sending, attempted }: Entry): boolean {
  if (record.kind !== 'put' || sending !== undefined || attempted) return false
  // An older version may be there of which no answer came.
  return record.base.is === 'absent' && (record.base.own ?? []).length === 0
}

/** Since when the store does not have what is under the key; what is on its way does not count. */
function sinceOf(entry: Entry | undefined): number | undefined {
  return entry?.sending === undefined ? entry?.record.since : undefined
}

function newEtag(): string {
  return `journal${randomUUID().replaceAll('-', '')}`
}
