/**
 * Where files live on that have no name any more and are still open.
 *
 * Model: such a file gets a home in the reserved directory of the store, under a name that no other
 * mount uses. What the store has of it is carried there, inside the store, before its old name goes;
 * what is written to it afterwards is stored there if it must be stored at all. The ledger knows the
 * home before anything is put into it. With the last handle the home goes.
 *
 * A file that nobody has open never comes here. One that is on its way when the store stops answering is
 * returning-files.ts's.
 */
import type { StorageDriver, WriteResult } from '../../driver/driver.js'
import { PathNotFoundError } from '../../driver/errors.js'
import { UNLINKED_DIRECTORY } from '../../driver/path.js'
import type { Logger } from '../../util/log.js'
import type { Ledger } from './ledger.js'
import { ReturningFiles } from './returning-files.js'
import type { Returned } from './returning-files.js'
import type { Unsaved } from './unsaved.js'

export interface UnlinkedFilesOptions {
  driver: StorageDriver
  ledger: Ledger
  /** Different for every mount there ever is. */
  mountId: string
  log: Logger
}

/** The version of a file that its holders have. */
export interface HeldVersion {
  readonly path: string
  readonly etag: string
  readonly size: number
  /** It has failed to be carried, and after a time of doubt is under its name. */
  readonly returned?: Returned
}

export class UnlinkedFiles {
  /** What was on its way when the store stopped answering. */
  readonly returning: ReturningFiles
  readonly #options: UnlinkedFilesOptions
  /** Homes that the store may have something in, and when the ledger knew of them. */
  readonly #used = new Map<string, Promise<void>>()
  #next = 1

  constructor(options: UnlinkedFilesOptions) {
    this.#options = options
    this.returning = new ReturningFiles(options)
  }

  /** Homes that the store may have something in. */
  get used(): number {
    return this.#used.size
  }

  newHome(): string {
    const home = `${UNLINKED_DIRECTORY}/${this.#options.mountId}-${this.#next}`
    this.#next += 1
    return home
  }

  /** Must have resolved before anything is put into a home. */
  async announce(home: string): Promise<void> {
    const known = this.#used.get(home) ?? this.#record(home)
    this.#used.set(home, known)
    await known
  }

  /**
   * Carries a file's content to its home: all of it, or nothing.
   *
   * @param how  `copy` leaves the name as it is, for whatever replaces it at one stroke
   * @returns the version at home, or undefined if the store has the held version no more
   * @throws whatever the store throws; the name has the content then, or will have it again
   */
  async carry(
    held: HeldVersion,
    home: string,
    how: 'move' | 'copy',
  ): Promise<WriteResult | undefined> {
    if (!(await this.#isThere(held))) return undefined
    await this.announce(home)
    return how === 'copy' ? this.#copy(held, home) : this.#move(held, home)
  }

  /** Nobody needs the home any more. What cannot be removed now, the next mount removes. */
  async remove(home: string): Promise<void> {
    if (!this.#used.has(home)) return
    const { driver, ledger, log } = this.#options
    try {
      await driver.deleteFile(home)
      ledger.strike({ kind: 'object', path: home })
    } catch (error) {
      log.warn({ path: home, err: error }, 'cannot remove the content of an unlinked file')
    }
    this.#used.delete(home)
  }

  /**
   * Removes every home: nobody can hold anything any more. Where the store does not answer, that is left
   * to the next mount.
   *
   * @returns names that lack their content
   */
  async close({ isSilent }: { readonly isSilent: boolean }): Promise<readonly Unsaved[]> {
    const homes = isSilent ? [] : [...this.#used.keys()]
    const [unsaved] = await Promise.all([
      this.returning.close({ isSilent }),
      ...homes.map(home => this.remove(home)),
    ])
    return unsaved
  }

  async #isThere({ path, etag, size }: HeldVersion): Promise<boolean> {
    try {
      const now = await this.#options.driver.stat(path, { expect: 'file' })
      return now.etag === etag && now.size === size
    } catch (error) {
      if (error instanceof PathNotFoundError) return false
      throw error
    }
  }

  async #copy({ path, size }: HeldVersion, home: string): Promise<WriteResult | undefined> {
    try {
      const copy = await this.#options.driver.copy(path, home)
      if (copy.size === size) return copy
    } catch (error) {
      await this.remove(home)
      if (!(error instanceof PathNotFoundError)) throw error
      return undefined
    }
    await this.remove(home)
    return undefined
  }

  async #move(held: HeldVersion, home: string): Promise<WriteResult | undefined> {
    const { driver } = this.#options
    let moved: WriteResult | undefined
    try {
      moved = await driver.move(held.path, home)
    } catch (error) {
      // As long as the name has it, nothing has happened. Otherwise what is at home may be all there is.
      const isThere = await this.#isThere(held).catch(() => 'unknown' as const)
      if (isThere === true) await this.remove(home)
      if (isThere === 'unknown') {
        this.#used.delete(home)
        await this.returning.owe(held.path, home, held.returned ?? (() => undefined))
      }
      if (isThere !== false) throw error
    }
    try {
      const { etag = held.etag, size } = moved ?? (await driver.stat(home, { expect: 'file' }))
      return size === held.size ? { etag, size } : undefined
    } catch (error) {
      if (error instanceof PathNotFoundError) return undefined
      // It was moved; a move seldom changes the etag, and a reader is told if this one did.
      return { etag: held.etag, size: held.size }
    }
  }

  async #record(home: string): Promise<void> {
    const { ledger, log } = this.#options
    await ledger.record({ kind: 'object', path: home }).catch((error: unknown) => {
      // A home that may be left behind is better than a file that cannot be unlinked.
      log.warn({ path: home, err: error }, 'cannot note the content of an unlinked file')
    })
  }
}
