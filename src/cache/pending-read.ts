/**
 * A read that waits for blocks which are on their way. It holds a pin on each of its blocks that is
 * there, and gives all of them back when it ends.
 */
import { listenForAbort } from '../util/abort.js'
import type { Block, Wait } from './block.js'
import type { Flight } from './flight.js'

/** A block on its way. */
export interface Coming {
  readonly block: Block
  readonly flight: Flight
}

export interface PendingReadOptions {
  /** Blocks that are there, each with a pin for this read. */
  readonly pinned: Block[]
  readonly awaited: readonly Coming[]
  readonly signal: AbortSignal | undefined
  readonly unpin: (block: Block) => void
  /** All blocks are there, in the order of the file, and pinned during the call. */
  readonly done: (blocks: readonly Block[]) => void
  readonly failed: (error: unknown) => void
}

export class PendingRead implements Wait {
  readonly #options: PendingReadOptions
  readonly #count: number
  readonly #onAbort = (): void => {
    this.#giveUp(this.#options.signal?.reason, flight => flight.unwant())
  }

  constructor(options: PendingReadOptions) {
    const { pinned, awaited, signal } = options
    this.#options = options
    this.#count = pinned.length + awaited.length
    for (const { block, flight } of awaited) {
      block.waits.push(this)
      flight.want()
    }
    listenForAbort(signal, this.#onAbort)
    this.#look()
  }

  arrived(block: Block): void {
    this.#options.pinned.push(block)
    this.#look()
  }

  failed(error: unknown): void {
    this.#giveUp(error, flight => flight.leave())
  }

  #look(): void {
    const { pinned, done } = this.#options
    if (pinned.length < this.#count) return
    pinned.sort((a, b) => a.index - b.index)
    done(pinned)
    this.#end()
  }

  #giveUp(error: unknown, leave: (flight: Flight) => void): void {
    for (const { block, flight } of this.#options.awaited) {
      const at = block.waits.indexOf(this)
      if (at < 0) continue
      block.waits.splice(at, 1)
      leave(flight)
    }
    this.#end()
    this.#options.failed(error)
  }

  #end(): void {
    const { signal, pinned, unpin } = this.#options
    signal?.removeEventListener('abort', this.#onAbort)
    for (const block of pinned) unpin(block)
  }
}
