/**
 * The durable state of what is pending: the log, the contents, and what they come to, by place in the tree.
 *
 * Model: a change of a key is decided, written and shown while its lock is held, in this order; so what is
 * shown is always what the disk has, and two changes of one key never overlap. What the uploader has sent
 * is taken away in the same manner (uploader.ts). Locks of several keys are taken together.
 *
 * A journal knows nothing of how its records are sent, and nothing of the store.
 */
import type { FileInfo } from '../driver/driver.js'
import type { Logger } from '../util/log.js'
import { MiB, type Bytes, type Milliseconds } from '../util/units.js'
import { Aliases } from './aliases.js'
import { Contents } from './contents.js'
import { asQuota, isFull } from './errors.js'
import { JournalFolder } from './folder.js'
import { KeyLocks } from './key-locks.js'
import { Log } from './log.js'
import type { Change } from './log.js'
import { Notes } from './notes.js'
import { Overlay } from './overlay.js'
import type { Entry } from './overlay.js'
import { ABSENT, ANY, infoOf, isMarkerKey, recordsOf, slicesOf } from './record.js'
import type { Base, DeleteRecord, JournalRecord, PutRecord, Slice, UploadNote } from './record.js'
import { freeSpace, RECORD, Room } from './room.js'
import { Tidying } from './tidying.js'

export interface JournalOptions {
  readonly folder: string
  /** What tells this bucket from others. */
  readonly store: string
  /** Most bytes that may be pending. */
  readonly size: Bytes
  /** How long a writer waits for room; default 2 minutes. */
  readonly patience?: Milliseconds
  /** Bytes free on the disk; default asks the file system. */
  readonly free?: () => Promise<Bytes>
  /** Unix time; default Date.now. */
  readonly clock?: () => Milliseconds
  /** From this size on a new file of the log is begun; default 32 MiB. */
  readonly fileSize?: Bytes
  readonly log: Logger
}

export type PutDraft = Omit<PutRecord, 'seq'>
export type DeleteDraft = Omit<DeleteRecord, 'seq'>
export type Draft = PutDraft | DeleteDraft

export interface JournalChange {
  readonly sets?: readonly Draft[]
  /** What slices of OWN are cut from. */
  readonly contents?: readonly Uint8Array[]
  /** Entries whose records are of no use any more. */
  readonly removes?: readonly Entry[]
}

/** Who is told of what happens. */
export interface JournalListener {
  /** There may be something to send. */
  readonly changed: () => void
  /** A record is not pending any more. */
  readonly settled: (seq: number) => void
  /** A record that was not on its way was replaced by a newer one of the same key. */
  readonly replaced: (old: number, by: number) => void
}

/** What has got to the store while somebody was listing: his pages may be older. */
export interface Watch {
  readonly finished: ReadonlyMap<string, JournalRecord>
  end(): void
}

const ALIASES = 100_000
/** Versions of a file that are remembered as this mount's own. */
const OWN_VERSIONS = 8
const NOBODY: JournalListener = {
  changed: () => undefined,
  settled: () => undefined,
  replaced: () => undefined,
}

export class Journal {
  readonly overlay = new Overlay()
  readonly aliases = new Aliases(ALIASES)
  readonly locks = new KeyLocks()
  readonly contents: Contents
  readonly room: Room
  readonly notes: Notes
  readonly clock: () => Milliseconds
  /** Records that were there when the journal was opened. */
  readonly recovered: number
  /** Uploads that an earlier process had begun and not ended. */
  readonly leftUploads: readonly UploadNote[]
  listener: JournalListener = NOBODY
  readonly #folder: JournalFolder
  readonly #log: Log
  readonly #logger: Logger
  readonly #watches = new Set<Map<string, JournalRecord>>()
  /** Notes of those that have not ended. */
  readonly #uploads = new Map<number, UploadNote>()
  #seq: number
  readonly #tidying: Tidying

