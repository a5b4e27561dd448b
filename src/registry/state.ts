/** How far a long piece of work has come, in a file, so that another process can go on with it. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A state file that is not of this work, or not of this version. */
export class StateError extends Error {
  override readonly name = 'StateError'
}

/** What makes two runs the same work. */
export interface Identity {
  readonly work: string
  readonly [key: string]: string | number | boolean
}

export class StateFile<T> {
  readonly #file: string
  readonly #identity: Identity
  #writing: Promise<void> = Promise.resolve()

  /** @param folder  must exist */
  constructor(folder: string, identity: Identity) {
    this.#file = join(folder, `${identity.work}.json`)
    this.#identity = identity
  }

  /** What was saved last, or undefined. @throws StateError when it is of another work */
  async load(): Promise<T | undefined> {
    let text: string
    try {
      text = await readFile(this.#file, 'utf8')
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw error
    }
    const { identity, state } = parse(text, this.#file)
    if (JSON.stringify(identity) === JSON.stringify(this.#identity)) return state as T
    throw new StateError(
      `${this.#file} is of another run (${JSON.stringify(identity)}): remove it, or use another folder`,
    )
  }

  /** Replaces the file as a whole. */
  async save(state: T): Promise<void> {
    const text = JSON.stringify({ identity: this.#identity, state })
    const write = async (): Promise<void> => {
      await writeFile(`${this.#file}.new`, text, { mode: 0o600 })
      await rename(`${this.#file}.new`, this.#file)
    }
    this.#writing = this.#writing.then(write, write)
    await this.#writing
  }
}

function parse(text: string, file: string): { identity: unknown; state: unknown } {
  try {
    return JSON.parse(text) as { identity: unknown; state: unknown }
  } catch (cause) {
    throw new StateError(`${file} is not a state file: remove it`, { cause })
  }
}
