/**
 * Directories whose renaming was interrupted: some of what is below may lie under both names, or under
 * the new name alone. Renaming again finishes it, although the new name is not empty any more.
 *
 * Model: a move is noted before it begins, in memory and in the ledger, so that the next mount knows of
 * it too, and struck when it has succeeded. It may be repeated as long as nothing would be lost by it:
 * what lies under both names is the same.
 */
import type { StorageDriver } from '../../driver/driver.js'
import type { Logger } from '../../util/log.js'
import type { Ledger, Move } from './ledger.js'

export interface UnfinishedMovesOptions {
  driver: StorageDriver
  ledger: Ledger
  log: Logger
  /** Those of mounts before. */
  moves: readonly Move[]
}

/** More than anybody repeats. */
const MOST = 1000

export class UnfinishedMoves {
  readonly #options: UnfinishedMovesOptions
  /** By the new name. */
  readonly #moves = new Map<string, Move>()

  constructor(options: UnfinishedMovesOptions) {
    this.#options = options
    for (const move of options.moves) this.#moves.set(move.to, move)
  }

  async begin({ from, to }: Move): Promise<void> {
    const known = this.#moves.get(to)
    if (known?.from === from) return
    if (known !== undefined) this.finished(known)
    const [oldest] = this.#moves.values()
    if (this.#moves.size >= MOST && oldest !== undefined) this.finished(oldest)
    this.#moves.set(to, { from, to })
    const { ledger, log } = this.#options
    await ledger.record({ kind: 'move', from, to }).catch((error: unknown) => {
      log.warn({ from, to, err: error }, 'cannot note that a directory is being moved')
    })
  }

  finished({ from, to }: Move): void {
    if (this.#moves.get(to)?.from !== from) return
    this.#moves.delete(to)
    this.#options.ledger.strike({ kind: 'move', from, to })
  }

  /** Whether the move was begun before, and can be finished without loss. */
  async canFinish({ from, to }: Move): Promise<boolean> {
    if (this.#moves.get(to)?.from !== from) return false
    const [left, moved] = [await this.#filesBelow(from), await this.#filesBelow(to)]
    for (const [path, etag] of moved) {
      const original = left.get(path)
      if (original !== undefined && original !== etag) return false
    }
    return true
  }

  /** Etags by path below the directory. */
  async #filesBelow(directory: string): Promise<Map<string, string | undefined>> {
    const files = new Map<string, string | undefined>()
    for await (const { directories } of this.#options.driver.entriesBelow(directory)) {
      for (const { entries } of directories) {
        for (const { path, isDir, etag } of entries) {
          if (!isDir) files.set(path.slice(directory.length), etag)
        }
      }
    }
    return files
  }
}
