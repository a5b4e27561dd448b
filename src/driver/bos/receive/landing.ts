/**
 * Where the body of an answer goes: memory that somebody else owns and that the bytes are written to
 * in order, by the system itself where they come from a socket of ours, by a copy otherwise.
 *
 * INVARIANT: a buffer is never written to again once `filled` was called for it, nor any of them after
 * the exchange has settled.
 */
import type { Bytes } from '../../../util/units.js'
import { BosError } from '../error.js'
import type { BodySink, HttpHead } from '../exchange.js'

export interface Landing {
  /** In the order of the bytes. Together as long as the body, or the exchange fails. */
  readonly buffers: readonly Uint8Array[]
  /** One more buffer, the first at first, has all its bytes. What it throws ends the exchange. */
  filled?(buffer: Uint8Array): void
}

/** Chooses the memory for the body of a good answer; what it throws ends the exchange. */
export type ChooseLanding = (head: HttpHead) => Landing

const NOTHING = new Uint8Array(0)

function tooMany(): BosError {
  return new BosError('more bytes than announced', { kind: 'integrity' })
}

/** A landing while bytes come in. */
export class Touchdown {
  readonly length: Bytes
  readonly #landing: Landing
  #index = 0
  #position: Bytes = 0
  #left: Bytes

  constructor(landing: Landing) {
    this.#landing = landing
    this.length = landing.buffers.reduce((sum, buffer) => sum + buffer.length, 0)
    this.#left = this.length
    this.#skipFull()
  }

  /** Bytes that are still to come. */
  get left(): Bytes {
    return this.#left
  }

  /** Where the next bytes are to be written; empty when all have come. */
  rest(): Uint8Array {
    const buffer = this.#landing.buffers[this.#index]
    if (buffer === undefined) return NOTHING
    return this.#position === 0 ? buffer : buffer.subarray(this.#position)
  }

  /** So many bytes were written to the beginning of `rest()`. */
  advance(bytes: Bytes): void {
    this.#position += bytes
    this.#left -= bytes
    this.#skipFull()
  }

  /** Takes bytes that lie somewhere else. @throws BosError if there is no room for them */
  copy(chunk: Uint8Array): void {
    if (chunk.length > this.#left) throw tooMany()
    for (let from = 0; from < chunk.length;) {
      const target = this.rest()
      const to = Math.min(chunk.length, from + target.length)
      target.set(chunk.subarray(from, to))
      this.advance(to - from)
      from = to
    }
  }

  #skipFull(): void {
    for (;;) {
      const buffer = this.#landing.buffers[this.#index]
      if (buffer === undefined || this.#position < buffer.length) return
      this.#index += 1
      this.#position = 0
      this.#landing.filled?.(buffer)
    }
  }
}

/** Takes the pieces of a body that came by another way. */
export function landingSink(landing: Landing): BodySink {
  const touchdown = new Touchdown(landing)
  return chunk => touchdown.copy(chunk)
}