  private constructor(
    options: JournalOptions,
    folder: JournalFolder,
    { log, records: kept }: Awaited<ReturnType<typeof Log.open>>,
  ) {
    this.#folder = folder
    this.#log = log
    this.#logger = options.log
    this.notes = new Notes(log, options.log)
    this.clock = options.clock ?? Date.now
    this.contents = new Contents(options.folder)
    this.room = new Room({
      limit: options.size,
      patience: options.patience ?? 120_000,
      free: options.free ?? (() => freeSpace(options.folder)),
      isComing: () => this.overlay.size > 0,
      hurry: () => this.listener.changed(),
    })
    this.#tidying = new Tidying({
      log,
      overlay: this.overlay,
      contents: this.contents,
      locks: this.locks,
      uploads: () => this.#uploads.values(),
      logger: options.log,
    })
    const records = recordsOf(kept)
    this.recovered = records.length
    this.leftUploads = kept.filter(each => each.kind === 'upload')
    for (const note of this.leftUploads) this.#uploads.set(note.seq, note)
    this.#seq = kept.at(-1)?.seq ?? 0
    for (const record of records) {
      const entry = this.overlay.set(record)
      // It may have got to the store when its process died.
      entry.attempted = true
      this.contents.hold(slicesOf(record))
      this.room.add(sizeOf(record))
    }
  }

  /** @throws JournalError that says what to do; nothing was changed then */
  static async open(options: JournalOptions): Promise<Journal> {
    const folder = await JournalFolder.claim(options)
    try {
      const opened = await Log.open({
        folder: options.folder,
        fileSize: options.fileSize ?? 32 * MiB,
      })
      const journal = new Journal(options, folder, opened)
      await journal.contents.sweep()
      return journal
    } catch (error) {
      await folder.release()
      throw error
    }
  }

  get folder(): string {
    return this.#folder.path
  }

  /** Changes keys whose locks the caller holds. @throws QuotaError, or the file system's error */
  async change({ sets = [], contents = [], removes = [] }: JournalChange): Promise<void> {
    const drops = removes.map(({ key, record }) => ({ key, seq: record.seq }))
    const records = sets.map((draft): JournalRecord => ({ ...draft, seq: (this.#seq += 1) }))
    let kept: readonly JournalRecord[]
    try {
      kept = recordsOf(await this.#log.append({ sets: records, contents, drops }))
    } catch (error) {
      throw asQuota(error, sets[0]?.key ?? removes[0]?.key ?? '/')
    }
    // What replaces takes hold before what is replaced lets go: a move hands its content on.
    for (const record of kept) {
      this.contents.hold(slicesOf(record))
      this.room.add(sizeOf(record))
    }
    for (const record of kept) this.#show(record)
    for (const entry of removes) this.#take(entry)
    this.listener.changed()
  }

  /** A record is on its way: what it needs stays until `sent` or `notSent`. */
  begin(entry: Entry): JournalRecord {
    const { record } = entry
    entry.sending = record
    this.contents.hold(slicesOf(record))
    return record
  }

  /** Notes, safe on the disk, that an upload is about to be begun in the store. */
  async noteUpload(path: string): Promise<UploadNote> {
    const seq = (this.#seq += 1)
    const note: UploadNote = { kind: 'upload', key: `*${seq}`, seq, path, begun: this.clock() }
    await this.noteUploadAgain(note)
    return note
  }

  /** Notes, safe on the disk, what else is known of it. */
  async noteUploadAgain(note: UploadNote): Promise<void> {
    this.#uploads.set(note.seq, note)
    await this.#appendIfRoom({ sets: [note] }, note.path)
  }

  /** Nothing of the upload is left in the store. */
  endUpload({ key, seq }: UploadNote): void {
    this.#uploads.delete(seq)
    this.notes.add({ drops: [{ key, seq }] })
    this.#log.forget(seq)
    this.#tidying.soon()
  }

  /** For callers that hold the lock. @param etag  the store's name of the version */
  async sent(entry: Entry, record: JournalRecord, etag: string | undefined): Promise<void> {
    const { key } = record
    entry.sending = undefined
    this.#release(slicesOf(record))
    if (record.kind === 'delete' || etag === undefined) this.aliases.forget(key)
    else if (!isMarkerKey(key)) {
      this.aliases.set(key, { local: record.etag, remote: etag, modTime: record.modTime })
    }
    for (const finished of this.#watches) finished.set(key, record)
    this.listener.settled(record.seq)
    // Of the same number: written again, to another place in the log.
    if (entry.record.seq === record.seq) {
      this.notes.add({ drops: [{ key, seq: record.seq }] })
      this.#take(entry)
    } else {
      const isThere = record.kind === 'put' && etag !== undefined
      const base: Base = isThere ? { is: 'version', etag } : ABSENT
      await this.#rebase(entry, isMarkerKey(key) ? ANY : base)
    }
    this.listener.changed()
  }

  /**
   * Notes, safe on the disk, what the store will call the version that is about to be put there: it is this
   * mount's own, whatever becomes of the process or replaces the record meanwhile.
   */
  async expect(entry: Entry, etag: string): Promise<void> {
    await this.locks.run([entry.key], async () => {
      if (this.overlay.entry(entry.key) !== entry) return
      const { base } = entry.record
      const own = [...(base.own ?? []), etag].slice(-OWN_VERSIONS)
      const updated = { ...entry.record, base: { ...base, own } }
      await this.#appendIfRoom({ sets: [updated] }, entry.key)
      entry.record = updated
    })
  }

  /** It was not sent, as far as anybody knows. For callers that hold the lock. */
  notSent(entry: Entry, record: JournalRecord): void {
    entry.sending = undefined
    this.#release(slicesOf(record))
    if (entry.record.seq === record.seq) entry.attempted = true
    // Nobody will send it again: what has replaced it will be sent.
    else this.listener.settled(record.seq)
    this.listener.changed()
  }

  /** What the next record of a key is to find in the store. */
  nextBase(entry: Entry): Base {
    const { record, sending } = entry
    const { base } = record
    const isMaybeThere = sending !== undefined || entry.attempted
    const own = new Set(base.own ?? [])
    for (const each of isMaybeThere ? [record, sending] : []) {
      if (each?.kind === 'put') own.add(each.etag)
    }
    // Of which nobody knows whether it takes effect before or after what another host does.
    const is = record.kind === 'delete' ? ANY : base
    return own.size === 0 ? is : { ...is, own: [...own].slice(-OWN_VERSIONS) }
  }

  watch(): Watch {
    const finished = new Map<string, JournalRecord>()
    this.#watches.add(finished)
    return { finished, end: () => void this.#watches.delete(finished) }
  }

  /** The file or marker that is pending under a key. */
  info(key: string): FileInfo | undefined {
    const record = this.overlay.get(key)
    return record?.kind === 'put' ? infoOf(record) : undefined
  }

  /** Gives the folder back. What is pending stays in it. */
  async close(): Promise<void> {
    await this.#tidying.settled()
    if (this.overlay.size === 0) await this.#log.rest()
    await this.#log.prune(file => this.contents.isUsed(file))
    await this.#log.close()
    await this.contents.close()
    await this.#folder.release()
  }

  #show(record: JournalRecord): void {
    const entry = this.overlay.entry(record.key)
    const old = entry?.record
    const wasSending = entry?.sending?.seq === old?.seq
    this.overlay.set(record)
    if (entry === undefined || old === undefined) return
    this.#gone(old)
    if (!wasSending) this.listener.replaced(old.seq, record.seq)
  }

  #take(entry: Entry): void {
    const { record } = entry
    this.overlay.remove(entry)
    this.#gone(record)
    this.listener.settled(record.seq)
  }

  #gone(record: JournalRecord): void {
    this.#log.forget(record.seq)
    this.room.release(sizeOf(record))
    this.#release(slicesOf(record))
  }

  #release(slices: readonly Slice[]): void {
    void this.contents.release(slices)
    this.#tidying.soon()
  }

  /** Where the disk is full a note is done without: what is sent makes room there. */
  async #appendIfRoom(change: Change, path: string): Promise<void> {
    try {
      await this.#log.append(change)
    } catch (error) {
      if (!isFull(error)) throw error
      this.#logger.warn({ path, err: error }, 'no room in the journal to note what is being sent')
    }
  }

  async #rebase(entry: Entry, base: Base): Promise<void> {
    const updated = { ...entry.record, base }
    // Of the same number, so the same record.
    entry.record = updated
    this.notes.add({ sets: [updated] })
  }
}

export function sizeOf(record: JournalRecord): Bytes {
  return RECORD + (record.kind === 'put' ? record.size : 0)
}
