/** Storing many things, each for itself, and saying by name which of them could not be stored. */
import { DriverError } from '../../driver/errors.js'
import { ErrnoError } from '../../util/errno.js'
import { forEachParallel } from '../../util/semaphore.js'
import { toErrnoError } from './to-errno.js'

export interface Unsaved {
  /** A path; a directory's ends with a slash. What else is to be said of it follows in brackets. */
  readonly name: string
  readonly error: unknown
}

/** Stored at once. */
const PARALLELISM = 16
/** Named in a message; the log names all. */
const NAMED = 20

/** Has the errno of the first failure, and its message. */
export class UnsavedError extends ErrnoError {
  readonly unsaved: readonly Unsaved[]

  constructor(first: Unsaved, ...others: readonly Unsaved[]) {
    const unsaved = [first, ...others]
    const { code } = toErrnoError(first.error)
    const why = first.error instanceof Error ? first.error.message : String(first.error)
    const named = unsaved.slice(0, NAMED).map(({ name }) => name)
    const more = unsaved.length > NAMED ? ` and ${unsaved.length - NAMED} more` : ''
    super(code, `${named.join(', ')}${more}: ${why}`, { cause: first.error })
    this.unsaved = unsaved
  }
}

/**
 * Stores the things, group after group. When the store has answered for none of a group, or for none of
 * many in a row, it is not asked for the others: they are not stored for the same reason, and nobody
 * waits for one time-out after another.
 *
 * @throws UnsavedError
 */
export async function saveAll<T>(
  groups: readonly (readonly T[])[],
  save: (thing: T) => Promise<void>,
  nameOf: (thing: T) => string,
): Promise<void> {
  const unsaved: Unsaved[] = []
  const state: { inARow: number; silence: { readonly error: unknown } | undefined } = {
    inARow: 0,
    silence: undefined,
  }
  const saveOne = async (thing: T): Promise<boolean> => {
    const name = nameOf(thing)
    try {
      if (state.silence !== undefined) throw state.silence.error
      await save(thing)
      state.inARow = 0
      return true
    } catch (error) {
      unsaved.push({ name, error })
      const answered = isAnswer(error)
      state.inARow = answered ? 0 : state.inARow + 1
      if (state.inARow >= PARALLELISM) state.silence ??= { error }
      return answered
    }
  }
  for (const group of groups) {
    let isAnswered = group.length === 0
    const each = async (thing: T): Promise<void> => {
      if (await saveOne(thing)) isAnswered = true
    }
    await forEachParallel(group, each, { limit: PARALLELISM })
    if (!isAnswered) state.silence ??= { error: unsaved.at(-1)?.error }
  }
  throwIfAny(unsaved)
}

/** @throws UnsavedError */
export function throwIfAny([first, ...others]: readonly Unsaved[]): void {
  if (first !== undefined) throw new UnsavedError(first, ...others)
}

/** Whether the store has said so; else trying the next thing may take as long. */
export function isAnswer(error: unknown): boolean {
  if (error instanceof UnsavedError) return error.unsaved.some(each => isAnswer(each.error))
  if (error instanceof ErrnoError && error.cause !== undefined) return isAnswer(error.cause)
  if (!(error instanceof DriverError)) return error instanceof ErrnoError
  const isUnclear = error.code === 'TIMEOUT' || error.code === 'FAILED'
  return !isUnclear || error.requestId !== undefined
}
