/**
 * Deletes what has lost its name here: at once, or when names go in bulk, many by one request.
 *
 * Model: the first few deletes after a quiet while are sent as they come, and whoever unlinks waits for
 * the answer: a lock file that is removed is gone for everybody, and a refusal is unlink's own error.
 * When more follow at once (`rm -r`), they are collected and sent together, as soon as no other has
 * come for a moment, or there are as many as one request takes, or the oldest has waited its time.
 *
 * A delete that waits is ordered before everything that depends on it: whoever asks the store about its
 * path, or about a directory above, or puts something there, does so through `afterDeletes`, which
 * sends what is waiting and waits for it. fsync of the directory, syncfs, rename and unmount do the
 * same. Deletes are sent in the order in which they came.
 *
 * What fails late is logged and kept for the next fsync of the directory or syncfs, and the name is
 * shown again. A mount that is killed meanwhile leaves the names that it has not sent.
 */
import type { StorageDriver } from '../../driver/driver.js'
import { isBelow, withoutSlash } from '../../driver/path.js'
import { abortable } from '../../util/abort.js'
import type { Later } from '../../util/clock.js'
import type { Logger } from '../../util/log.js'
import type { Milliseconds } from '../../util/units.js'
import { throwIfAny } from './unsaved.js'

export interface DeletesOptions {
  driver: StorageDriver
  /** A clock that never goes back. */
  now: () => Milliseconds
  later: Later
  log: Logger
}

export interface Deletion {
  /** Of a file, or with a slash at its end of a directory's marker. */
  readonly path: string
  /** It could not be deleted, and nobody waits any more. */
  readonly failed: () => void
}

interface Batch {
  readonly deletions: ReadonlyMap<string, Deletion>
  readonly done: Promise<void>
}

/** Deletes in a row that are sent one by one. */
const ALONE = 4
/** Deletes with less time in between belong together; a listing from afar may lie in between. */
const TOGETHER: Milliseconds = 250
/** A batch leaves when nothing has come for so long … */
const IDLE: Milliseconds = 100
/** … or when its oldest delete has waited for so long … */
const LONGEST: Milliseconds = 1000
/** Deletes in a row after which all of these times are longer: a whole tree goes, however slowly. */
const MANY = 32
const LONGER = 3
/** … or when it is full: the most that BOS takes. @see https://cloud.baidu.com/doc/BOS/s/tkc5twspg */
const FULL = 1000
/** Batches that may be under way or wait for their turn; then whoever deletes waits as well. */
const MOST_BATCHES = 2

export class Deletes {
  readonly #options: DeletesOptions
  readonly #batches = new Set<Batch>()
  #waiting = new Map<string, Deletion>()
  #failures: { readonly path: string; readonly error: unknown }[] = []
  #row = 0
  #last: Milliseconds = -Infinity
  #oldest: Milliseconds = 0
  #callOff: () => void = () => undefined
  #sending: Promise<void> = Promise.resolve()

  constructor(options: DeletesOptions) {
    this.#options = options
  }

