/**
 * Everything below a directory in no promised order, with several listings under way at once: for
 * work on whole trees, where `walk` would wait for one directory after the other.
 *
 * Memory: one page for each listing under way, and the names of directories that were seen and not yet
 * entered; deep ones are entered first, so that these stay few.
 */
import type { EntriesPage, FileInfo, StorageDriver } from './driver.js'

export interface ScanOptions {
  signal?: AbortSignal
  /** Listings at once; default 8. */
  limit?: number
  /** Tells which directories are entered; default all. */
  enter?: (directory: FileInfo) => boolean
}

const DEFAULT_LIMIT = 8

interface Listing {
  readonly pages: AsyncIterator<EntriesPage>
}

interface Arrival {
  readonly listing: Listing
  readonly result: IteratorResult<EntriesPage>
}

/** Page by page; nothing if there is no such directory. What vanishes meanwhile is left out. */
export async function* scan(
  driver: Pick<StorageDriver, 'entries'>,
  root: string,
  options: ScanOptions = {},
): AsyncGenerator<readonly FileInfo[]> {
  const { signal, limit = DEFAULT_LIMIT, enter = () => true } = options
  const waiting = [root]
  const active = new Map<Listing, Promise<Arrival>>()
  const advance = (listing: Listing): void => {
    const arrival = listing.pages.next().then(result => ({ listing, result }))
    // A failure is seen by whoever awaits it below; others under way may fail too.
    arrival.catch(() => undefined)
    active.set(listing, arrival)
  }
  try {
    for (;;) {
      while (active.size < limit) {
        const at = waiting.pop()
        if (at === undefined) break
        const io = signal === undefined ? {} : { signal }
        advance({ pages: driver.entries(at, io)[Symbol.asyncIterator]() })
      }
      if (active.size === 0) return
      const { listing, result } = await Promise.race(active.values())
      if (result.done === true) {
        active.delete(listing)
        continue
      }
      advance(listing)
      const { entries } = result.value
      for (const entry of entries) if (entry.isDir && enter(entry)) waiting.push(entry.path)
      yield entries
    }
  } finally {
    // An iterator that is in the middle of a page ends with it.
    for (const { pages } of active.keys()) void pages.return?.().catch(() => undefined)
  }
}
