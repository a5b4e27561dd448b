/** A text that must not be seen: printing, inspecting or serialising it gives a placeholder. */
import { inspect } from 'node:util'

const PLACEHOLDER = '[secret]'

export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The text itself: for the place that signs with it, nowhere else. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return PLACEHOLDER
  }

  toJSON(): string {
    return PLACEHOLDER
  }

  [inspect.custom](): string {
    return PLACEHOLDER
  }
}
