/** What all files under write share: their limits, memory and local disk. write-back.ts is it. */
import type { Composition, PartLimits } from '../driver/driver.js'
import type { PartLayout } from '../driver/parts.js'
import type { Milliseconds } from '../util/units.js'
import type { Budget } from './budget.js'
import type { BufferPool } from './buffer-pool.js'
import type { Staging } from './staging.js'

export type Guard = <T>(work: () => Promise<T>) => Promise<T>

export interface DirtyFileOwner {
  readonly limits: PartLimits
  readonly layout: PartLayout
  readonly budget: Budget
  readonly pool: BufferPool
  readonly guard: Guard
  /** How long a write may wait for memory. */
  readonly patience: Milliseconds
  readonly staging: Staging | undefined
  /** For what is put together, to be sent, from bytes that are not in memory. */
  readonly assembly: Budget
  /** The file of this number was discarded. */
  forget(number: number): void
  /** Aborts an upload that nobody wants any more, and does not fail. */
  dropUpload(composition: Composition): Promise<void>
  /** Stores all files that have copied from the object at `path`, which is about to change. */
  settleGuarded(path: string): Promise<void>
}
