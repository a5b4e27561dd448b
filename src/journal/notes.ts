/**
 * What the log is told without anybody waiting for it: that something was sent, and what is expected in
 * its place now. If the disk does not hear of it, what was sent is sent again, and recognised. But whoever
 * changes the store past the journal must see to it first that the disk has heard.
 */
import type { Logger } from '../util/log.js'
import type { Drop } from './frame.js'
import type { Change, Log } from './log.js'

export class Notes {
  readonly #log: Log
  readonly #logger: Logger
  readonly #underWay = new Set<Promise<unknown>>()
  /** What the disk has not taken. */
  readonly #missed: Drop[] = []

  constructor(log: Log, logger: Logger) {
    this.#log = log
    this.#logger = logger
  }

  add(change: Change): void {
    const noted: Promise<unknown> = this.#log.append(change).then(
      () => this.#underWay.delete(noted),
      (error: unknown) => {
        this.#underWay.delete(noted)
        this.#missed.push(...(change.drops ?? []))
        this.#logger.warn({ err: error }, 'the journal cannot note what was sent')
      },
    )
    this.#underWay.add(noted)
  }

  /**
   * Resolves when the disk knows of everything: a process that dies now leaves no record that would be
   * sent again. @throws the file system's error
   */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
    const missed = [...this.#missed]
    if (missed.length === 0) return
    await this.#log.append({ drops: missed })
    this.#missed.splice(0, missed.length)
  }
}
