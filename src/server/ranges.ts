/**
 * Parses the Range header against the size of an object. Pure.
 *
 * One range is honoured. What is malformed, in another unit, or more than one range is ignored, which
 * HTTP allows and which gives the whole object.
 */
import type { Bytes } from '../util/units.js'

/** Both ends inclusive; or the whole object; or nothing that could be delivered. */
export type RangeVerdict =
  | { readonly kind: 'whole' }
  | { readonly kind: 'range'; readonly first: Bytes; readonly last: Bytes }
  | { readonly kind: 'unsatisfiable' }

const WHOLE: RangeVerdict = { kind: 'whole' }
const UNSATISFIABLE: RangeVerdict = { kind: 'unsatisfiable' }

/**
 * @param header e.g. `bytes=0-99`, `bytes=100-`, `bytes=-50`; empty or undefined counts as absent
 * @param size bytes of the object
 */
export function parseRange(header: string | undefined, size: Bytes): RangeVerdict {
  const match = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header ?? '')
  if (match === null) return WHOLE
  const [, from = '', to = ''] = match
  if (from === '') return to === '' ? WHOLE : suffix(Number(to), size)
  const first = Number(from)
  const last = to === '' ? size - 1 : Math.min(Number(to), size - 1)
  if (first >= size || last < first) return UNSATISFIABLE
  return { kind: 'range', first, last }
}

function suffix(length: Bytes, size: Bytes): RangeVerdict {
  if (length === 0 || size === 0) return UNSATISFIABLE
  return { kind: 'range', first: Math.max(0, size - length), last: size - 1 }
}