  /** Deletes that the store has not confirmed. */
  get pending(): number {
    let count = this.#waiting.size
    for (const { deletions } of this.#batches) count += deletions.size
    return count
  }

  /** Deletes now, and rejects if that fails; or soon, and resolves at once. */
  async remove(deletion: Deletion): Promise<void> {
    const { now } = this.#options
    if (now() - this.#last > TOGETHER * this.#patience) this.#row = 0
    this.#row += 1
    this.#last = now()
    if (this.#row > ALONE) return this.#later(deletion)
    await this.#now(deletion.path)
    this.#last = now()
  }

  /**
   * Resolves when nothing at or below the path is still to be deleted, whether or not that succeeded;
   * undefined if nothing is.
   */
  settled(path: string): Promise<void> | undefined {
    if (this.#waiting.size === 0 && this.#batches.size === 0) return undefined
    if (concerns(this.#waiting, path)) this.#send()
    const batches = [...this.#batches].filter(({ deletions }) => concerns(deletions, path))
    if (batches.length === 0) return undefined
    return Promise.all(batches.map(({ done }) => done)).then(() => undefined)
  }

  /**
   * As `settled`. Whoever gives up waiting is not told of failures: the next one is.
   *
   * @throws UnsavedError about the failures below this path that nobody was told of
   */
  async flush(path: string, signal?: AbortSignal): Promise<void> {
    const settled = this.settled(path)
    if (settled !== undefined) await abortable(settled, signal)
    signal?.throwIfAborted()
    const told = this.#failures.filter(failure => isAtOrBelow(failure.path, path))
    this.#failures = this.#failures.filter(failure => !told.includes(failure))
    throwIfAny(
      told.map(failure => ({ name: `${failure.path} (not deleted)`, error: failure.error })),
    )
  }

  async #now(path: string): Promise<void> {
    const { driver } = this.#options
    if (!path.endsWith('/')) return driver.deleteFile(path)
    const directory = withoutSlash(path)
    // Where directories are real, they go after what is in them.
    await this.settled(directory)
    await driver.removeDirectoryMarker(directory)
  }

  async #later(deletion: Deletion): Promise<void> {
    const { now } = this.#options
    if (this.#waiting.size === 0) this.#oldest = now()
    this.#waiting.set(deletion.path, deletion)
    if (this.#waiting.size >= FULL) this.#send()
    else {
      const left = this.#oldest + LONGEST * this.#patience - now()
      this.#schedule(Math.min(IDLE * this.#patience, left))
    }
    if (this.#batches.size >= MOST_BATCHES) {
      await Promise.race([...this.#batches].map(({ done }) => done))
    }
  }

  get #patience(): number {
    return this.#row > MANY ? LONGER : 1
  }

  #schedule(delay: Milliseconds): void {
    this.#callOff()
    this.#callOff = this.#options.later(Math.max(0, delay), () => this.#send())
  }

  #send(): void {
    this.#callOff()
    if (this.#waiting.size === 0) return
    const deletions = this.#waiting
    this.#waiting = new Map()
    const done = this.#sending.then(() => this.#sendBatch(deletions))
    const batch: Batch = { deletions, done: done.finally(() => this.#batches.delete(batch)) }
    this.#batches.add(batch)
    this.#sending = batch.done
  }

  /** Never rejects. */
  async #sendBatch(deletions: ReadonlyMap<string, Deletion>): Promise<void> {
    const { driver, log } = this.#options
    const paths = [...deletions.keys()]
    const failures = await driver
      .deleteMany(paths)
      .catch((error: unknown) => paths.map(path => ({ path, error })))
    for (const { path, error } of failures) {
      log.error({ path, err: error }, 'cannot delete what was unlinked; its name is shown again')
      deletions.get(path)?.failed()
      this.#failures.push({ path, error })
    }
    // Nobody may ever ask: what was logged last is what counts.
    this.#failures.splice(0, Math.max(0, this.#failures.length - FULL))
  }
}

/** A driver whose requests come after the deletes that they depend on. */
export function afterDeletes(driver: StorageDriver, deletes: Deletes): StorageDriver {
  const after = async <T>(
    paths: readonly string[],
    work: () => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> => {
    for (const path of paths) {
      const settled = deletes.settled(path)
      if (settled !== undefined) await abortable(settled, signal)
    }
    return work()
  }
  async function* pagesAfter<T>(
    path: string,
    list: () => AsyncIterable<T>,
    signal?: AbortSignal,
  ): AsyncIterable<T> {
    const settled = deletes.settled(path)
    if (settled !== undefined) await abortable(settled, signal)
    yield* list()
  }
  const ordered: Partial<StorageDriver> = {
    stat: (path, options) => after([path], () => driver.stat(path, options), options?.signal),
    list: (path, options) => after([path], () => driver.list(path, options), options?.signal),
    entries: (path, options) =>
      pagesAfter(path, () => driver.entries(path, options), options?.signal),
    entriesBelow: (path, options) =>
      pagesAfter(path, () => driver.entriesBelow(path, options), options?.signal),
    putContent: (path, ...rest) => after([path], () => driver.putContent(path, ...rest)),
    writer: (path, options) => after([path], () => driver.writer(path, options)),
    compose: (path, options) => after([path], () => driver.compose(path, options)),
    makeDirectory: (path, options) => after([path], () => driver.makeDirectory(path, options)),
    setMetadata: (path, ...rest) => after([path], () => driver.setMetadata(path, ...rest)),
    copy: (from, to, options) => after([from, to], () => driver.copy(from, to, options)),
    move: (from, to, options) => after([from, to], () => driver.move(from, to, options)),
    delete: (path, options) => after([path], () => driver.delete(path, options)),
  }
  return new Proxy(driver, {
    get(target, property): unknown {
      const replaced: unknown = Reflect.get(ordered, property)
      if (replaced !== undefined) return replaced
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function concerns(deletions: ReadonlyMap<string, Deletion>, path: string): boolean {
  if (deletions.has(path)) return true
  for (const each of deletions.keys()) if (isAtOrBelow(withoutSlash(each), path)) return true
  return false
}

function isAtOrBelow(path: string, directory: string): boolean {
  return path === directory || isBelow(path, directory)
}
