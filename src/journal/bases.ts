/**
 * What a change finds: whether its conditions hold, and what the store is believed to have under the path until
 * the change is sent (`Base`). What is pending decides; where nothing is, what the caller knows, and the store
 * only if it must be asked. For callers that hold the lock of the path.
 */
import type { MoveOptions, StorageDriver, WriteConditions } from '../driver/driver.js'
import { ConflictError, PathNotFoundError, PreconditionError } from '../driver/errors.js'
import { parentPath, withAncestors } from '../driver/path.js'
import type { Journal } from './journal.js'
import { ABSENT } from './record.js'
import type { Base, PutRecord } from './record.js'

export interface BasesOptions {
  readonly journal: Journal
  readonly remote: StorageDriver
  /**
   * Who decides which of two hosts has made a file that must not exist: the store, at once, or the journal
   * for this host, and for others the upload.
   */
  readonly exclusive: 'store' | 'journal'
}

export class Bases {
  readonly #journal: Journal
  readonly #remote: StorageDriver
  readonly #exclusive: BasesOptions['exclusive']

  constructor({ journal, remote, exclusive }: BasesOptions) {
    this.#journal = journal
    this.#remote = remote
    this.#exclusive = exclusive
  }

  /** Whether the store alone can say who was first. */
  mustAskStore(path: string, { ifNoneMatch }: WriteConditions): boolean {
    if (ifNoneMatch === undefined || this.#exclusive === 'journal') return false
    return this.#journal.overlay.get(path) === undefined
  }

  /**
   * Checks conditions, and says what the store has under the path then.
   *
   * @param etag  of what is to be put there
   */
  async ofWrite(path: string, etag: string, conditions: WriteConditions): Promise<Base> {
    const { aliases, overlay } = this.#journal
    const { ifMatch, ifNoneMatch, isFree = false, repeated = false } = conditions
    this.#checkKind(path)
    const entry = overlay.entry(path)
    if (entry !== undefined) {
      const found = entry.record.kind === 'put' ? entry.record.etag : undefined
      const isEcho = repeated && found === etag
      if (ifNoneMatch !== undefined && found !== undefined && !isEcho) throw this.#exists(path)
      if (ifMatch !== undefined && found !== ifMatch && !isEcho) {
        throw this.precondition(path, ifMatch)
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
    if ((await this.#etagInStore(path)) !== remote) throw this.precondition(path, ifMatch)
    return { is: 'version', etag: remote, ...own }
  }

  /** The same for the new name of a record that is moved. */
  async ofTarget(path: string, { etag }: PutRecord, options: MoveOptions): Promise<Base> {
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
      return this.ofWrite(path, etag, { ...conditions, isFree: known.isFree })
    }
    const found = await this.inStore(path)
    if (found?.isDir === true) {
      throw ifNoneMatch === undefined ? this.#isDirectory(path) : this.#exists(path)
    }
    const isPending = overlay.get(path) !== undefined
    if (!isPending && ifNoneMatch !== undefined && found !== undefined) throw this.#exists(path)
    return this.ofWrite(path, etag, { ...conditions, isFree: found === undefined })
  }

  /** What the store has at a path, file or directory. */
  async inStore(path: string): Promise<{ readonly isDir: boolean } | undefined> {
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

  /** Where directories are real: what is pending is as good as stored. Of the rest the store will tell. */
  #checkKind(path: string): void {
    if (!this.#remote.capabilities.realDirectories) return
    const { overlay } = this.#journal
    if (overlay.isDirectory(path)) throw this.#isDirectory(path)
    for (const above of withAncestors(parentPath(path))) {
      if (overlay.get(above)?.kind === 'put') throw this.#isFile(above)
    }
  }

  #exists(path: string): PreconditionError {
    return new PreconditionError(`${path} exists`, { driver: this.#remote.name, path })
  }

  precondition(path: string, etag: string): PreconditionError {
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
