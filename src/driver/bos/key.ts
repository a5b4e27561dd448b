/**
 * Paths and keys. Path `/a/b` is key `<rootdirectory>/a/b`; directory `/a` is everything below the
 * prefix `<rootdirectory>/a/`, and its marker is the empty object of exactly that key. A key that no
 * path can express has none. Pure.
 */
import { isReserved, pathProblem, RESERVED_NAME } from '../path.js'

export class KeyMap {
  /** What every key of the driver starts with: empty, or ending with a slash. */
  readonly rootPrefix: string

  /** @param rootDirectory  without leading and trailing slash; empty for the root of the bucket */
  constructor(rootDirectory: string) {
    this.rootPrefix = rootDirectory === '' ? '' : `${rootDirectory}/`
  }

  /** The key of the file at a path other than `/`. */
  file(path: string): string {
    return this.rootPrefix + path.slice(1)
  }

  /** The prefix of all keys below a directory, which is also the key of its marker. */
  directory(path: string): string {
    return path === '/' ? this.rootPrefix : `${this.file(path)}/`
  }

  /** The path of a file's key; undefined if no path expresses it, or it is the driver's own. */
  path(key: string): string | undefined {
    if (!key.startsWith(this.rootPrefix)) return undefined
    const path = `/${key.slice(this.rootPrefix.length)}`
    return pathProblem(path) === undefined && !isReserved(path) ? path : undefined
  }

  /** Where a closed writer leaves the bytes that make no part yet. */
  tail(uploadId: string): string {
    return `${this.rootPrefix}${RESERVED_NAME}/tails/${uploadId}`
  }
}
