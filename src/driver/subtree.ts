/**
 * Listings of whole subtrees: sorted keys turned into the children of directory after directory.
 *
 * Model: in any order of keys that keeps a prefix together, all that lies below a directory comes in
 * one run. So the directories that are open, from the top down to the one of the last key, make a
 * stack; a key outside of the topmost closes it, and all its children are known then. A file is held
 * back while keys below a directory of its name may still come, for that directory wins over it.
 */
import { compareUtf8 } from '../util/utf8.js'
import { LISTING_END } from './driver.js'
import type {
  DirectoryPage,
  DriverOptions,
  EntriesBelowOptions,
  FileInfo,
  StorageDriver,
  SubtreePage,
} from './driver.js'
import { baseName, childPath, componentProblem, isBelow, RESERVED_NAME } from './path.js'

export interface KeyedObject {
  readonly key: string
}

export interface SubtreeMergerOptions<T extends KeyedObject> {
  /** The directory that is listed, and the prefix of all keys below it. */
  readonly path: string
  readonly prefix: string
  /** A directory below it that the listing begins with. */
  readonly from?: string | undefined
  /** What an object is as a file. */
  readonly toInfo: (path: string, object: T) => FileInfo
  /** What a directory is, by the first object in it, which is its marker if it has one. */
  readonly toDirectory: (path: string, first: T, isMarker: boolean) => FileInfo
}

/** A directory some of whose keys have come, and more may. */
interface Level {
  readonly path: string
  readonly prefix: string
  /** The listing began before the first of its keys. */
  readonly isWhole: boolean
  /** Files that may yet turn out to be directories. */
  held: FileInfo[]
  entries: FileInfo[]
  hidden: number
  /** The last group of keys that was not shown. */
  hiddenGroup: string | undefined
  /** Nothing was told of it since the page began. */
  isQuiet: boolean
}

export class SubtreeMerger<T extends KeyedObject> {
  readonly #options: SubtreeMergerOptions<T>
  readonly #levels: Level[]
  #closed: DirectoryPage[] = []
  /** The last key that has come. */
  #last: string | undefined

  constructor(options: SubtreeMergerOptions<T>) {
    this.#options = options
    const { path, prefix, from } = options
    this.#levels = [level(path, prefix, from === undefined)]
    if (from === undefined) return
    const names = from.slice(path === '/' ? 1 : path.length + 1).split('/')
    for (const [i, name] of names.entries()) {
      const above = this.#top()
      const isWhole = i === names.length - 1
      this.#levels.push(level(childPath(above.path, name), `${above.prefix}${name}/`, isWhole))
    }
  }

  /** What a page of keys tells, `isLast` if no page comes after it. */
  add(objects: readonly T[], isLast: boolean): SubtreePage {
    for (const object of objects) this.#object(object)
    this.#last = objects.at(-1)?.key ?? this.#last
    while (isLast && this.#levels.length > 0) this.#close()
    const directories = this.#closed
    this.#closed = []
    // Those above first, so that a directory is told of before what is in it.
    for (const open of this.#levels) {
      if (open.isQuiet) continue
      directories.push({ ...report(open, false), upTo: this.#last?.slice(open.prefix.length) })
    }
    return { directories }
  }

  #top(): Level {
    const top = this.#levels.at(-1)
    if (top === undefined) throw new Error('the listing goes on behind its end')
    return top
  }

  #object(object: T): void {
    while (!object.key.startsWith(this.#top().prefix)) this.#close()
    for (;;) {
      const at = this.#top()
      at.isQuiet = false
      const rest = object.key.slice(at.prefix.length)
      settle(at, rest)
      // The directory's own marker.
      if (rest === '') return
      const slash = rest.indexOf('/')
      const name = slash === -1 ? rest : rest.slice(0, slash)
      if (at.path === '/' && name === RESERVED_NAME) return
      if (componentProblem(name) !== undefined) {
        if (slash === -1 || at.hiddenGroup !== name) at.hidden += 1
        if (slash !== -1) at.hiddenGroup = name
        return
      }
      const path = childPath(at.path, name)
      if (slash === -1) {
        at.held.push(this.#options.toInfo(path, object))
        return
      }
      at.held = at.held.filter(info => info.path !== path)
      at.entries.push(this.#options.toDirectory(path, object, slash === rest.length - 1))
      this.#levels.push(level(path, `${at.prefix}${name}/`, true))
    }
  }

  #close(): void {
    const closed = this.#top()
    this.#levels.pop()
    closed.entries.push(...closed.held)
    this.#closed.push({ ...report(closed, closed.isWhole), upTo: LISTING_END })
  }
}

function level(path: string, prefix: string, isWhole: boolean): Level {
  return {
    path,
    prefix,
    isWhole,
    held: [],
    entries: [],
    hidden: 0,
    hiddenGroup: undefined,
    isQuiet: true,
  }
}

/** Lets go of the files whose directory would have come before a key with this rest. */
function settle(at: Level, rest: string): void {
  if (at.held.length === 0) return
  const held: FileInfo[] = []
  for (const info of at.held) {
    const name = baseName(info.path)
    const mayCome = rest.startsWith(name) && rest.charAt(name.length) <= '/'
    if (mayCome) held.push(info)
    else at.entries.push(info)
  }
  at.held = held
}

function report(at: Level, isComplete: boolean): DirectoryPage {
  const { path, entries, hidden } = at
  at.entries = []
  at.hidden = 0
  at.isQuiet = true
  return { path, entries, hidden, isComplete }
}

/**
 * The same for a store that lists only one directory at a time: its requests are those of `entries`.
 *
 * @see StorageDriver.entriesBelow
 */
export async function* subtreeByDirectory(
  driver: Pick<StorageDriver, 'entries'>,
  path: string,
  options: EntriesBelowOptions = {},
): AsyncGenerator<SubtreePage> {
  const { from, ...io } = options
  const directories: string[] = []
  if (from === undefined || from === path) yield* wholeDirectory(driver, path, io, directories)
  else
    for await (const page of driver.entries(path, io))
      directories.push(...directoriesOf(page.entries))
  directories.sort((a, b) => compareUtf8(`${a}/`, `${b}/`))
  for (const directory of directories) {
    const inside = from !== undefined && (from === directory || isBelow(from, directory))
    if (from !== undefined && !inside && compareUtf8(`${directory}/`, `${from}/`) < 0) continue
    yield* subtreeByDirectory(driver, directory, inside ? { ...io, from } : io)
  }
}

async function* wholeDirectory(
  driver: Pick<StorageDriver, 'entries'>,
  path: string,
  io: DriverOptions,
  directories: string[],
): AsyncGenerator<SubtreePage> {
  for await (const { entries, hidden } of driver.entries(path, io)) {
    directories.push(...directoriesOf(entries))
    yield { directories: [{ path, entries, hidden, isComplete: false }] }
  }
  yield { directories: [{ path, entries: [], hidden: 0, isComplete: true }] }
}

function directoriesOf(entries: readonly FileInfo[]): string[] {
  return entries.filter(({ isDir }) => isDir).map(({ path }) => path)
}
