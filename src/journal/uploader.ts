/**
 * Sends what is pending, in the background: each record some time after its first change, so that what is
 * changed again, moved or deleted meanwhile is sent once or never; the oldest first, several at once.
 *
 * Order: a key's records one after the other; and nothing overtakes an older record of a path above or
 * below where the order can be seen (overlay.ts, `isBlocked`). Deletes go out many by one request.
 *
 * What fails is tried again, later each time, for as long as it takes. Whoever drains is told of the first
 * failure of each record, and of all the rest when the store does not answer at all.
 */
import type { StorageDriver } from '../driver/driver.js'
import { DriverError } from '../driver/errors.js'
import { abortable } from '../util/abort.js'
import type { Logger } from '../util/log.js'
import { formatBytes, MiB, type Bytes, type Milliseconds } from '../util/units.js'
import { Deleter } from './deleter.js'
import { Drain } from './drain.js'
import type { Scope } from './drain.js'
import { DamagedError, PendingError } from './errors.js'
import type { Journal } from './journal.js'
import type { Entry } from './overlay.js'
import type { JournalRecord } from './record.js'
import { Sender } from './sender.js'
import type { Uploads } from './uploads.js'

export interface UploaderOptions {
  readonly journal: Journal
  readonly remote: StorageDriver
  readonly uploads: Uploads
  /** From the first change of a record until it is sent. */
  readonly delay: Milliseconds
  readonly host?: string
  readonly log: Logger
}

/** Puts at once. */
const PUTS = 8
/** Deletes in one request: the most that BOS takes. */
const DELETES = 1000
/** Small contents go after older ones that are larger than this. */
const LARGE: Bytes = MiB
const FIRST_PAUSE: Milliseconds = 1000
const LONGEST_PAUSE: Milliseconds = 60_000
/** Failures in a row after which a drain does not wait for the rest. */
const HOPELESS = 8

export class Uploader {
  /** What has happened since the journal was opened. */
  readonly totals = { uploaded: 0, failures: 0, conflicts: 0 }
  readonly #options: UploaderOptions
  readonly #sender: Sender
  readonly #deleter: Deleter
  readonly #drains = new Set<Drain>()
  readonly #running = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  #puts = 0
  #isDeleting = false
  #timer: NodeJS.Timeout | undefined
  #due: Milliseconds = Infinity
  #isPumping = false
  #failedInRow = 0

