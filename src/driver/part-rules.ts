/** What compositions of all drivers ask of parts, and how they say that it is not so. Pure. */
import type { Bytes } from '../util/units.js'
import type { Part, PartLimits } from './driver.js'
import { DriverError, IntegrityError } from './errors.js'

export interface PartRulesOptions {
  /** The driver's name. */
  readonly driver: string
  /** Of the composition. */
  readonly path: string
  readonly limits: PartLimits
}

export class PartRules {
  readonly #options: PartRulesOptions

  constructor(options: PartRulesOptions) {
    this.#options = options
  }

  /** @throws DriverError */
  check(partNumber: number, size: Bytes = 0): void {
    const { maxParts, maxPartSize } = this.#options.limits
    if (!Number.isInteger(partNumber) || partNumber < 1 || partNumber > maxParts) {
      throw this.#error(`part number ${partNumber} is not between 1 and ${maxParts}`)
    }
    if (size > maxPartSize) throw this.#error(`a part is larger than ${maxPartSize} bytes`)
  }

  /** The parts that a completion names, in their order. @throws DriverError if there are none */
  ordered(parts: readonly Part[]): readonly Part[] {
    if (parts.length === 0) throw this.#error('a composition needs at least one part')
    return parts.toSorted((a, b) => a.partNumber - b.partNumber)
  }

  /**
   * What was stored of the parts that a completion names, in their order.
   *
   * @throws IntegrityError if one is not as it was stored
   * @throws DriverError if there are none, or one is too small
   */
  chosen<Stored extends { readonly etag: string; readonly size: Bytes }>(
    parts: readonly Part[],
    stored: ReadonlyMap<number, Stored>,
  ): readonly Stored[] {
    const { driver, path, limits } = this.#options
    const ordered = this.ordered(parts)
    return ordered.map(({ partNumber, etag }, index) => {
      const found = stored.get(partNumber)
      if (found?.etag !== etag) {
        const message = `part ${partNumber} of ${path} is not the one that was uploaded`
        throw new IntegrityError(message, { driver, path })
      }
      if (index < ordered.length - 1 && found.size < limits.minPartSize) {
        throw this.#error(`part ${partNumber} of ${path} is smaller than ${limits.minPartSize}`)
      }
      return found
    })
  }

  #error(message: string): DriverError {
    const { driver, path } = this.#options
    return new DriverError(message, { driver, path })
  }
}
