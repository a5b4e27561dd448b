/** The requests that wait for their answers: those whose promises have not settled yet. */
import { TransientMap } from '../../util/transient-map.js'
import type { Milliseconds } from '../../util/units.js'
import { OPCODE } from './abi.js'
import type { Activity } from './notify.js'
import type { Request } from './request.js'

/** Lock the directory that their header names, and another. */
const ACROSS_DIRECTORIES: ReadonlySet<number> = new Set([
  OPCODE.RENAME,
  OPCODE.RENAME2,
  OPCODE.LINK,
])

export class PendingRequests {
  /** By `unique`. */
  readonly #requests = new TransientMap<number, Request>()
  #onIdle: (() => void) | undefined

  get size(): number {
    return this.#requests.size
  }

  add(request: Request): void {
    this.#requests.set(request.unique, request)
  }

  /** The request has settled. */
  remove({ unique }: Request): void {
    this.#requests.delete(unique)
    if (this.#requests.size === 0) this.#onIdle?.()
  }

  find(unique: number): Request | undefined {
    return this.#requests.get(unique)
  }

  /** What the kernel may hold locks for. */
  activity(): Activity {
    const requests = [...this.#requests.values()]
    return {
      inodes: new Set(requests.map(({ ino }) => ino)),
      acrossDirectories: requests.some(({ opcode }) => ACROSS_DIRECTORIES.has(opcode)),
    }
  }

  abort(): void {
    for (const request of this.#requests.values()) request.abort()
  }

  /** Waits until all have settled, but no longer than `timeout`. @returns those that have not */
  async drain(timeout: Milliseconds): Promise<readonly Request[]> {
    if (this.#requests.size > 0) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, timeout)
        this.#onIdle = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    return [...this.#requests.values()]
  }
}
