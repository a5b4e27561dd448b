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

/** What those who store things at the same time have learnt of a store that may be gone. */
export class Silence {
  #answers = 0
  #inARow = 0
  #reason: { readonly error: unknown } | undefined

  /** Why nothing more is to be tried; undefined as long as something is. */
  get reason(): { readonly error: unknown } | undefined {
    return this.#reason
  }

  /** Answers so far. */
  get answers(): number {
    return this.#answers
  }

  answered(): void {
    this.#answers += 1
    this.#inARow = 0
  }

  unanswered(error: unknown): void {
    this.#inARow += 1
    if (this.#inARow >= PARALLELISM) this.ends(error)
  }

  ends(error: unknown): void {
    this.#reason ??= { error }
  }
}

/** Storing that was begun because it was time, and that somebody may come to wait for. */
export class Attempt {
  /** Never rejects. */
  readonly done: Promise<void>
  readonly #silence = new Silence()

  constructor(store: (silence: Silence) => Promise<void>, onFailure: (error: unknown) => void) {
    this.done = store(this.#silence).catch(onFailure)
  }

  /** Waits for its end; a store that did not answer it is not asked again. */
  async join(silence: Silence): Promise<void> {
    await this.done
    const { reason } = this.#silence
    if (reason !== undefined) silence.ends(reason.error)
  }
}

/**
 * Stores the things, group after group. When the store has answered for none of a group, or for none of
 * many in a row, it is not asked for the others: they are not stored for the same reason, and nobody
 * waits for one time-out after another.
 *
 * @param silence  of those who ask the same store meanwhile; default of nobody
 * @throws UnsavedError
 */
export async function saveAll<T>(
  groups: readonly (readonly T[])[],
  save: (thing: T) => Promise<void>,
  nameOf: (thing: T) => string,
  silence = new Silence(),
): Promise<void> {
  const unsaved: Unsaved[] = []
  const saveOne = async (thing: T): Promise<void> => {
    const name = nameOf(thing)
    try {
      if (silence.reason !== undefined) throw silence.reason.error
      await save(thing)
      silence.answered()
    } catch (error) {
      unsaved.push({ name, error })
      if (isAnswer(error)) silence.answered()
      else silence.unanswered(error)
    }
  }
  for (const group of groups) {
    const before = silence.answers
    await forEachParallel(group, saveOne, { limit: PARALLELISM })
    if (group.length > 0 && silence.answers === before) silence.ends(unsaved.at(-1)?.error)
  }
  throwIfAny(unsaved)
}

/** @throws UnsavedError */
export function throwIfAny([first, ...others]: readonly Unsaved[]): void {
  if (first !== undefined) throw new UnsavedError(first, ...others)
}

/** Whether the store has said so; else trying the next thing may take as long. */
function isAnswer(error: unknown): boolean {
  if (error instanceof UnsavedError) return error.unsaved.some(each => isAnswer(each.error))
  if (error instanceof ErrnoError && error.cause !== undefined) return isAnswer(error.cause)
  if (!(error instanceof DriverError)) return error instanceof ErrnoError
  const isUnclear = error.code === 'TIMEOUT' || error.code === 'FAILED'
  return !isUnclear || error.requestId !== undefined
}
