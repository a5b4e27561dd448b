/**
 * What a directory holds: the store's listing, less what the journal hides, plus what it adds.
 *
 * A page may be older than it looks: what has got to the store while it was on its way is not in it, and not
 * pending any more either. So all that is listed is held against what was pending when the listing began,
 * and what is pending now (`Watch`).
 *
 * That a directory of the store is empty once its hidden names are taken away cannot be told from its
 * page: callers see to it that nothing is hidden below the names of what they list.
 */
import type { DirectoryPage, EntriesPage, FileInfo, SubtreePage } from '../driver/driver.js'
import { baseName, childPath, isBelow, isReserved } from '../driver/path.js'
import { compareUtf8 } from '../util/utf8.js'
import type { Aliases } from './aliases.js'
import type { Watch } from './journal.js'
import type { Overlay } from './overlay.js'
import { infoOf, isMarkerKey, markerKey } from './record.js'
import type { JournalRecord } from './record.js'

export interface ListingState {
  readonly overlay: Overlay
  readonly aliases: Aliases
  readonly watch: Watch
  readonly tellsMetadata: boolean
}

/** Names on one page that the store does not have. */
const PAGE = 1000

/** The merged names of one directory, page after page. */
export class DirectoryListing {
  readonly #state: ListingState
  readonly #path: string
  readonly #startAfter: string | undefined
  readonly #told = new Set<string>()

  constructor(state: ListingState, path: string, startAfter?: string) {
    this.#state = state
    this.#path = path
    this.#startAfter = startAfter
  }

