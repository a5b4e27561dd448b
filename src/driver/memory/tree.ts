/**
 * The objects of the memory driver seen as files and directories, and listed in pages as BOS lists them.
 *
 * A directory is there if any key lies below its prefix, and hides a file of the same name. Listings tell
 * no metadata, nor the time of a marker, unless they are asked to (`isTold`).
 */
import { compareUtf8 } from '../../util/utf8.js'
import type { FileInfo, StatOptions, SubtreePage } from '../driver.js'
import { baseName, childPath, isReserved } from '../path.js'
import { SubtreeMerger, type KeyedObject } from '../subtree.js'
import type { ObjectMap, StoredObject } from './store.js'

export function keyOf(path: string): string {
  return path.slice(1)
}

/** What the keys of all that lies below a directory start with; the key of its marker. */
export function prefixOf(path: string): string {
  return path === '/' ? '' : `${keyOf(path)}/`
}

export interface PageOptions {
  /** Objects of a page. */
  readonly pageSize: number
  /** Whether metadata is told. */
  readonly isTold: boolean
  /** Only what comes after this: a name among the children, or a path below. */
  readonly from: string | undefined
}

export class Tree {
  readonly #objects: ObjectMap

  constructor(objects: ObjectMap) {
    this.#objects = objects
  }

  /** What is at a path, or what of it is expected; undefined for nothing. */
  info(path: string, expect?: StatOptions['expect']): FileInfo | undefined {
    if (expect === 'marker') return this.#markerInfo(path)
    if (path === '/') return { path, size: 0, isDir: true }
    if (expect !== 'file' && this.#objects.hasPrefix(prefixOf(path))) {
      return this.#directoryInfo(path)
    }
    const object = expect === 'directory' ? undefined : this.#objects.get(keyOf(path))
    return object === undefined ? undefined : fileInfo(path, object)
  }

  /** The direct children in key order, directories in place of files of the same name. */
  children(path: string, isTold = false): FileInfo[] {
    const prefix = prefixOf(path)
    const found = new Map<string, FileInfo>()
    for (const key of this.#objects.keysBelow(prefix)) {
      const rest = key.slice(prefix.length)
      const slash = rest.indexOf('/')
      const name = slash === -1 ? rest : rest.slice(0, slash)
      if (name === '') continue
      const child = childPath(path, name)
      if (isReserved(child)) continue
      const info = this.info(child, slash === -1 ? 'file' : 'directory')
      if (info !== undefined) found.set(name, this.#listed(info, isTold))
    }
    return [...found.values()]
  }

  /** `children` in pages. */
  *childPages(path: string, options: PageOptions): Iterable<readonly FileInfo[]> {
    const { pageSize, isTold, from } = options
    const wanted = this.children(path, isTold).filter(
      entry => from === undefined || compareUtf8(baseName(entry.path), from) > 0,
    )
    for (let at = 0; at < wanted.length; at += pageSize) yield wanted.slice(at, at + pageSize)
  }

  /** All that is below a directory, each page being what there is when it is asked for. */
  *subtreePages(path: string, options: PageOptions): Iterable<SubtreePage> {
    const { pageSize, isTold, from } = options
    const prefix = prefixOf(path)
    const merger = new SubtreeMerger<KeyedObject & StoredObject>({
      path,
      prefix,
      from,
      toInfo: (at, object) => this.#listed(fileInfo(at, object), isTold),
      toDirectory: at => this.#listed({ path: at, size: 0, isDir: true }, isTold),
    })
    let last = from === undefined ? '' : prefixOf(from)
    for (let isLast = false; !isLast;) {
      const left = this.#objects.below(prefix).filter(({ key }) => key > last)
      const page = left.slice(0, pageSize)
      isLast = page.length === left.length
      last = page.at(-1)?.key ?? last
      yield merger.add(page, isLast)
    }
  }

  #markerInfo(path: string): FileInfo | undefined {
    const marker = this.#objects.get(prefixOf(path))
    if (marker === undefined) return undefined
    const { modTime, metadata } = marker
    return { path, size: 0, isDir: true, modTime, metadata }
  }

  #directoryInfo(path: string): FileInfo {
    const marker = this.#objects.get(prefixOf(path))
    const time = marker === undefined ? {} : { modTime: marker.modTime }
    return { path, size: 0, isDir: true, ...time }
  }

  #listed({ metadata, ...info }: FileInfo, isTold: boolean): FileInfo {
    const { path, size, isDir } = info
    if (!isTold) return isDir ? { path, size, isDir } : info
    if (isDir) return this.#markerInfo(path) ?? { path, size, isDir, metadata: {} }
    return metadata === undefined ? info : { ...info, metadata }
  }
}

function fileInfo(path: string, { content, etag, modTime, metadata }: StoredObject): FileInfo {
  return { path, size: content.length, modTime, isDir: false, etag, metadata }
}
