/** One block of one version of a file: its bytes, and who needs them to stay where they are. */
import type { Bytes } from '../util/units.js'
import type { ObjectId } from './object-id.js'

/** A read that waits for blocks to come. */
export interface Wait {
  /** One of the blocks it waits for is there, pinned for it. */
  arrived(block: Block): void
  failed(error: unknown): void
}

export interface Block {
  readonly id: string
  readonly index: number
  /** Memory, maybe longer than the block. */
  readonly buffer: Buffer
  readonly length: Bytes
  /** How many need the bytes to stay. */
  pins: number
  /** In the cache, where it counts against the capacity. */
  cached: boolean
  /** Where in the block the last read ended; -1 before the first. */
  cursor: number
  /** Those who wait for it while it is on its way. */
  waits: Wait[]
}

export function blockId(object: ObjectId, index: number): string {
  return `${object.path}\0${object.etag}\0${index}`
}
