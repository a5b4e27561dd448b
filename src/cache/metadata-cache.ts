/**
 * What is known of names: attributes, absences and complete listings, each for a limited time.
 *
 * Model: one record per directory, holding what was seen of its children, and since when the record
 * is complete, if a listing was read to its end. A name that a complete and fresh record does not
 * hold is known to be absent; so is one in a stretch of a listing of which all was told. Records are evicted whole (least recently used, bounded by the number
 * of names), so that an evicted name can never be taken for an absent one. The record of a directory
 * with very many names begins anew when they are all that is kept, with what was changed here lately.
 *
 * What a request brings is older than what was changed here while it was under way: `began`, taken
 * from `now()` before the request is sent, keeps a late answer from undoing a local change.
 *
 * Whoever reads a directory, or walks a tree of them, is not to lose what his own listings have brought
 * because he is slow. A directory that a walk has brought and not reached yet is believed while the walk
 * goes on; one that is being read, or walked below, or emptied, while that goes on. The listing
 * itself, for those who list anew, is believed for the time-to-live from its first reader on. Names that
 * are absent are believed no longer than ever, and all of it ends after `WALKED`.
 *
 * What was forgotten on purpose is not brought back by the answer of a request that began before
 * (voided-directories.ts).
 *
 * A time-to-live of 0 turns all of it off but the record of changes made here.
 */
import { LRUCache } from 'lru-cache'
import type { FileInfo } from '../driver/driver.js'
import { baseName, parentPath, withAncestors } from '../driver/path.js'
import type { Milliseconds } from '../util/units.js'
import { compareUtf8 } from '../util/utf8.js'
import { VoidedDirectories } from './voided-directories.js'

export interface MetadataCacheOptions {
  ttl: Milliseconds
  /** Most names kept; default 250,000, about 100 MiB. */
  maxNames?: number
  /** A clock that never goes back. */
  now: () => Milliseconds
}

export interface Knowledge {
  /** undefined: the name does not exist. */
  readonly info: FileInfo | undefined
  /** When it was so, by `now()`. */
  readonly seen: Milliseconds
}

/** A listing that is being read. */
export interface ListingUnderWay {
  readonly began: Milliseconds
  /** The names of the record that its pages are put into: another one lacks the earlier pages. */
  readonly names: ReadonlyMap<string, Knowledge> | undefined
}

interface Known extends Knowledge {
  /** Time of the last change made here, or -Infinity. */
  readonly changed: Milliseconds
}

/**
 * The longest that anything is believed for the sake of a reader or a walk, unless the time-to-live
 * is longer.
 */
const WALKED: Milliseconds = 10_000

/** Trees that are being walked, of which that is known. */
const WALKS = 64

/** Longer than any request takes. */
const CHANGES_KEPT: Milliseconds = 5 * 60_000

interface Directory {
  names: Map<string, Known>
  completeSince: Milliseconds
  /** When somebody first read the directory since the listing was complete. */
  read: Milliseconds | undefined
  /** When somebody last read it, went below it, or removed something from it. */
  used: Milliseconds
  /** Stretches of listings that were not read to their ends, the latest first. */
  stretches: readonly SeenStretch[]
}

/** Of the names between two places of a listing all that there are were told. */
export interface Stretch {
  /** Names behind this one; the empty one is before all. */
  readonly after: string
  /** Names that are, with a slash behind them, at or before this. */
  readonly upTo: string
}

interface SeenStretch extends Stretch {
  readonly seen: Milliseconds
}

/** Stretches kept of a directory. */
const STRETCHES = 8

/** Names that are gone through in search of one. */
const SEARCHED = 10_000

export class MetadataCache {
  readonly ttl: Milliseconds
  readonly now: () => Milliseconds
  readonly #directories: LRUCache<string, Directory>
  readonly #maxNames: number
  readonly #voided = new VoidedDirectories()
  /** When the walkers of trees last came for more. */
  readonly #walks = new LRUCache<string, Milliseconds>({ max: WALKS })

  constructor({ ttl, maxNames = 250_000, now }: MetadataCacheOptions) {
    this.ttl = ttl
    this.now = now
    this.#maxNames = maxNames
    this.#directories = new LRUCache({ maxSize: maxNames, ttl: 0 })
  }

