/** That the connection of a request is gone, and who is to be told: once, and for good. */
import { ConnectionLost } from './errors.js'

export class ConnectionLoss {
  #error: ConnectionLost | undefined
  /** Made when somebody asks for the signal: few requests need one. */
  #controller: AbortController | undefined
  readonly #waiting = new Set<(error: ConnectionLost) => void>()

  get isLost(): boolean {
    return this.#error !== undefined
  }

  /** Aborted when the connection is gone. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.isLost) this.#controller.abort()
    return this.#controller.signal
  }

  /** The connection is gone. */
  declare(): void {
    if (this.#error !== undefined) return
    this.#error = new ConnectionLost('the connection is gone')
    this.#controller?.abort()
    for (const reject of this.#waiting) reject(this.#error)
    this.#waiting.clear()
  }

  /** Resolves when `begin` says that it is done. @throws ConnectionLost when the connection goes before */
  async unlessLost(begin: (done: () => void) => void): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      if (this.#error !== undefined) {
        reject(this.#error)
        return
      }
      this.#waiting.add(reject)
      begin(() => {
        this.#waiting.delete(reject)
        resolve()
      })
    })
  }
}
