/**
 * Everything below a directory in no promised order, by as few requests as the store allows: for work
 * on whole trees, where `walk` would ask for one directory after the other.
 *
 * Where the store lists whole subtrees, that is one request per page of things, however many
 * directories they lie in, the next one under way while a page is worked on. Where it does not, or
 * where directories are left out, directories are listed one by one, several at once.
 *
 * Memory: one page for each listing under way, and the names of directories that were seen and not yet
 * entered; deep ones are entered first, so that these stay few.
 */
import type { EntriesPage, FileInfo, StorageDriver } from './driver.js'

export interface ScanOptions {
  signal?: AbortSignal
  /** Listings of single directories at once; default 8. */
  limit?: number
  /** Tells which directories are entered; default all, which is cheaper. */
  enter?: (directory: FileInfo) => boolean
}

const DEFAULT_LIMIT = 8

/** What is asked of a driver. */
export type Listable = Pick<StorageDriver, 'capabilities' | 'entries' | 'entriesBelow'>

interface Listing {
  readonly pages: AsyncIterator<EntriesPage>
}

interface Arrival {
  readonly listing: Listing
  readonly result: IteratorResult<EntriesPage>
}

/** Page by page; nothing if there is no such directory. What vanishes meanwhile is left out. */
export function scan(
  driver: Listable,
  root: string,
  options: ScanOptions = {},
): AsyncGenerator<readonly FileInfo[]> {
  const isWhole = options.enter === undefined
  if (isWhole && driver.capabilities.listsSubtrees) return subtree(driver, root, options.signal)
  return byDirectory(driver, root, options)
}

async function* subtree(
  driver: Listable,
  root: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly FileInfo[]> {
  const io = signal === undefined ? {} : { signal }
  const pages = driver.entriesBelow(root, io)[Symbol.asyncIterator]()
  const ask = (): ReturnType<typeof pages.next> => {
    const page = pages.next()
    // A failure is seen by whoever awaits it below, or nobody wants it any more.
    page.catch(() => undefined)
    return page
  }
  let next = ask()
  try {
    for (;;) {
      const { done, value } = await next
      if (done === true) return
      next = ask()
      for (const { entries } of value.directories) if (entries.length > 0) yield entries
    }
  } finally {
    void pages.return?.().catch(() => undefined)
  }
}

async function* byDirectory(
  driver: Listable,
  root: string,
  options: ScanOptions,
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
