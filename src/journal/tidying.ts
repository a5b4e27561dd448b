/**
 * Keeps the log short: files in which nothing lives any more go, the oldest first; and where something
 * cannot be sent for long, it is written again, so that what came after it can go.
 */
import type { Logger } from '../util/log.js'
import { MiB, type Bytes } from '../util/units.js'
import type { Contents } from './contents.js'
import { OWN } from './frame.js'
import type { KeyLocks } from './key-locks.js'
import type { Log } from './log.js'
import type { Entry, Overlay } from './overlay.js'
import { recordsOf, slicesOf } from './record.js'
import type { Slice, UploadNote } from './record.js'

export interface TidyingOptions {
  readonly log: Log
  readonly overlay: Overlay
  readonly contents: Contents
  readonly locks: KeyLocks
  /** Notes of uploads that have not ended. */
  readonly uploads: () => Iterable<UploadNote>
  readonly logger: Logger
}

/** Files of the log from which on the oldest is emptied by writing what lives in it again. */
const MANY_FILES = 8
/** A log that holds nothing is begun anew from this size on. */
const WORTH: Bytes = MiB

export class Tidying {
  readonly #options: TidyingOptions
  #underWay: Promise<void> | undefined

  constructor(options: TidyingOptions) {
    this.#options = options
  }

  /** Something has gone: there may be something to tidy. Never fails: it is tried again with the next. */
  soon(): void {
    this.#underWay ??= this.#tidy()
      .catch((error: unknown) => {
        this.#options.logger.warn({ err: error }, 'cannot tidy up the journal')
      })
      .finally(() => (this.#underWay = undefined))
  }

  async settled(): Promise<void> {
    while (this.#underWay !== undefined) await this.#underWay
  }

  async #tidy(): Promise<void> {
    await Promise.resolve()
    const { log, overlay, contents } = this.#options
    const isUsed = (file: string): boolean => contents.isUsed(file)
    if (overlay.size === 0 && log.size > WORTH) await log.rest()
    await log.prune(isUsed)
    if (log.files.length > MANY_FILES) await this.#emptyOldest()
    await log.prune(isUsed)
  }

  async #emptyOldest(): Promise<void> {
    const { log, overlay, locks, uploads } = this.#options
    const [oldest] = log.files
    const isHere = (seq: number): boolean => log.oldest?.has(seq) === true
    for (const note of uploads()) if (isHere(note.seq)) await log.append({ sets: [note] })
    for (const entry of overlay.entries()) {
      const { record } = entry
      const isUsing = slicesOf(record).some(({ file }) => file === oldest)
      if (!isHere(record.seq) && !isUsing) continue
      await locks.run([entry.key], () => this.#writeAgain(entry))
    }
  }

  async #writeAgain(entry: Entry): Promise<void> {
    const { log, overlay, contents: files } = this.#options
    const { record } = entry
    if (overlay.entry(entry.key) !== entry) return
    const contents: Buffer[] = []
    let size = 0
    const slices: Slice[] = []
    for (const slice of slicesOf(record)) {
      if (!log.files.includes(slice.file)) {
        slices.push(slice)
        continue
      }
      const content = Buffer.alloc(slice.length)
      await files.read([slice], 0, [content])
      contents.push(content)
      slices.push({ file: OWN, offset: size, length: slice.length })
      size += slice.length
    }
    const copy = record.kind === 'put' ? { ...record, slices } : record
    const [written] = recordsOf(await log.append({ sets: [copy], contents }))
    if (written === undefined) return
    files.hold(slicesOf(written))
    entry.record = written
    void files.release(slicesOf(record))
  }
}
