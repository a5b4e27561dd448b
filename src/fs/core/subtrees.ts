/**
 * Listings of whole subtrees, read into the metadata cache in place of one listing per directory.
 *
 * A glance is the first page of everything below a directory. It costs one request, and answers for all
 * directories of a tree of a thousand things; of a larger tree it answers for those that come first, and
 * the tree is remembered as large, for another glance would tell no more.
 *
 * A walk follows a program that reads directory after directory (find, du, rm -r, a registry's catalog
 * and garbage collection). Whoever reads a directory and then its first child, or two of its children in
 * order, will read the others: from there on the subtree is listed page by page as the walker gets to them, one page ahead of him while he
 * is quick enough to read it before it is no longer believed. A directory that the walk cannot answer
 * for with one page, because too much lies below it or the walker has jumped, is listed by itself.
 *
 * Nothing is held here but places: what was listed lies in the metadata cache, which knows what was
 * changed meanwhile, is bounded, and forgets. A walk that finds its answer forgotten begins again there.
 */
import { LRUCache } from 'lru-cache'
import type { ListingUnderWay, MetadataCache } from '../../cache/metadata-cache.js'
import type { DirectoryPage, FileInfo, StorageDriver, SubtreePage } from '../../driver/driver.js'
import { baseName, childPath, isBelow } from '../../driver/path.js'
import type { Logger } from '../../util/log.js'
import type { Milliseconds } from '../../util/units.js'
import { compareUtf8 } from '../../util/utf8.js'

export interface SubtreesOptions {
  driver: Pick<StorageDriver, 'capabilities' | 'entriesBelow'>
  metadata: MetadataCache
  log: Logger
}

/** What a glance has told of the directory itself. */
export interface Glance {
  readonly entries: readonly FileInfo[]
  readonly isComplete: boolean
  /** @see EntriesPage.upTo */
  readonly upTo: string | undefined
}

/** The last child of a directory that was read, and how many were read in order before it. */
interface Run {
  last: string
  length: number
}

interface Walk {
  readonly root: string
  readonly iterator: AsyncIterator<SubtreePage>
  /** Directories of which a part has been told. */
  readonly open: Map<string, ListingUnderWay>
  /** The directory of the last key; those before it have been told of. */
  position: string
  /** Asked for ahead of need. */
  next: Asked | undefined
  pulling: Promise<void> | undefined
  /** When the page before was asked for. */
  asked: Milliseconds
  /** The walker takes longer for a page than it is believed. */
  isSlow: boolean
  /** The walk could not answer for a directory that it stands in, and has not been of use since. */
  isStuck: boolean
}

interface Asked {
  readonly asked: Milliseconds
  readonly result: Promise<IteratorResult<SubtreePage>>
}

/** A walker who takes as long for a page may not come to what was asked for ahead while it is believed. */
const SLOW: Milliseconds = 4000
/** Children read in order that show a walk; of one who has just read the directory above, one will do. */
const WALKED = 2
/** Names in a directory that are glanced at before it is listed. */
const GUESSES = 2
/** Where more names have been seen, the listing is asked. */
const FEW = 32
/** Walks that are followed at once. */
const WALKS = 8
/** Directories whose last read child is remembered. */
const RUNS = 256
/** Where the root is a child. */
const ABOVE_ROOT = ''
/** Trees remembered as large, and for how long. */
const LARGE = 10_000
const LARGE_FOR: Milliseconds = 60_000

export class Subtrees {
  readonly #options: SubtreesOptions
  readonly #runs = new LRUCache<string, Run>({ max: RUNS })
  readonly #large = new LRUCache<string, Milliseconds>({ max: LARGE })
  /** When names in a directory were glanced at. */
  readonly #guesses = new LRUCache<string, readonly Milliseconds[]>({ max: RUNS })
  #walks: readonly Walk[] = []

  constructor(options: SubtreesOptions) {
    this.#options = options
  }

  /** Whether a glance at a directory may tell more than a listing of it. */
  isWorthwhile(directory: string): boolean {
    const { driver, metadata } = this.#options
    if (!driver.capabilities.listsSubtrees || metadata.ttl <= 0) return false
    const since = this.#large.get(directory)
    return since === undefined || metadata.now() - since > LARGE_FOR
  }

