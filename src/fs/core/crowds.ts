/**
 * How names are asked for in crowded directories, of which no one page tells all: in their order, in
 * number, or now and then. It decides whether a page, or all of the listing, is the cheaper way.
 */
import { LRUCache } from 'lru-cache'
import type { MetadataCache } from '../../cache/metadata-cache.js'
import type { Milliseconds } from '../../util/units.js'
import { compareUtf8 } from '../../util/utf8.js'

/** Names asked for in order that show that the next ones will be. */
const SWEEP = 4
/** Names to be asked for one by one after names in order turned out to be new ones. */
const RESPITE = 64
/** Crowded directories in which that is watched. */
const SWEEPS = 64
/** Names asked for within the time-to-live, for each page of the listing, that make it the cheaper way. */
const BUSY = 2
/** Most pages of such a listing. */
const BUSY_PAGES = 50

export class Crowds {
  readonly #metadata: Pick<MetadataCache, 'now' | 'ttl'>
  /** The name asked for last in a crowded directory, and how many were asked for in order. */
  readonly #sweeps = new LRUCache<string, { name: string; length: number }>({ max: SWEEPS })
  /** How many names were asked for one by one in a crowded directory, and since when. */
  readonly #rushes = new LRUCache<string, { since: Milliseconds; count: number }>({ max: SWEEPS })

  constructor(metadata: Pick<MetadataCache, 'now' | 'ttl'>) {
    this.#metadata = metadata
  }

  /**
   * Whether so many names of a directory are asked for (files that are made in it, each of which must
   * not be there) that all of its pages are listed for fewer requests.
   */
  isBusy(directory: string, pages: number): boolean {
    if (pages > BUSY_PAGES) return false
    const now = this.#metadata.now()
    const before = this.#rushes.get(directory)
    const isOver = before === undefined || now - before.since >= this.#metadata.ttl
    const rush = isOver ? { since: now, count: 1 } : { ...before, count: before.count + 1 }
    this.#rushes.set(directory, rush)
    return rush.count > BUSY * pages
  }

  /** A name is asked for: the one before it, if names are asked for in their order. */
  sweptTo(directory: string, name: string): string | undefined {
    const last = this.#sweeps.get(directory)
    const isInOrder = last !== undefined && compareUtf8(last.name, name) < 0
    const length = isInOrder ? last.length + 1 : 1
    this.#sweeps.set(directory, { name, length })
    return length < SWEEP ? undefined : last?.name
  }

  /** The name is not there: new names, made in their order, are shown by no page. */
  isMissing(directory: string, name: string): void {
    this.#sweeps.set(directory, { name, length: -RESPITE })
  }
}
