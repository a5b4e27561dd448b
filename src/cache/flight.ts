/**
 * Blocks that one request brings, from its start until it has settled: each block lands as soon as its
 * bytes are there, and those that wait for it go on while the rest is still coming.
 *
 * INVARIANT: a block has either landed or failed once the flight is over, and memory of a block that
 * failed is given back only then, when nothing writes to it any more.
 */
import type { Block } from './block.js'

export interface FlightEvents {
  landed(block: Block): void
  /** Nothing more is to be expected of these; the flight may still be writing to their memory. */
  lost(blocks: readonly Block[]): void
  /** The flight is over: memory of blocks that did not land is free. */
  free(blocks: readonly Block[]): void
}

export type Start = (flight: {
  readonly signal: AbortSignal
  readonly targets: readonly Uint8Array[]
  readonly filled: (target: Uint8Array) => void
}) => Promise<void>

/** What was fetched ahead of need. */
export interface Prefetch {
  readonly isOver: boolean
  /** It is not wanted any more, unless somebody waits for it. */
  cancel(): void
}

export class Flight {
  readonly #events: FlightEvents
  readonly #blocks: readonly Block[]
  readonly #controller = new AbortController()
  #landed = 0
  /** How many waits for its blocks there are, and one if it is wanted ahead of need. */
  #interest = 0
  #lost = false

  readonly #start: Start

  constructor(blocks: readonly Block[], start: Start, events: FlightEvents) {
    this.#blocks = blocks
    this.#start = start
    this.#events = events
  }

  get isOver(): boolean {
    return this.#lost || this.#landed === this.#blocks.length
  }

  /** Sends the request, whose blocks may land before this returns. */
  start(): void {
    const targets = this.#blocks.map(({ buffer, length }) =>
      buffer.length === length ? buffer : buffer.subarray(0, length),
    )
    const { signal } = this.#controller
    this.#start({ signal, targets, filled: () => this.#land() }).then(
      () => {
        while (!this.#lost && this.#landed < this.#blocks.length) this.#land()
        this.#events.free(this.#blocks.slice(this.#landed))
      },
      (error: unknown) => this.#fail(error),
    )
  }

  want(): void {
    this.#interest += 1
  }

  /** One who wanted a block has no use for it now, but may want it again soon. */
  leave(): void {
    this.#interest -= 1
  }

  /** One who wanted a block no longer does. Without any the flight is called off. */
  unwant(): void {
    this.#interest -= 1
    if (this.#interest > 0 || this.isOver) return
    // Whoever comes now must not join what is being called off.
    this.#lost = true
    this.#events.lost(this.#blocks.slice(this.#landed))
    this.#controller.abort()
  }

  abort(): void {
    this.#controller.abort()
  }

  #land(): void {
    const block = this.#blocks[this.#landed]
    if (block === undefined || this.#lost) return
    this.#landed += 1
    this.#interest -= block.waits.length
    const waits = block.waits
    block.waits = []
    block.pins += waits.length
    this.#events.landed(block)
    for (const wait of waits) wait.arrived(block)
  }

  #fail(error: unknown): void {
    const missing = this.#blocks.slice(this.#landed)
    if (!this.#lost) this.#events.lost(missing)
    this.#lost = true
    for (const block of missing) {
      const waits = block.waits
      block.waits = []
      for (const wait of waits) wait.failed(error)
    }
    this.#events.free(missing)
  }
}

/** A flight as it is seen by who had wanted it ahead of need. */
export function ahead(flight: Flight): Prefetch {
  let isWanted = true
  return {
    get isOver() {
      return flight.isOver
    },
    cancel: () => {
      if (!isWanted) return
      isWanted = false
      flight.unwant()
    },
  }
}
