/**
 * Which calls of a FileWriter are legal when. `commit` and `cancel` exclude each other and everything
 * after them but one `close`; after `close` nothing is legal.
 */
import { ClosedError } from './errors.js'

type Ending = 'committed' | 'cancelled'

export class WriterState {
  #ending: Ending | undefined
  #closed = false
  readonly #path: string
  readonly #driver: string

  constructor(path: string, driver: string) {
    this.#path = path
    this.#driver = driver
  }

  get ended(): boolean {
    return this.#ending !== undefined
  }

  /** @throws ClosedError unless the writer still takes bytes */
  assertOpen(): void {
    const state = this.#closed ? 'closed' : this.#ending
    if (state !== undefined) this.#fail(state)
  }

  /** @throws ClosedError on a second call */
  close(): void {
    if (this.#closed) this.#fail('closed')
    this.#closed = true
  }

  end(ending: Ending): void {
    this.#ending = ending
  }

  #fail(state: string): never {
    throw new ClosedError(`writer of ${this.#path} is already ${state}`, {
      driver: this.#driver,
      path: this.#path,
    })
  }
}
