/**
 * Versions that have two names: the one that the journal has given, which callers know, and the one that
 * the store has given since. Callers are told the first as long as the store has the second; so nothing
 * changes for them when a file gets to the store, neither its etag nor its time.
 *
 * Bounded: of the oldest the store's name is told from some time on, as if the file had been replaced.
 */
import type { FileInfo } from '../driver/driver.js'
import { isBelow } from '../driver/path.js'
import type { Milliseconds } from '../util/units.js'

export interface Alias {
  /** As callers know it. */
  readonly local: string
  /** As the store knows it. */
  readonly remote: string
  /** What callers are told, if it is not what the store says. */
  readonly modTime?: Milliseconds
}

export class Aliases {
  readonly #limit: number
  readonly #byPath = new Map<string, Alias>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#byPath.size
  }

  set(path: string, alias: Alias): void {
    this.#byPath.delete(path)
    this.#byPath.set(path, alias)
    if (this.#byPath.size <= this.#limit) return
    const [oldest] = this.#byPath.keys()
    if (oldest !== undefined) this.#byPath.delete(oldest)
  }

  /** What this mount has put into the store at once: one name, and known to be its own. */
  own(path: string, etag: string): void {
    this.set(path, { local: etag, remote: etag })
  }

  get(path: string): Alias | undefined {
    return this.#byPath.get(path)
  }

  /** A file is not what it was. */
  forget(path: string): void {
    this.#byPath.delete(path)
  }

  /** A file was moved inside the store; it may have another name for its version since. */
  move(from: string, to: string): void {
    const alias = this.#byPath.get(from)
    this.forget(from)
    this.forget(to)
    if (alias !== undefined) this.set(to, alias)
  }

  /** A directory was moved inside the store. */
  moveTree(from: string, to: string): void {
    this.forgetTree(to)
    const moved = [...this.#byPath].filter(([path]) => path === from || isBelow(path, from))
    for (const [path, alias] of moved) {
      this.#byPath.delete(path)
      this.set(to + path.slice(from.length), alias)
    }
  }

  forgetTree(path: string): void {
    for (const each of this.#byPath.keys()) {
      if (each === path || isBelow(each, path)) this.#byPath.delete(each)
    }
  }

  /** The store's name of a version. */
  remote(path: string, etag: string): string {
    const alias = this.#byPath.get(path)
    return alias?.local === etag ? alias.remote : etag
  }

  /** The name of a version that callers know. */
  local(path: string, etag: string): string {
    const alias = this.#byPath.get(path)
    return alias?.remote === etag ? alias.local : etag
  }

  /** What the store tells of a file, as callers know it. */
  info(info: FileInfo): FileInfo {
    const alias = this.#byPath.get(info.path)
    if (alias === undefined || info.isDir || info.etag !== alias.remote) return info
    const { local, modTime } = alias
    return { ...info, etag: local, ...(modTime !== undefined && { modTime: new Date(modTime) }) }
  }
}