  constructor(options: UploaderOptions) {
    this.#options = options
    const { journal, remote, uploads, log, host } = options
    this.#sender = new Sender({
      remote,
      log,
      contents: journal.contents,
      uploads,
      clock: journal.clock,
      ...(host === undefined ? {} : { host }),
    })
    this.#deleter = new Deleter({ remote, sender: this.#sender, log })
    journal.listener = {
      changed: () => this.#pumpSoon(),
      settled: seq => {
        for (const drain of this.#drains) drain.settled(seq)
      },
      replaced: (old, by) => {
        for (const drain of this.#drains) drain.replaced(old, by)
      },
    }
    this.#pumpSoon()
  }

  /**
   * Sends what is pending now, at or below the paths. Resolves when the store has it.
   *
   * @throws the first failure; all others were tried as well, unless the store did not answer at all
   */
  async drain(scope: Scope, signal?: AbortSignal): Promise<void> {
    const { overlay } = this.#options.journal
    const drain = new Drain(scope, overlay)
    if (drain.isDone) return
    this.#drains.add(drain)
    this.#failedInRow = 0
    this.#pumpSoon()
    try {
      await abortable(drain.done, signal)
    } finally {
      this.#drains.delete(drain)
    }
  }

  /** Sends all there is. @throws PendingError that says what is left */
  async drainAll(signal?: AbortSignal): Promise<void> {
    const { journal, uploads } = this.#options
    try {
      await this.drain({ below: ['/'] }, signal)
      await uploads.left.look(signal)
    } catch (error) {
      const files = journal.overlay.size
      if (files === 0) return
      throw new PendingError(
        `${files} changes (${formatBytes(journal.room.used)}) are not in BOS yet; they are safe in ` +
          `the journal ${journal.folder}, and the next mount of the bucket, or bosmount recover, goes on with them`,
        files,
        { cause: error },
      )
    }
  }

  /** Ends what is under way, however far it has come. Nothing is lost: it is in the journal. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the journal is being closed'))
    clearTimeout(this.#timer)
    await Promise.all(this.#running)
  }

  #pumpSoon(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    setImmediate(() => {
      this.#isPumping = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#stop.signal.aborted) return
    const { journal } = this.#options
    const batch = new Set<Entry>()
    const isForced = this.#drains.size > 0
    const isTight = journal.room.isTight
    let next = Infinity
    let isBehindLarge = false
    for (const entry of journal.overlay.entries()) {
      const areFull = this.#puts >= PUTS && (this.#isDeleting || batch.size >= DELETES)
      if (areFull) break
      const mustWait = isBehindLarge && !isLarge(entry) && !this.#isUrgent(entry)
      isBehindLarge ||= isLarge(entry) && entry.failures === 0
      if (entry.sending !== undefined) continue
      const due = this.#dueAt(entry, isTight)
      if (due > performance.now()) {
        next = Math.min(next, due)
        // Those behind it are younger, but for some that were moved.
        if (!isForced && entry.failures === 0) break
        continue
      }
      if (mustWait) continue
      const isDelete = entry.record.kind === 'delete'
      if (isDelete ? this.#isDeleting || batch.size >= DELETES : this.#puts >= PUTS) continue
      if (isBlocked(entry, journal.overlay.blockers(entry), batch)) continue
      if (isDelete) batch.add(entry)
      else this.#start(() => this.#sendPut(entry))
    }
    if (batch.size > 0) this.#start(() => this.#sendDeletes([...batch]))
    this.#wakeAt(next)
  }

  /** Somebody waits for it, and not for everything. */
  #isUrgent({ record }: Entry): boolean {
    return [...this.#drains].some(drain => !drain.isAll && drain.wants(record.seq))
  }

  #dueAt({ record, notBefore }: Entry, isTight: boolean): Milliseconds {
    const isForced = [...this.#drains].some(drain => drain.wants(record.seq))
    const { journal, delay } = this.#options
    const now = performance.now()
    const left = isForced || isTight ? 0 : record.since + delay - journal.clock()
    return Math.max(notBefore, now + Math.min(left, delay))
  }

  #wakeAt(time: Milliseconds): void {
    if (time === Infinity) return
    if (this.#timer !== undefined && this.#due <= time) return
    clearTimeout(this.#timer)
    this.#due = time
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        this.#pump()
      },
      Math.max(1, time - performance.now()),
    )
  }

  #start(work: () => Promise<void>): void {
    const running = work().finally(() => {
      this.#running.delete(running)
      this.#pumpSoon()
    })
    this.#running.add(running)
  }

  async #sendPut(entry: Entry): Promise<void> {
    const { journal, log } = this.#options
    this.#puts += 1
    const { signal } = this.#stop
    try {
      const begun = await this.#begin(entry, 'put')
      if (begun?.record.kind !== 'put') return
      const { record, isDoubtful } = begun
      const expect = (etag: string): Promise<void> => journal.expect(entry, etag)
      const outcome = await this.#attempt(entry, record, () =>
        this.#sender.put(record, { isDoubtful, signal, expect }),
      )
      if (outcome === undefined) return
      if (outcome.beside !== undefined) this.totals.conflicts += 1
      this.#succeeded(1)
      await journal.locks.run([entry.key], () => journal.sent(entry, record, outcome.etag))
    } catch (error) {
      log.error({ path: entry.key, err: error }, 'the journal cannot go on with a file')
    } finally {
      this.#puts -= 1
    }
  }

  /** Runs what sends a record; a failure is noted. */
  async #attempt<T>(
    entry: Entry,
    record: JournalRecord,
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      await this.#failed(entry, record, error)
      return undefined
    }
  }

  /** Takes a record on its way, unless it has changed while it waited for its turn. */
  async #begin(
    entry: Entry,
    kind: JournalRecord['kind'],
  ): Promise<{ readonly record: JournalRecord; readonly isDoubtful: boolean } | undefined> {
    const { journal } = this.#options
    return await journal.locks.run([entry.key], async () => {
      const isPending = journal.overlay.entry(entry.key) === entry
      if (!isPending || entry.sending !== undefined || entry.record.kind !== kind) return undefined
      const isDoubtful = entry.attempted
      return { record: journal.begin(entry), isDoubtful }
    })
  }

  async #sendDeletes(entries: readonly Entry[]): Promise<void> {
    const { journal, log } = this.#options
    this.#isDeleting = true
    try {
      const begun = await Promise.all(
        entries.map(async entry => ({ entry, ...(await this.#begin(entry, 'delete')) })),
      )
      const wanted = begun.flatMap(({ entry, record, isDoubtful = false }) =>
        record === undefined ? [] : [{ entry, record, isDoubtful }],
      )
      const { failures, kept } = await this.#deleter.remove(wanted, this.#stop.signal)
      this.totals.conflicts += kept.size
      for (const { entry, record } of wanted) {
        const error = failures.get(record.key)
        if (error !== undefined) await this.#failed(entry, record, error)
        else await journal.locks.run([entry.key], () => journal.sent(entry, record, undefined))
      }
      this.#succeeded(wanted.length - failures.size)
    } catch (error) {
      log.error({ err: error }, 'the journal cannot go on with deletes')
    } finally {
      this.#isDeleting = false
    }
  }

  #succeeded(count: number): void {
    if (count > 0) this.#failedInRow = 0
    this.totals.uploaded += count
  }

  async #failed(entry: Entry, record: JournalRecord, error: unknown): Promise<void> {
    const { journal } = this.#options
    await journal.locks.run([entry.key], async () => {
      if (entry.record.seq === record.seq) {
        entry.notBefore = performance.now() + pauseAfter(entry.failures, error)
        entry.failures += 1
      }
      journal.notSent(entry, record)
    })
    if (this.#stop.signal.aborted) return
    this.totals.failures += 1
    if (!(error instanceof DamagedError)) this.#failedInRow += 1
    this.#report(entry, error)
    const blockersOf = (seq: number): readonly number[] => {
      const waiting = journal.overlay.bySeq(seq)
      const blockers = waiting === undefined ? [] : [...journal.overlay.blockers(waiting)]
      return blockers.map(blocker => blocker.record.seq)
    }
    for (const drain of this.#drains) {
      drain.failed(record.seq, error, blockersOf)
      if (this.#failedInRow >= HOPELESS) drain.giveUp(error)
    }
  }

  #report({ key: path }: Entry, error: unknown): void {
    const { log, journal } = this.#options
    if (error instanceof DamagedError) {
      log.error(
        { path, err: error, folder: journal.folder },
        'a file in the journal is damaged: it is not uploaded, and stays in the journal until it is ' +
          'replaced or removed in the mount',
      )
      return
    }
    const { serviceCode, requestId } = error instanceof DriverError ? error : {}
    log.warn(
      { path, err: error, serviceCode, requestId },
      'cannot upload a file yet; the journal keeps it',
    )
  }
}

/** What is damaged stays so: it is looked at again when somebody waits for it. */
function pauseAfter(failures: number, error: unknown): Milliseconds {
  if (error instanceof DamagedError) return Infinity
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failures)
}

/**
 * What refers to a large content is younger and small, and is not to be seen before it: registries write
 * a blob, and links to it then. One that fails holds up nobody.
 */
function isLarge({ record }: Entry): boolean {
  return record.kind === 'put' && record.size > LARGE
}

/** @param batch  what goes along in order */
function isBlocked(
  { record: { kind } }: Entry,
  blockers: Iterable<Entry>,
  batch: ReadonlySet<Entry>,
): boolean {
  for (const blocker of blockers) if (kind === 'put' || !batch.has(blocker)) return true
  return false
}