  /** @param isLast  no page comes after it */
  page(entries: readonly FileInfo[], isLast: boolean): FileInfo[] {
    const shown: FileInfo[] = []
    for (const entry of entries) {
      const name = baseName(entry.path)
      if (this.#told.has(name)) continue
      this.#told.add(name)
      const info = merge(this.#state, entry)
      if (info !== undefined) shown.push(info)
    }
    const last = entries.at(-1)
    const until = isLast || last === undefined ? undefined : baseName(last.path)
    if (isLast || last !== undefined) shown.push(...this.#added(until))
    return shown
  }

  /** Names that the store does not have, up to a name or all. */
  #added(until: string | undefined): FileInfo[] {
    const added: FileInfo[] = []
    for (const path of addedTo(this.#state, this.#path)) {
      const name = baseName(path)
      if (this.#told.has(name)) continue
      if (this.#startAfter !== undefined && compareUtf8(name, this.#startAfter) <= 0) continue
      if (until !== undefined && compareUtf8(name, until) > 0) continue
      const info = localInfo(this.#state, path)
      if (info === undefined) continue
      this.#told.add(name)
      added.push(info)
    }
    return added
  }
}

/** @see StorageDriver.entries */
export async function* mergeEntries(
  pages: AsyncIterable<EntriesPage>,
  listing: DirectoryListing,
): AsyncGenerator<EntriesPage> {
  for await (const { entries, hidden } of pages) {
    yield { entries: listing.page(entries, false), hidden }
  }
  const rest = listing.page([], true)
  for (let at = 0; at < rest.length; at += PAGE) {
    yield { entries: rest.slice(at, at + PAGE), hidden: 0 }
  }
}

/** @see StorageDriver.entriesBelow */
export async function* mergeSubtree(
  pages: AsyncIterable<SubtreePage>,
  state: ListingState,
  { path, from }: { readonly path: string; readonly from: string | undefined },
): AsyncGenerator<SubtreePage> {
  const open = new Map<string, DirectoryListing>()
  const above = from === undefined ? new Map<string, string>() : levelsAbove(path, from)
  const listingOf = (at: string): DirectoryListing => {
    const listing = open.get(at) ?? new DirectoryListing(state, at, above.get(at))
    open.set(at, listing)
    return listing
  }
  const told = (page: DirectoryPage, isLast: boolean): DirectoryPage[] => {
    const listing = listingOf(page.path)
    const entries = listing.page(page.entries, isLast)
    if (page.isComplete) open.delete(page.path)
    const theirs = new Set(page.entries.filter(({ isDir }) => isDir).map(each => each.path))
    const added = entries.filter(each => each.isDir && !theirs.has(each.path))
    // Names that are added may come later than those of the store that are behind them.
    return [
      { ...page, entries, upTo: undefined },
      ...added.flatMap(each => wholly(state, each.path)),
    ]
  }
  const root = from ?? path
  let isToldOfRoot = false
  for await (const { directories } of pages) {
    isToldOfRoot ||= directories.some(each => each.path === root && each.isComplete)
    yield { directories: directories.flatMap(page => told(page, page.isComplete)) }
  }
  const rest: DirectoryPage[] = []
  const nothing = { entries: [], hidden: 0 }
  if (!isToldOfRoot) rest.push(...told({ path: root, ...nothing, isComplete: true }, true))
  for (const at of [...above.keys()].toReversed()) {
    const [page, ...below] = told({ path: at, ...nothing, isComplete: false }, true)
    if (page !== undefined && page.entries.length > 0) rest.push(page, ...below)
  }
  if (rest.length > 0) yield { directories: rest }
}

/** Directories above the one that a listing begins with, and the name in each that leads to it. */
function levelsAbove(path: string, from: string): Map<string, string> {
  const levels = new Map<string, string>()
  let at = path
  for (const name of from.slice(path === '/' ? 1 : path.length + 1).split('/')) {
    levels.set(at, name)
    at = childPath(at, name)
  }
  return levels
}

/** A directory that only the journal has, and all that is below it. */
function wholly(state: ListingState, path: string): DirectoryPage[] {
  const entries = new DirectoryListing(state, path).page([], true)
  const below = entries.filter(({ isDir }) => isDir).flatMap(each => wholly(state, each.path))
  return [{ path, entries, hidden: 0, isComplete: true }, ...below]
}

/** What an entry of the store's listing is, or undefined if it is hidden. */
function merge(state: ListingState, entry: FileInfo): FileInfo | undefined {
  const { path } = entry
  if (entry.isDir) {
    const marker = recordOf(state, markerKey(path))
    return marker?.kind === 'put' ? told(state, infoOf(marker)) : entry
  }
  if (isLocalDirectory(state, path)) return localInfo(state, path)
  const record = recordOf(state, path)
  if (record === undefined) return state.aliases.info(entry)
  return record.kind === 'put' ? told(state, infoOf(record)) : undefined
}

/** What the journal alone has under a path. */
function localInfo(state: ListingState, path: string): FileInfo | undefined {
  const record = recordOf(state, isLocalDirectory(state, path) ? markerKey(path) : path)
  if (record?.kind === 'put') return told(state, infoOf(record))
  if (!isLocalDirectory(state, path)) return undefined
  return told(state, { path, size: 0, isDir: true, metadata: {} })
}

/** As a listing tells it: metadata if it was asked for. */
function told({ tellsMetadata }: ListingState, info: FileInfo): FileInfo {
  if (tellsMetadata) return info
  const { metadata: _, modTime, ...rest } = info
  // A marker's time is told with its metadata.
  return info.isDir || modTime === undefined ? rest : { ...rest, modTime }
}

function recordOf({ overlay, watch }: ListingState, key: string): JournalRecord | undefined {
  return overlay.get(key) ?? watch.finished.get(key)
}

function isLocalDirectory({ overlay, watch }: ListingState, path: string): boolean {
  if (overlay.isDirectory(path)) return true
  for (const [key, { kind }] of watch.finished) {
    if (kind === 'put' && isBelow(key, path) && overlay.get(key) === undefined) return true
  }
  return false
}

/** Paths of direct children that the journal puts, or has put since the listing began. */
function addedTo({ overlay, watch }: ListingState, path: string): Set<string> {
  const found = new Set<string>()
  for (const child of overlay.children(path)) {
    if (child.isDirectory || child.file?.kind === 'put') found.add(child.path)
  }
  const start = path === '/' ? 1 : path.length + 1
  for (const [key, { kind }] of watch.finished) {
    if (kind !== 'put' || !isBelow(key, path)) continue
    const [name = ''] = key.slice(start).split('/')
    if (name !== '' && !(isMarkerKey(key) && key.length === start)) found.add(childPath(path, name))
  }
  for (const each of found) if (isReserved(each)) found.delete(each)
  return found
}
