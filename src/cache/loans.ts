/**
 * Pins on blocks whose slices were handed out, given back on the event loop's next turn: until then a
 * caller of Operations.read may have what it was given written to the kernel.
 */
import type { Block } from './block.js'

export class Loans {
  readonly #unpin: (block: Block) => void
  #lent: Block[] = []

  constructor(unpin: (block: Block) => void) {
    this.#unpin = unpin
  }

  lend(block: Block): void {
    block.pins += 1
    if (this.#lent.length === 0) setImmediate(this.#giveBack)
    this.#lent.push(block)
  }

  readonly #giveBack = (): void => {
    const lent = this.#lent
    this.#lent = []
    for (const block of lent) this.#unpin(block)
  }
}
