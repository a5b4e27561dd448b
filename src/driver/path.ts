/**
 * The rules of driver paths. Pure.
 *
 * A path is `/` or a sequence of components, each behind a slash. It is a superset of distribution's
 * grammar: besides `[A-Za-z0-9._-]` a component may hold any character but slash and NUL. `.` and
 * `..` are refused, not resolved. The root `/` names no file: only stat, list, entries, walk and
 * uploads take it.
 *
 * One name at the root is the driver's own, `.bosmount`: nothing can be written there, and nothing
 * is ever found there. The exception are files directly in `UNLINKED_DIRECTORY`, which callers that
 * know a name can read and write like any other, and which no listing shows.
 */
import { compareUtf8, isWellFormed } from '../util/utf8.js'
import type { Bytes } from '../util/units.js'
import { InvalidPathError, PathNotFoundError, PathTooLongError } from './errors.js'

/** NAME_MAX of Linux: no directory entry can be longer. */
export const MAX_COMPONENT_BYTES: Bytes = 255
/** Longest key of BOS, and so longest path without its leading slash. */
export const MAX_KEY_BYTES: Bytes = 1024
/** The component at the root that holds the driver's own objects. */
export const RESERVED_NAME = '.bosmount'

/** Where the content of files lies that were unlinked and are still open somewhere. */
export const UNLINKED_DIRECTORY = `/${RESERVED_NAME}/unlinked`

export interface PathLimits {
  /** Bytes of the key that are used up before the path begins; default 0. */
  keyPrefixBytes?: Bytes
}

/** What is wrong with one component, or undefined. */
export function componentProblem(component: string): string | undefined {
  if (component === '') return 'it has an empty component'
  if (component === '.' || component === '..') return `it has a component '${component}'`
  if (component.includes('\0')) return 'it has a NUL character'
  if (!isWellFormed(component)) return 'it is not well-formed Unicode'
  // A UTF-16 code unit makes at most three bytes.
  if (component.length * 3 <= MAX_COMPONENT_BYTES) return undefined
  return Buffer.byteLength(component) > MAX_COMPONENT_BYTES
    ? `a component is longer than ${MAX_COMPONENT_BYTES} bytes`
    : undefined
}

/** What is wrong with a path that shall name a file or directory below the root, or undefined. */
export function pathProblem(path: string, limits: PathLimits = {}): string | undefined {
  if (path === '') return 'it is empty'
  if (!path.startsWith('/')) return 'it does not start with a slash'
  if (path === '/') return 'the root is not a file'
  if (path.endsWith('/')) return 'it ends with a slash'
  const room = MAX_KEY_BYTES - (limits.keyPrefixBytes ?? 0)
  for (const component of path.slice(1).split('/')) {
    const problem = componentProblem(component)
    if (problem !== undefined) return problem
  }
  return Buffer.byteLength(path) - 1 > room
    ? `its key is longer than ${MAX_KEY_BYTES} bytes`
    : undefined
}

/** Whether the key or one of its components is longer than is possible. */
function isTooLong(path: string, limits: PathLimits = {}): boolean {
  return (
    Buffer.byteLength(path) - 1 > MAX_KEY_BYTES - (limits.keyPrefixBytes ?? 0) ||
    path.split('/').some(component => Buffer.byteLength(component) > MAX_COMPONENT_BYTES)
  )
}

/** Whether the path lies in the part of the tree that belongs to the driver. */
export function isReserved(path: string): boolean {
  return path === `/${RESERVED_NAME}` || path.startsWith(`/${RESERVED_NAME}/`)
}

/** Whether the path is a file in the reserved directory of unlinked files. */
export function isUnlinked(path: string): boolean {
  return (
    path.startsWith(`${UNLINKED_DIRECTORY}/`) && !path.includes('/', UNLINKED_DIRECTORY.length + 1)
  )
}

/** The three kinds of paths that driver methods take; each returns or throws. */
export interface PathChecks {
  /** A file or directory that is read or removed. @throws InvalidPathError, PathNotFoundError */
  existing(path: string): void
  /** A file or directory that is made. @throws InvalidPathError */
  target(path: string): void
  /** As `existing`, the root included. */
  directory(path: string): void
}

/** Path checks whose errors carry the name of a driver. */
export function pathChecks(driver: string, limits: PathLimits = {}): PathChecks {
  const valid = (path: string): void => {
    const problem = pathProblem(path, limits)
    if (problem === undefined) return
    if (isTooLong(path, limits)) throw new PathTooLongError(path, problem, { driver })
    throw new InvalidPathError(path, problem, { driver })
  }
  const existing = (path: string): void => {
    valid(path)
    if (isReserved(path) && !isUnlinked(path)) throw new PathNotFoundError(path, { driver })
  }
  return {
    existing,
    target(path) {
      valid(path)
      if (!isReserved(path) || isUnlinked(path)) return
      throw new InvalidPathError(path, `/${RESERVED_NAME} is reserved`, { driver })
    },
    directory(path) {
      if (path !== '/') existing(path)
    },
  }
}

/** The path of a child of a directory. */
export function childPath(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`
}

/** The last component. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** The directory that a path lies in; the root lies in itself. */
export function parentPath(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')))
}

/** A directory and those above it, up to the root. */
export function* withAncestors(directory: string): Generator<string> {
  for (let at = directory; ; at = parentPath(at)) {
    yield at
    if (at === '/') return
  }
}

/** Whether `path` lies below `directory`; not so when they are equal. */
export function isBelow(path: string, directory: string): boolean {
  return directory === '/' ? path !== '/' : path.startsWith(`${directory}/`)
}

/** Compares paths in the order of a depth-first walk: component by component, in byte order. */
export function comparePaths(a: string, b: string): number {
  const left = a.split('/')
  const right = b.split('/')
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = compareUtf8(left[i] ?? '', right[i] ?? '')
    if (order !== 0) return order
  }
  return left.length - right.length
}

/** The path of a directory whose marker is named by a slash at the end. */
export function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}
