/**
 * Files whose unlink has failed when the store stopped answering: whether the name still has the content,
 * or its new home alone (unlinked-files.ts), only the store can tell. The name is owed its content.
 *
 * It gets it back as soon as anybody looks the name up, when the store answers again, at unmount, or by
 * the next mount, which knows of it from the ledger. What lies under the name by then is never replaced.
 */
import type { StorageDriver } from '../../driver/driver.js'
import { PathNotFoundError, PreconditionError } from '../../driver/errors.js'
import { ErrnoError } from '../../util/errno.js'
import type { Logger } from '../../util/log.js'
import type { Milliseconds } from '../../util/units.js'
import type { Ledger } from './ledger.js'
import type { Unsaved } from './unsaved.js'

export interface ReturningFilesOptions {
  driver: StorageDriver
  ledger: Ledger
  log: Logger
}

/** Nothing is owed any more; `isBack` says that the name has got its content, and no other. */
export type Returned = (isBack: boolean) => void

interface Owed {
  readonly home: string
  readonly returned: Returned
  underWay: Promise<boolean> | undefined
}

/** How often the store is tried; it may be away for long. */
const RETRY: Milliseconds = 1000

export class ReturningFiles {
  readonly #options: ReturningFilesOptions
  readonly #owed = new Map<string, Owed>()
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: ReturningFilesOptions) {
    this.#options = options
  }

  /** Names that may lack their content. */
  get names(): readonly string[] {
    return [...this.#owed.keys()]
  }

  /** Never rejects: a copy that nobody finds is better than none. */
  async owe(name: string, home: string, returned: Returned): Promise<void> {
    const { ledger, log } = this.#options
    this.#owed.set(name, { home, returned, underWay: undefined })
    this.#schedule()
    await ledger.record({ kind: 'return', path: home, to: name }).catch((error: unknown) => {
      log.warn({ path: name, home, err: error }, 'cannot note a file whose unlink has failed')
    })
    ledger.strike({ kind: 'object', path: home })
  }

  /**
   * Gives a name, and all below it, back what they are owed.
   *
   * @returns whether the name may stand for something now that it had not before
   * @throws the first failure, after having tried each; what failed is owed still
   */
  async bring(path: string): Promise<boolean> {
    if (this.#owed.size === 0) return false
    const below = path === '/' ? '/' : `${path}/`
    const names = this.names.filter(name => name === path || name.startsWith(below))
    const outcomes = await Promise.allSettled(names.map(name => this.#bringOnce(name)))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    return outcomes.some(outcome => outcome.status === 'fulfilled' && outcome.value)
  }

  /** Tries for the last time. @returns what is left for the next mount */
  async close({ isSilent }: { readonly isSilent: boolean }): Promise<readonly Unsaved[]> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    const error: unknown = isSilent
      ? new ErrnoError('EIO', 'the store does not answer')
      : await this.bring('/').catch((failure: unknown) => failure)
    return this.names.map(name => ({ name: `${name} (its unlink had failed)`, error }))
  }

  #bringOnce(name: string): Promise<boolean> {
    const owed = this.#owed.get(name)
    if (owed === undefined) return Promise.resolve(false)
    owed.underWay ??= this.#bring(name, owed).finally(() => (owed.underWay = undefined))
    return owed.underWay
  }

  async #bring(name: string, { home, returned }: Owed): Promise<boolean> {
    const { driver, ledger, log } = this.#options
    let isThere = true
    let isBack = false
    try {
      await driver.move(home, name, { ifNoneMatch: '*' })
      isBack = true
      log.info({ path: name }, 'a file whose unlink had failed is there again')
    } catch (error) {
      if (error instanceof PathNotFoundError) isThere = false
      else if (error instanceof PreconditionError) await driver.deleteFile(home)
      else throw error
    }
    this.#owed.delete(name)
    ledger.strike({ kind: 'return', path: home, to: name })
    returned(isBack)
    return isThere
  }

  #schedule(): void {
    if (this.#isClosed) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.bring('/').catch(() => this.#schedule())
    }, RETRY).unref()
  }
}
