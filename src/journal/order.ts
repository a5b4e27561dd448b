/** Which record may go before which, and when one is tried again. Pure. */
import { MiB, type Bytes, type Milliseconds } from '../util/units.js'
import { DamagedError } from './errors.js'
import type { Entry } from './overlay.js'

/** Small contents go after older ones that are larger than this. */
const LARGE: Bytes = MiB
const FIRST_PAUSE: Milliseconds = 1000
const LONGEST_PAUSE: Milliseconds = 60_000

/** What is damaged stays so: it is looked at again when somebody waits for it. */
export function pauseAfter(failures: number, error: unknown): Milliseconds {
  if (error instanceof DamagedError) return Infinity
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failures)
}

/**
 * What refers to a large content is younger and small, and is not to be seen before it: registries write
 * a blob, and links to it then. One that fails holds up nobody.
 */
export function isLarge({ record }: Entry): boolean {
  return record.kind === 'put' && record.size > LARGE
}

/** @param batch  what goes along in order */
export function isBlocked(
  { record: { kind } }: Entry,
  blockers: Iterable<Entry>,
  batch: ReadonlySet<Entry>,
): boolean {
  for (const blocker of blockers) if (kind === 'put' || !batch.has(blocker)) return true
  return false
}