  /**
   * Whether a name in a directory that is not listed may be taken for a directory's, and be glanced at:
   * some such guesses cost less than the listing, many cost more.
   */
  mayGuess(directory: string): boolean {
    const { driver, metadata } = this.#options
    if (!driver.capabilities.listsSubtrees || metadata.namesIn(directory) > FEW) return false
    const now = metadata.now()
    const guesses = (this.#guesses.get(directory) ?? []).filter(at => now - at < metadata.ttl)
    if (guesses.length >= GUESSES) return false
    this.#guesses.set(directory, [...guesses, now])
    return true
  }

  /** Reads the first page of all that is below a directory, or below it from one of its directories on. */
  async glance(directory: string, from?: string): Promise<Glance> {
    const { driver, metadata } = this.#options
    const start = from === undefined ? undefined : childPath(directory, from)
    const options = { metadata: true, ...(start !== undefined && { from: start }) }
    const iterator = driver.entriesBelow(directory, options)[Symbol.asyncIterator]()
    const asked = metadata.now()
    const page = await iterator.next()
    if (page.done === true) return { entries: [], isComplete: false, upTo: undefined }
    await iterator.return?.()
    const { directories } = page.value
    this.#learn(directories, new Map(), asked)
    for (const { path, isComplete, upTo } of directories) {
      if (isComplete) continue
      const after = path === directory && from !== undefined ? `${from}/` : ''
      if (upTo !== undefined) metadata.told(path, { after, upTo }, asked)
      if (path === (start ?? directory)) this.#noteLarge(path, directories)
    }
    const own = directories.filter(({ path }) => path === directory)
    const isComplete = own.some(part => part.isComplete)
    const entries = own.flatMap(part => part.entries)
    const isThere = directories.some(
      ({ path, entries: { length } }) => path === start && length > 0,
    )
    if (from !== undefined && start !== undefined && isThere) {
      // What it begins with is not listed itself, but what is in it shows it.
      const info = { path: start, size: 0, isDir: true }
      metadata.put(directory, from, info, asked)
      entries.push(info)
    }
    return { entries, isComplete, upTo: own.at(-1)?.upTo }
  }

  /**
   * A program reads a directory. If it is seen to walk, a listing of the subtree is under way that may
   * answer for the directory; when the promise resolves it has, or it will not. Never rejects.
   */
  visit(directory: string): Promise<void> | undefined {
    const { driver, metadata } = this.#options
    if (!driver.capabilities.listsSubtrees || metadata.ttl <= 0) return undefined
    if (directory === '/') {
      this.#runs.set(ABOVE_ROOT, { last: '/', length: 1 })
      return undefined
    }
    const parent = parentOf(directory)
    const isDescending = this.#runs.get(parentOf(parent))?.last === parent
    const length = this.#noteVisit(directory)
    const isWalking = length >= (isDescending ? 1 : WALKED)
    if (isWalking) metadata.walking(parent)
    const walk = this.#walks.find(({ root }) => isBelow(directory, root))
    if (metadata.isComplete(directory)) {
      if (walk !== undefined) this.#ahead(walk)
      return undefined
    }
    // Who goes back does not walk.
    if (walk !== undefined && length > 0) return this.#follow(walk, directory)
    return isWalking ? this.#follow(this.#start(parent, directory), directory) : undefined
  }

  /** @returns how many children of the directory above were read in order; 0 for one that comes before */
  #noteVisit(directory: string): number {
    const parent = parentOf(directory)
    const run = this.#runs.get(parent)
    if (run === undefined) this.#runs.set(parent, { last: directory, length: 1 })
    else if (directory !== run.last) {
      run.length = isBehind(directory, run.last) ? run.length + 1 : 0
      run.last = directory
    }
    return run?.length ?? 1
  }

  #start(root: string, from: string): Walk {
    const { driver, metadata } = this.#options
    const walk: Walk = {
      root,
      iterator: driver.entriesBelow(root, { from, metadata: true })[Symbol.asyncIterator](),
      open: new Map(),
      position: from,
      next: undefined,
      pulling: undefined,
      asked: metadata.now(),
      isSlow: false,
      isStuck: false,
    }
    const others = this.#walks.filter(other => other.root !== root)
    for (const dropped of others.slice(WALKS - 1)) this.#end(dropped)
    for (const other of this.#walks) if (other.root === root) this.#end(other)
    // The walk that goes deepest is the one to follow.
    this.#walks = [walk, ...others.slice(0, WALKS - 1)]
    return walk
  }

