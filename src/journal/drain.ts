/** Somebody who waits until what was pending at a moment is in the store. */
import type { Entry, Overlay } from './overlay.js'

export interface Scope {
  /** These keys alone … */
  readonly keys?: readonly string[]
  /** … and all that is at or below these paths. */
  readonly below?: readonly string[]
}

export class Drain {
  /** Resolves when nothing is left; rejects with the first failure when all others were tried. */
  readonly done: Promise<void>
  /** Everything is waited for. */
  readonly isAll: boolean
  /** Numbers of records that are waited for. */
  readonly #left = new Set<number>()
  #failure: { readonly error: unknown } | undefined
  #resolve: () => void = () => undefined
  #reject: (error: unknown) => void = () => undefined

  constructor({ keys = [], below = [] }: Scope, overlay: Overlay) {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.isAll = below.includes('/')
    // Whoever has given up waiting is not told.
    this.done.catch(() => undefined)
    const entries = [
      ...keys.flatMap(key => overlay.entry(key) ?? []),
      ...below.flatMap(path => [...overlay.below(path)]),
    ]
    for (const entry of entries) this.#add(entry, overlay)
  }

  get isDone(): boolean {
    return this.#left.size === 0
  }

  wants(seq: number): boolean {
    return this.#left.has(seq)
  }

  settled(seq: number): void {
    if (this.#left.delete(seq)) this.#check()
  }

  /** What is newer of the same key is waited for instead. */
  replaced(old: number, by: number): void {
    if (this.#left.delete(old)) this.#left.add(by)
  }

  /** With a record fails what must not overtake it, and so on. @param blockersOf  numbers of records */
  failed(seq: number, error: unknown, blockersOf: (seq: number) => readonly number[]): void {
    const failed = new Set([seq])
    for (let size = 0; size < failed.size;) {
      size = failed.size
      for (const each of this.#left) {
        if (blockersOf(each).some(blocker => failed.has(blocker))) failed.add(each)
      }
    }
    const before = this.#left.size
    for (const each of failed) this.#left.delete(each)
    if (this.#left.size === before) return
    this.#failure ??= { error }
    this.#check()
  }

  giveUp(error: unknown): void {
    this.#failure ??= { error }
    this.#left.clear()
    this.#check()
  }

  /** With what must be sent before it. */
  #add(entry: Entry, overlay: Overlay): void {
    const { record, sending } = entry
    if (sending !== undefined) this.#left.add(sending.seq)
    if (this.#left.has(record.seq) && sending?.seq !== record.seq) return
    this.#left.add(record.seq)
    entry.notBefore = 0
    for (const blocker of overlay.blockers(entry)) this.#add(blocker, overlay)
  }

  #check(): void {
    if (this.#left.size > 0) return
    if (this.#failure === undefined) this.#resolve()
    else this.#reject(this.#failure.error)
  }
}
