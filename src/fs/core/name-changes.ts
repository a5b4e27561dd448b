/**
 * Changes of names that nobody waits for any more.
 *
 * A change whose request has left cannot be taken back. Whoever is interrupted while he waits for one is
 * told so, and the change goes on without him. The kernel believes then that nothing happens to the
 * names any more, and lets the next call in. What its locks would have kept apart is kept apart here:
 * - another change of one of the names, or in a directory that is being moved or removed, waits until
 *   the first is over, and finds what it has left; so does whoever opens a file that it concerns;
 * - the same call again (a program that repeats what was interrupted) waits for it and has its outcome;
 * - whoever looks the names up or lists them sees them as they were before, until it is over.
 *
 * INVARIANT: inodes that a change concerns stay in the table until it is over.
 */
import { abortable } from '../../util/abort.js'
import { ErrnoError } from '../../util/errno.js'
import type { Logger } from '../../util/log.js'
import type { Notifier, RequestContext } from '../operations.js'
import type { InodeTable } from './inode-table.js'
import type { DirectoryInode, FileInode, Inode } from './inode.js'

export interface Name {
  readonly parent: DirectoryInode
  readonly name: string
}

/** A call that changes names, and would do the same if it were made again. */
export interface NameCall {
  readonly operation: 'make' | 'unlink' | 'rmdir' | 'rename'
  readonly names: readonly Name[]
  readonly flags?: number
}

export interface NameChange extends NameCall {
  /** What has the names, and what may get them. */
  readonly inodes: readonly Inode[]
}

export interface NameChangesOptions {
  inodes: InodeTable
  notifier: () => Notifier
  log: Logger
}

interface Abandoned extends NameChange {
  /** Whether it has done what was asked; rejects if it failed. */
  readonly outcome: Promise<boolean>
}

interface Work<T> {
  readonly work: (signal: AbortSignal) => Promise<T>
  readonly undo?: (made: T) => Promise<void>
}

/** Each belongs to a call that was interrupted while the store did not answer. Beyond, calls wait. */
const MOST = 1000

export class NameChanges {
  readonly #options: NameChangesOptions
  readonly #abandoned = new Set<Abandoned>()

  constructor(options: NameChangesOptions) {
    this.#options = options
  }

  /**
   * Makes a change. Interrupted, it gives the waiting up, not the work.
   *
   * @param work  may end by the reason of the signal that it gets, as long as it has done nothing
   * @param undo  for a change that is of no use to anybody who was not told of it
   */
  async run<T>(
    { signal }: RequestContext,
    change: NameChange,
    { work, undo }: Work<T>,
  ): Promise<T> {
    signal.throwIfAborted()
    const { inodes } = this.#options
    const release = inodes.pin([...change.inodes, ...change.names.map(({ parent }) => parent)])
    let isOver = false
    const made = work(signal).finally(() => (isOver = true))
    try {
      await abortable(made, signal)
    } catch (error) {
      if (!isOver && this.#abandoned.size < MOST) {
        this.#abandon(change, { made, undo, signal, release })
        throw error
      }
    }
    return await made.finally(release)
  }

  /**
   * Whether the very same call goes on, was waited for, and has done what was asked.
   *
   * @throws what it failed with
   */
  async repeats({ signal }: RequestContext, call: NameCall): Promise<boolean> {
    for (const abandoned of this.#abandoned) {
      if (isSame(abandoned, call)) return await abortable(abandoned.outcome, signal)
    }
    return false
  }

  /**
   * Resolves when nothing is in the way of changing the names, or something in the directories; nothing
   * to wait for if nothing is.
   *
   * @throws ErrnoError ENOENT if that has removed the directory of one
   */
  free(
    context: RequestContext,
    call: NameCall,
    directories: readonly DirectoryInode[] = [],
  ): Promise<void> | undefined {
    return this.#abandoned.size === 0 ? undefined : this.#free(context, call, directories)
  }

