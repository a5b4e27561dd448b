/** One version of one file: what cached bytes belong to. */
import type { Bytes } from '../util/units.js'

export interface ObjectId {
  /** Driver path. */
  readonly path: string
  readonly etag: string
  readonly size: Bytes
}
