/**
 * The bytes of one file under write that the store lacks, and what they take of memory and local disk.
 * Counts the changes of the content, so that it can be told later whether there was one meanwhile.
 */
import type { Bytes } from '../util/units.js'
import type { Budget } from './budget.js'
import type { ObjectId } from './object-id.js'
import type { Origin } from './origins.js'
import type { StagingFile } from './staging.js'
import type { WriteBuffer } from './write-buffer.js'

export interface HeldBytesOptions {
  readonly buffer: WriteBuffer
  readonly staging: StagingFile | undefined
  readonly budget: Budget
  /** The store has not even the file itself. */
  readonly isNew: boolean
}

export class HeldBytes {
  readonly buffer: WriteBuffer
  readonly #staging: StagingFile | undefined
  readonly #budget: Budget
  #isDirty: boolean
  #changes = 0

  constructor({ buffer, staging, budget, isNew }: HeldBytesOptions) {
    this.buffer = buffer
    this.#staging = staging
    this.#budget = budget
    this.#isDirty = isNew
  }

  /** The store lacks something: bytes, or the file itself. */
  get isDirty(): boolean {
    return this.#isDirty
  }

  /** How often the content was changed. */
  get changes(): number {
    return this.#changes
  }

  /** The content was changed. */
  touch(): void {
    this.#isDirty = true
    this.#changes += 1
  }

  /** The store lacks nothing any more, or never will have it. */
  settle(): void {
    this.#isDirty = false
  }

  /** Whether the file is what that version is. */
  isAll({ size }: ObjectId): boolean {
    return size === this.buffer.size && this.buffer.isClean(0, size)
  }

  /** All bytes are in a version of this size. @returns undefined if there is nothing to wait for */
  forget(size: Bytes): Promise<void> | undefined {
    const { held } = this.buffer
    this.buffer.reset(size)
    this.#budget.release(held)
    return this.#staging?.clear()
  }

  /** The base has all parts that have left, as none has left since; and the origins. */
  adopt(origins: readonly Origin[]): void {
    const { held } = this.buffer
    this.buffer.adopt(origins)
    this.#budget.release(held - this.buffer.held)
  }
}