  async #free(
    { signal }: RequestContext,
    call: NameCall,
    directories: readonly DirectoryInode[],
  ): Promise<void> {
    for (;;) {
      const before = [...this.#abandoned].find(each => this.#isInTheWay(each, call, directories))
      if (before === undefined) break
      await abortable(over(before), signal)
    }
    for (const { parent, name } of call.names) {
      const { inodes } = this.#options
      if (!inodes.isLinked(parent)) throw new ErrnoError('ENOENT', inodes.childPath(parent, name))
    }
  }

  /** As `free`, of opening a file. @throws ErrnoError ESTALE if it is gone */
  freeFile(context: RequestContext, file: FileInode): Promise<void> | undefined {
    return this.#abandoned.size === 0 ? undefined : this.#freeFile(context, file)
  }

  async #freeFile({ signal }: RequestContext, file: FileInode): Promise<void> {
    for (const each of this.#abandoned) {
      if (!each.inodes.includes(file)) continue
      await abortable(over(each), signal)
      // The kernel looks the name up again.
      if (file.parent === undefined) {
        throw new ErrnoError('ESTALE', `${this.#options.inodes.path(file)} was removed`)
      }
    }
  }

  /** Whether the name is seen as it was before a change. */
  concerns(parent: DirectoryInode, name: string): boolean {
    if (this.#abandoned.size === 0) return false
    for (const { names } of this.#abandoned) {
      if (names.some(each => each.parent === parent && each.name === name)) return true
    }
    return false
  }

  /** Resolves when all that goes on in a directory now, or anywhere, is over. Never rejects. */
  async settled(directory?: DirectoryInode): Promise<void> {
    const changes = [...this.#abandoned].filter(
      ({ names }) => directory === undefined || names.some(({ parent }) => parent === directory),
    )
    await Promise.all(changes.map(over))
  }

  #isInTheWay(
    before: Abandoned,
    { operation, names }: NameCall,
    directories: readonly DirectoryInode[],
  ): boolean {
    const isSameName = before.names.some(({ parent, name }) =>
      names.some(each => each.parent === parent && each.name === name),
    )
    if (isSameName) return true
    const changed = before.inodes.filter(inode => inode.kind === 'directory')
    // Two directories that are moved at a time could end up below each other.
    const areRenames = before.operation === 'rename' && operation === 'rename'
    if (areRenames && changed.length > 0 && directories.length > 0) return true
    return (
      names.some(({ parent }) => this.#isWithin(parent, changed)) ||
      before.names.some(({ parent }) => this.#isWithin(parent, directories))
    )
  }

  #isWithin(directory: DirectoryInode, above: readonly DirectoryInode[]): boolean {
    const { inodes } = this.#options
    return above.some(each => each === directory || inodes.isBelow(directory, each))
  }

  #abandon<T>(
    change: NameChange,
    under: {
      readonly made: Promise<T>
      readonly undo: ((made: T) => Promise<void>) | undefined
      readonly signal: AbortSignal
      readonly release: () => void
    },
  ): void {
    const { made, undo, signal, release } = under
    const finish = async (): Promise<boolean> => {
      try {
        const result = await made
        await undo?.(result)
        return undo === undefined
      } catch (error) {
        if (error === signal.reason) return false
        this.#failed(change, error)
        throw error
      } finally {
        this.#abandoned.delete(abandoned)
        const { notifier } = this.#options
        for (const { parent, name } of change.names) notifier().invalidateEntry(parent.ino, name)
        release()
      }
    }
    const abandoned: Abandoned = { ...change, outcome: finish() }
    // Whoever waits for it is told.
    abandoned.outcome.catch(() => undefined)
    this.#abandoned.add(abandoned)
  }

  #failed({ operation, names }: NameChange, error: unknown): void {
    const { inodes, log } = this.#options
    const paths = names.map(({ parent, name }) => inodes.childPath(parent, name))
    log.warn(
      { operation, path: paths.join(' -> '), err: error },
      `${operation} has failed that was interrupted`,
    )
  }
}

function over({ outcome }: Abandoned): Promise<void> {
  return outcome.then(
    () => undefined,
    () => undefined,
  )
}

function isSame(one: NameCall, other: NameCall): boolean {
  return (
    one.operation === other.operation &&
    one.flags === other.flags &&
    one.names.every(({ parent, name }, i) => {
      const each = other.names[i]
      return each?.parent === parent && each.name === name
    })
  )
}
