/** What an object's metadata comes to. Pure. */
import type { Bytes } from '../util/units.js'
import type { Metadata } from './driver.js'

/** What BOS puts before each name, and counts. */
const HEADER_PREFIX = 'x-bce-meta-'

/**
 * The size that a store's limit is about.
 *
 * @see BOS PutObject, "User metadata": 2 KB for the names of the headers and their values
 */
export function metadataSize(metadata: Metadata): Bytes {
  return Object.entries(metadata).reduce(
    (sum, [name, value]) => sum + HEADER_PREFIX.length + name.length + value.length,
    0,
  )
}
