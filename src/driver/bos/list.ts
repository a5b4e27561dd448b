/**
 * Listings: pages of BOS turned into entries of a directory.
 *
 * BOS lists in the order of keys, where `a`, `a-b` and `a/c` come in this order: a file `a` may be
 * pages away from the directory `a/` that wins over it. So an object is held back until the listing
 * has passed the place where such a directory would be. What is held back are prefixes of the place
 * where the listing stands, so it is little.
 */
import { LISTING_END } from '../driver.js'
import type { FileInfo } from '../driver.js'
import { childPath, componentProblem, RESERVED_NAME } from '../path.js'
import { compareUtf8 } from '../../util/utf8.js'
import type { ListedObject, ListPage } from './documents.js'
import { BosError } from './error.js'

export interface ListQuery {
  readonly prefix: string
  readonly delimiter?: '/'
  /** Only keys behind this one. */
  readonly marker?: string
  /** Ask for each object's metadata. */
  readonly metadata?: boolean
}

/** Gets one page. */
export type FetchPage = (query: ListQuery) => Promise<ListPage>

function later(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return compareUtf8(a, b) < 0 ? b : a
}

/** The last thing on a page. */
function lastOf({ objects, prefixes }: ListPage): string | undefined {
  return later(objects.at(-1)?.key, prefixes.at(-1))
}

/**
 * All pages of a listing. The service's marker is handed back as it came; where there is none, the
 * last thing on the page takes its place.
 *
 * @throws BosError when the service repeats a marker, which would page forever
 */
export async function* listPages(fetch: FetchPage, query: ListQuery): AsyncGenerator<ListPage> {
  let { marker } = query
  for (;;) {
    const page = await fetch(marker === undefined ? query : { ...query, marker })
    yield page
    if (!page.truncated) return
    const next = page.nextMarker ?? lastOf(page)
    if (next === undefined || next === marker) {
      throw new BosError('the listing does not advance', { kind: 'integrity' })
    }
    marker = next
  }
}

/** An object of a listing as a file. */
export function listedFile(path: string, object: ListedObject): FileInfo {
  const { size, etag, modTime, metadata } = object
  const info = { path, size, modTime, isDir: false, etag }
  return metadata === undefined ? info : { ...info, metadata }
}

/** A directory, by the first object in it, if that tells metadata. */
export function listedDirectory(
  path: string,
  { metadata, modTime }: ListedObject,
  isMarker: boolean,
): FileInfo {
  const info = { path, size: 0, isDir: true }
  if (metadata === undefined) return info
  return isMarker ? { ...info, modTime, metadata } : { ...info, metadata: {} }
}

export interface MergedPage {
  readonly entries: readonly FileInfo[]
  /** Things that no path can express. */
  readonly hidden: number
  /** The page showed something of the directory itself: its marker, or a thing that is not shown. */
  readonly exists: boolean
  /** @see EntriesPage.upTo */
  readonly upTo: string | undefined
}

export interface MergerOptions {
  /** The directory that is listed. */
  readonly path: string
  readonly prefix: string
  /** Only names behind this one. */
  readonly startAfter?: string | undefined
}

/** Turns the pages of one delimited listing into entries, each name once. */
export class ListingMerger {
  readonly #path: string
  readonly #prefix: string
  readonly #startAfter: string | undefined
  /** Files that may yet turn out to be directories, by name. */
  readonly #held = new Map<string, FileInfo>()
  /** Everything up to here has been seen. */
  #position: string | undefined
  /** Last of the page before: a page that begins with it again brings nothing new. */
  #lastPrefix: string | undefined

  constructor({ path, prefix, startAfter }: MergerOptions) {
    this.#path = path
    this.#prefix = prefix
    this.#startAfter = startAfter
  }

  /** How many files are held back. */
  get held(): number {
    return this.#held.size
  }

  add(page: ListPage): MergedPage {
    const entries: FileInfo[] = []
    let hidden = 0
    let exists = false
    for (const object of page.objects) {
      exists = true
      const name = object.key.slice(this.#prefix.length)
      if (name === '' || this.#isOwn(name)) continue
      if (componentProblem(name) !== undefined) hidden++
      else if (this.#isWanted(name))
        this.#held.set(name, listedFile(childPath(this.#path, name), object))
    }
    for (const prefix of page.prefixes) {
      if (prefix === this.#lastPrefix) continue
      const name = prefix.slice(this.#prefix.length, -1)
      if (this.#isOwn(name)) continue
      exists = true
      if (componentProblem(name) !== undefined) hidden++
      else if (this.#isWanted(name)) {
        this.#held.delete(name)
        const marker = page.markers?.get(prefix)
        entries.push({ path: childPath(this.#path, name), size: 0, isDir: true, ...marker })
      }
    }
    this.#position = later(this.#position, lastOf(page))
    this.#lastPrefix = page.prefixes.at(-1) ?? this.#lastPrefix
    entries.push(...this.#release(page.truncated))
    const upTo = page.truncated ? this.#position?.slice(this.#prefix.length) : LISTING_END
    return { entries, hidden, exists, upTo }
  }

  /** The files whose directory would have come by now. */
  #release(truncated: boolean): FileInfo[] {
    const position = this.#position
    const released: FileInfo[] = []
    for (const [name, info] of this.#held) {
      const directory = `${this.#prefix}${name}/`
      const passed = position !== undefined && compareUtf8(position, directory) >= 0
      if (truncated && !passed) continue
      this.#held.delete(name)
      released.push(info)
    }
    return released
  }

  #isOwn(name: string): boolean {
    return this.#path === '/' && name === RESERVED_NAME
  }

  #isWanted(name: string): boolean {
    return this.#startAfter === undefined || compareUtf8(name, this.#startAfter) > 0
  }
}