  async #follow(walk: Walk, directory: string): Promise<void> {
    const { metadata } = this.#options
    let current = walk
    const hasPassed = passed(current, directory)
    if (hasPassed) current = this.#restart(current, directory)
    else if (current.isStuck && holds(directory, current.position)) return
    current.isStuck = false
    await this.#pull(current)
    if (metadata.isComplete(directory)) return
    if (!hasPassed && !holds(directory, current.position) && !passed(current, directory)) {
      // Far ahead: the walker has left out what lies between.
      current = this.#restart(current, directory)
      await this.#pull(current)
    }
    current.isStuck = !metadata.isComplete(directory)
  }

  #restart(walk: Walk, from: string): Walk {
    const next = this.#start(walk.root, from)
    next.isSlow = walk.isSlow
    return next
  }

  /** Asks for the next page while the walker takes the present one. */
  #ahead(walk: Walk): void {
    walk.isStuck = false
    if (walk.isSlow || walk.pulling !== undefined || walk.next !== undefined) return
    walk.next = this.#ask(walk)
  }

  #ask({ iterator }: Walk): Asked {
    const asked = this.#options.metadata.now()
    const result = iterator.next()
    result.catch(() => undefined)
    return { asked, result }
  }

  #pull(walk: Walk): Promise<void> {
    walk.pulling ??= this.#take(walk).finally(() => (walk.pulling = undefined))
    return walk.pulling
  }

  async #take(walk: Walk): Promise<void> {
    const { metadata, log } = this.#options
    const { asked, result } = walk.next ?? this.#ask(walk)
    walk.next = undefined
    walk.isSlow ||= metadata.now() - walk.asked > SLOW
    walk.asked = asked
    try {
      const page = await result
      if (page.done === true) return this.#end(walk)
      const { directories } = page.value
      this.#learn(directories, walk.open, asked)
      walk.position = directories.at(-1)?.path ?? walk.position
    } catch (error) {
      // Whoever wanted it lists the directory by itself, and gets the error if there is one.
      log.debug({ path: walk.root, err: error }, 'a listing of a subtree has failed')
      this.#end(walk)
    }
  }

  #end(walk: Walk): void {
    this.#walks = this.#walks.filter(other => other !== walk)
    walk.iterator.return?.().catch(() => undefined)
  }

  #learn(
    directories: readonly DirectoryPage[],
    open: Map<string, ListingUnderWay>,
    asked: Milliseconds,
  ): void {
    const { metadata, log } = this.#options
    for (const { path, entries, hidden, isComplete } of directories) {
      if (hidden > 0) {
        log.warn({ path, hidden }, 'objects are not shown: no path can express their keys')
      }
      const underWay = open.get(path) ?? metadata.begin(path, asked)
      const named = entries.map(info => [baseName(info.path), info] as const)
      metadata.putPage(path, named, underWay.began, asked)
      if (!isComplete) open.set(path, underWay)
      else {
        metadata.complete(path, underWay)
        open.delete(path)
      }
    }
  }

  /** A page did not hold all of the directory: nor of the only directory in it, and so on down. */
  #noteLarge(directory: string, directories: readonly DirectoryPage[]): void {
    const now = this.#options.metadata.now()
    const byPath = new Map(directories.map(page => [page.path, page]))
    for (let at: string | undefined = directory; at !== undefined;) {
      this.#large.set(at, now)
      const [only, ...others]: readonly FileInfo[] = byPath.get(at)?.entries ?? []
      at = others.length === 0 && only?.isDir === true ? only.path : undefined
    }
  }
}

function parentOf(directory: string): string {
  if (directory === '/') return ABOVE_ROOT
  return directory.slice(0, Math.max(1, directory.lastIndexOf('/')))
}

/** In the order of keys, or in that of names: a walker may sort as he likes. */
function isBehind(directory: string, other: string): boolean {
  return compareUtf8(`${directory}/`, `${other}/`) > 0 || compareUtf8(directory, other) > 0
}

/** Whether the walk has told all that it will tell of a directory. */
function passed({ position }: Walk, directory: string): boolean {
  return !holds(directory, position) && compareUtf8(`${directory}/`, `${position}/`) < 0
}

/** Whether a place is the directory or below it. */
function holds(directory: string, place: string): boolean {
  return place === directory || isBelow(place, directory)
}