  /** What is known of a name, or undefined when nothing fresh is. */
  get(directory: string, name: string): Knowledge | undefined {
    const record = this.#directories.get(directory)
    if (record === undefined) return undefined
    const known = record.names.get(name)
    if (known !== undefined) return this.#isTrusted(directory, record, known) ? known : undefined
    const seen = record.completeSince
    if (this.#isFresh(seen)) return { info: undefined, seen }
    const stretch = record.stretches.find(each => this.#isFresh(each.seen) && isIn(each, name))
    return stretch && { info: undefined, seen: stretch.seen }
  }

  /** How many names of a directory have been seen, fresh or not. */
  namesIn(directory: string): number {
    return this.#directories.peek(directory)?.names.size ?? 0
  }

  /** Whether a listing that was not read to its end has told of a directory lately. */
  isPartlyTold(directory: string): boolean {
    const { stretches = [] } = this.#directories.peek(directory) ?? {}
    return stretches.some(({ seen }) => this.#isFresh(seen))
  }

  /** Whether a name that begins so has been seen in a directory, fresh or not; of very many, whether any has. */
  hasName(directory: string, beginning: string): boolean {
    const { names } = this.#directories.peek(directory) ?? {}
    if (names === undefined) return false
    if (names.size > SEARCHED) return true
    for (const [name, { info }] of names) {
      if (info !== undefined && name.startsWith(beginning)) return true
    }
    return false
  }

  /** Whether all children of a directory are known. */
  isComplete(directory: string): boolean {
    const record = this.#directories.get(directory)
    return record !== undefined && this.#isListed(directory, record)
  }

  /** All children of a directory, if a complete listing is believed. */
  listing(directory: string): readonly FileInfo[] | undefined {
    const record = this.#directories.get(directory)
    if (record === undefined || !this.#isListed(directory, record)) return undefined
    return [...record.names.values()].flatMap(({ info }) => (info === undefined ? [] : [info]))
  }

  /** Whether nothing is left in a directory; undefined where no complete listing is believed. */
  isEmpty(directory: string): boolean | undefined {
    const record = this.#directories.get(directory)
    if (record === undefined) return undefined
    const since = record.completeSince
    if (!this.#isFresh(since) && !this.#isHeld(directory, record, since)) return undefined
    for (const { info } of record.names.values()) if (info !== undefined) return false
    return true
  }

  /** Somebody reads a directory, from its beginning or on. */
  reading(directory: string): void {
    const now = this.now()
    const record = this.#directories.peek(directory)
    if (record !== undefined) {
      record.read ??= now
      record.used = now
    }
    this.#use(directory, now)
  }

  /** Somebody walks the tree below a directory, and comes for more of it. */
  walking(root: string): void {
    if (this.ttl > 0) this.#walks.set(root, this.now())
  }

  /** How much longer what was seen of a name, at `seen`, is believed. */
  validity(directory: string, name: string, seen: Milliseconds): Milliseconds {
    const age = this.now() - seen
    if (age < this.ttl / 2) return this.ttl - age
    const record = this.#directories.peek(directory)
    const known = record?.names.get(name)
    const isHeld = known?.info !== undefined && record !== undefined && known.seen <= seen
    if (!isHeld || !this.#isHeld(directory, record, seen)) return Math.max(0, this.ttl - age)
    return Math.min(this.ttl, WALKED - age)
  }

  /** What a request that began at `began` has told of a name. */
  put(directory: string, name: string, info: FileInfo | undefined, began: Milliseconds): void {
    if (this.ttl <= 0 || this.#voided.isVoid(directory, began)) return
    this.#edit(directory, record => learn(record, name, info, began))
  }

  /**
   * What one page of a listing has told.
   *
   * @param began when the listing began: a page may hold what an earlier one could not tell yet
   * @param asked when the page was asked for; the time from which it is believed
   */
  putPage(
    directory: string,
    page: readonly (readonly [string, FileInfo])[],
    began: Milliseconds,
    asked: Milliseconds = began,
  ): void {
    if (this.ttl <= 0 || this.#voided.isVoid(directory, began)) return
    this.#edit(directory, record => {
      for (const [name, info] of page) learn(record, name, info, began, asked)
    })
    if (page.length > 0) this.#confirm(directory, began, asked)
  }

  /**
   * A page of a listing that began at `began`, put just now, has told of all names of a stretch: others
   * in it are absent.
   */
  told(directory: string, { after, upTo }: Stretch, began: Milliseconds): void {
    const record = this.#directories.peek(directory)
    if (this.ttl <= 0 || record === undefined || this.#voided.isVoid(directory, began)) return
    const others = record.stretches.filter(({ seen }) => this.#isFresh(seen))
    record.stretches = [{ after, upTo, seen: began }, ...others].slice(0, STRETCHES)
  }

  /**
   * Called before the first page of a listing is asked for, or with the time at which it was, before
   * anything it tells is put.
   */
  begin(directory: string, began: Milliseconds = this.now()): ListingUnderWay {
    if (this.ttl <= 0 || this.#voided.isVoid(directory, began)) return { began, names: undefined }
    return { began, names: this.#edit(directory, () => undefined) }
  }

  /**
   * A listing has come to its end, all its pages having been put. Changes nothing if the directory was
   * forgotten or evicted meanwhile, and earlier pages with it.
   */
  complete(directory: string, { began, names }: ListingUnderWay): void {
    const record = this.#directories.peek(directory)
    if (names === undefined || record?.names !== names) return
    for (const [name, known] of record.names) {
      // What the whole listing did not show is gone, unless it was made here meanwhile.
      if (known.seen < began && known.changed < began) record.names.delete(name)
    }
    this.#keep(directory, { ...record, completeSince: began, read: undefined })
  }

  /** A change made here: `info` is what the name is from now on, undefined for nothing. */
  changed(directory: string, name: string, info: FileInfo | undefined): void {
    const now = this.now()
    this.#edit(directory, record => record.names.set(name, { info, seen: now, changed: now }))
    if (info === undefined) this.#use(directory, now)
  }

  /**
   * What is known of a name that was changed here after `since`, however long ago; the answer of a
   * request that is older is void.
   */
  changedSince(directory: string, name: string, since: Milliseconds): Knowledge | undefined {
    const known = this.#directories.peek(directory)?.names.get(name)
    return known !== undefined && known.changed >= since ? known : undefined
  }

  /** Forgets what is known of a directory's children. */
  forget(directory: string): void {
    this.#voided.add(directory, this.now())
    this.#directories.delete(directory)
  }

  /** Forgets a directory and everything below it. */
  forgetTree(directory: string): void {
    this.#voided.add(directory, this.now())
    const below = directory === '/' ? '/' : `${directory}/`
    for (const path of this.#directories.keys()) {
      if (path === directory || path.startsWith(below)) this.#directories.delete(path)
    }
  }

  /** What is in a directory shows that the directory, and each one above, is there. */
  #confirm(directory: string, began: Milliseconds, asked: Milliseconds): void {
    for (const at of withAncestors(directory)) {
      const names = this.#directories.peek(parentPath(at))?.names
      const name = baseName(at)
      const known = names?.get(name)
      if (known?.info?.isDir === true && known.changed < began && known.seen < asked) {
        names?.set(name, { ...known, seen: asked })
      }
    }
  }

  #isFresh(since: Milliseconds): boolean {
    return this.now() - since < this.ttl
  }

  #isTrusted(directory: string, record: Directory, { info, seen }: Known): boolean {
    return this.#isFresh(seen) || (info !== undefined && this.#isHeld(directory, record, seen))
  }

  #isListed(directory: string, record: Directory): boolean {
    const { completeSince, read } = record
    if (this.#isFresh(completeSince)) return true
    if (this.now() - completeSince >= WALKED) return false
    return read === undefined ? this.#isWalked(directory) : this.#isFresh(read)
  }

  /** Whether a reader or a walk lets what was seen of a directory's children at `seen` be believed still. */
  #isHeld(directory: string, { read, used }: Directory, seen: Milliseconds): boolean {
    if (this.now() - seen >= WALKED) return false
    return read === undefined ? this.#isWalked(directory) : this.#isFresh(used)
  }

  #isWalked(directory: string): boolean {
    for (const at of withAncestors(directory)) {
      const last = this.#walks.peek(at)
      if (last !== undefined && this.#isFresh(last)) return true
    }
    return false
  }

  /** Whoever is in a directory is in those above, if he has come through them, and walks on. */
  #use(path: string, now: Milliseconds): void {
    if (this.ttl <= 0) return
    for (const at of withAncestors(path)) {
      const record = this.#directories.peek(at)
      if (record?.read !== undefined && this.#isFresh(record.used)) record.used = now
      const walked = this.#walks.peek(at)
      if (walked !== undefined && this.#isFresh(walked)) this.#walks.set(at, now)
    }
  }

  /** @returns the names of the record */
  #edit(directory: string, edit: (record: Directory) => void): Directory['names'] {
    const record = this.#directories.get(directory) ?? {
      names: new Map<string, Known>(),
      completeSince: -Infinity,
      read: undefined,
      used: -Infinity,
      stretches: [],
    }
    if (record.names.size >= this.#maxNames) this.#shrink(record)
    edit(record)
    // A new object: the size of one that is there already would be left as it was.
    this.#keep(directory, { ...record })
    return record.names
  }

  #keep(directory: string, record: Directory): void {
    const size = Math.min(1 + record.names.size, this.#maxNames)
    this.#directories.set(directory, record, { size })
  }

  /** What was changed here outlives it, for as long as requests that are older may be under way. */
  #shrink(record: Directory): void {
    const since = this.now() - CHANGES_KEPT
    const changed = [...record.names].filter(([, known]) => known.changed > since)
    record.names = new Map(changed.length < this.#maxNames ? changed : [])
    record.completeSince = -Infinity
    record.stretches = []
  }
}

function isIn({ after, upTo }: Stretch, name: string): boolean {
  return compareUtf8(name, after) > 0 && compareUtf8(`${name}/`, upTo) <= 0
}

/** The metadata that was told of the same version at the same time still holds. */
function withMetadata(info: FileInfo, before: FileInfo | undefined): FileInfo {
  if (before?.metadata === undefined || info.metadata !== undefined || info.isDir) return info
  const isSame = before.etag === info.etag && before.modTime?.getTime() === info.modTime?.getTime()
  return isSame ? { ...info, metadata: before.metadata } : info
}

function learn(
  record: Directory,
  name: string,
  info: FileInfo | undefined,
  began: Milliseconds,
  asked = began,
): void {
  const known = record.names.get(name)
  if (known !== undefined && (known.changed >= began || known.seen > asked)) return
  const told = info === undefined ? undefined : withMetadata(info, known?.info)
  record.names.set(name, { info: told, seen: asked, changed: known?.changed ?? -Infinity })
}
