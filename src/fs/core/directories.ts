/**
 * Open directories: opendir, readdir and releasedir.
 *
 * Model: a handle collects entries as it goes and hands each out under its index, so cookies stay
 * right whatever is made or removed meanwhile (rm -rf reads while it deletes), and seekdir works. The
 * store's pages are asked for only when the reader gets there: the first entries of a huge directory
 * come before its last page was fetched. Reading from the start again begins a new listing.
 *
 * What only this mount knows comes first; names removed here since a page was asked for are left out.
 * A reader who is interrupted loses no page, and a listing that fails, or whose directory is renamed,
 * begins again behind the scenes: cookies stay, and names that were listed do not come again.
 */
import type { ListingUnderWay } from '../../cache/metadata-cache.js'
import type { EntriesPage, FileInfo } from '../../driver/driver.js'
import { abortable } from '../../util/abort.js'
import type { Milliseconds } from '../../util/units.js'
import { hash53 } from '../../util/hash.js'
import type {
  AddEntry,
  DirectoryEntry,
  Entry,
  Fh,
  OpenReply,
  RequestContext,
} from '../operations.js'
import { S_IFDIR, S_IFREG } from './attributes.js'
import type { Core } from './core.js'
import { HandleTable } from './handle-table.js'
import { isLocal } from './inode.js'
import type { DirectoryInode, Inode } from './inode.js'
import type { Lookup } from './lookup.js'

interface Listed {
  readonly name: string
  /** undefined for what this mount made and has not stored yet. */
  readonly info: FileInfo | undefined
  readonly seen: Milliseconds
}

interface Listing {
  readonly entries: Listed[]
  readonly names: Set<string>
  /** undefined once the last page was read, or when none is needed. */
  pages: Pages | undefined
}

/** The store's pages from the first on. */
interface Pages {
  /** Of the directory when they were asked for. */
  readonly path: string
  readonly underWay: ListingUnderWay
  readonly iterator: AsyncIterator<EntriesPage>
  /** Asked for and not taken yet: whoever asked may have been interrupted. */
  next: Promise<IteratorResult<EntriesPage>> | undefined
}

interface DirectoryHandle {
  readonly directory: DirectoryInode
  readonly controller: AbortController
  listing: Listing | undefined
  /** Readers of one handle take turns. */
  turn: Promise<void>
}

/** `.` and `..` have cookies 1 and 2; entry i has cookie i + 3. */
const DOTS = 2

export class Directories {
  readonly #core: Core
  readonly #lookup: Lookup
  readonly #entryOf: (inode: Inode) => Entry
  readonly #handles = new HandleTable<DirectoryHandle>()

  /** @param entryOf makes the reply for an inode; the caller raises the lookup count */
  constructor(core: Core, lookup: Lookup, entryOf: (inode: Inode) => Entry) {
    this.#core = core
    this.#lookup = lookup
    this.#entryOf = entryOf
  }

  get openHandles(): number {
    return this.#handles.size
  }

  open(directory: DirectoryInode): OpenReply {
    directory.handles += 1
    const fh = this.#handles.add({
      directory,
      controller: new AbortController(),
      listing: undefined,
      turn: Promise.resolve(),
    })
    return { fh }
  }

  async release(fh: Fh): Promise<void> {
    const handle = this.#handles.remove(fh)
    if (handle === undefined) return
    handle.controller.abort()
    handle.directory.handles -= 1
    this.#core.inodes.drop(handle.directory)
    await handle.listing?.pages?.iterator.return?.().catch(() => undefined)
  }

  async read(
    context: RequestContext,
    fh: Fh,
    request: { readonly offset: number; readonly plus: boolean; readonly add: AddEntry },
  ): Promise<void> {
    const handle = this.#handles.get(fh)
    const before = handle.turn
    let done: () => void = () => undefined
    handle.turn = new Promise(resolve => (done = resolve))
    try {
      await abortable(before, context.signal)
      await this.#read(context, handle, request)
    } finally {
      // A turn given up while waiting must not let the next one overtake the one before.
      void before.then(done)
    }
  }

  async #read(
    context: RequestContext,
    handle: DirectoryHandle,
    { offset, plus, add }: { offset: number; plus: boolean; add: AddEntry },
  ): Promise<void> {
    if (offset === 0 || handle.listing === undefined) this.#start(handle)
    if (offset < DOTS && !this.#addDots(handle.directory, offset, add)) return
    const { listing } = handle
    if (listing === undefined) return
    for (let index = Math.max(0, offset - DOTS); ; index += 1) {
      while (index >= listing.entries.length) {
        // What fits is in the reply already: better to send that than to wait for a page.
        if (index > Math.max(0, offset - DOTS) && listing.pages !== undefined) return
        if (!(await this.#nextPage(context, handle, listing))) return
      }
      const listed = listing.entries[index]
      if (listed === undefined) return
      if (!this.#add(handle.directory, listed, { cookie: index + DOTS + 1, plus, add })) return
    }
  }

  #start(handle: DirectoryHandle): void {
    const { directory } = handle
    const { inodes, metadata } = this.#core
    const path = inodes.path(directory)
    const seen = metadata.now()
    const listing: Listing = { entries: [], names: new Set(), pages: undefined }
    handle.listing = listing
    for (const child of directory.children.values()) {
      if (isLocal(child)) take(listing, { name: child.name, info: undefined, seen })
    }
    if (directory.presence === 'made' || !inodes.isLinked(directory)) return
    const known = metadata.listing(path)
    if (known !== undefined) {
      for (const info of known) {
        const name = nameOf(info)
        take(listing, { name, info, seen: metadata.get(path, name)?.seen ?? -Infinity })
      }
      return
    }
    listing.pages = this.#pages(handle, path)
  }

  #pages({ controller }: DirectoryHandle, path: string): Pages {
    const { driver, metadata } = this.#core
    const underWay = metadata.begin(path)
    const iterator = driver.entries(path, { signal: controller.signal })[Symbol.asyncIterator]()
    return { path, underWay, iterator, next: undefined }
  }

  /** Takes what comes next, which may be nothing new; false at the end. */
  async #nextPage(
    context: RequestContext,
    handle: DirectoryHandle,
    listing: Listing,
  ): Promise<boolean> {
    const { inodes } = this.#core
    const { directory } = handle
    const { pages } = listing
    if (pages === undefined) return false
    if (!inodes.isLinked(directory)) {
      listing.pages = undefined
      return false
    }
    const result = await this.#fetch(context, handle, listing, pages)
    const path = inodes.path(directory)
    if (path !== pages.path) {
      // Renamed meanwhile: where it was there is nothing, or something else. What is known stays.
      listing.pages = this.#pages(handle, path)
      return true
    }
    if (result.done === true) {
      listing.pages = undefined
      this.#core.metadata.complete(path, pages.underWay)
      return false
    }
    this.#takePage(listing, pages, result.value)
    return true
  }

  async #fetch(
    context: RequestContext,
    handle: DirectoryHandle,
    listing: Listing,
    pages: Pages,
  ): Promise<IteratorResult<EntriesPage>> {
    const { tree } = this.#core
    pages.next ??= pages.iterator.next()
    try {
      const result = await abortable(pages.next, context.signal)
      await abortable(tree.settled(), context.signal)
      pages.next = undefined
      return result
    } catch (error) {
      // A listing that has failed is at its end; the next reader has it begin again. One that was only
      // waited for goes on, and its page is the next reader's.
      if (!context.signal.aborted) listing.pages = this.#pages(handle, pages.path)
      throw error
    }
  }

  #takePage(listing: Listing, { path, underWay }: Pages, { entries, hidden }: EntriesPage): void {
    const { log, metadata } = this.#core
    const { began } = underWay
    if (hidden > 0) {
      log.warn({ path, hidden }, 'objects are not shown: no path can express their keys')
    }
    const named = entries.map(info => [nameOf(info), info] as const)
    metadata.putPage(path, named, began)
    for (const [name, info] of named) take(listing, { name, info, seen: began })
  }

  #addDots(directory: DirectoryInode, offset: number, add: AddEntry): boolean {
    const dot = { name: '.', ino: directory.number, offset: 1, type: S_IFDIR }
    if (offset < 1 && !add(dot)) return false
    const parent = directory.parent ?? directory
    return add({ name: '..', ino: parent.number, offset: 2, type: S_IFDIR })
  }

  #add(
    directory: DirectoryInode,
    listed: Listed,
    { cookie, plus, add }: { cookie: number; plus: boolean; add: AddEntry },
  ): boolean {
    const { inodes, metadata } = this.#core
    const { name } = listed
    const child = directory.children.get(name)
    // What was removed or stored here since it was listed is so now.
    const { info, seen } =
      metadata.changedSince(inodes.path(directory), name, listed.seen) ?? listed
    if (info === undefined && child === undefined) return true
    const isDirectory = child === undefined ? info?.isDir === true : child.kind === 'directory'
    const plain: DirectoryEntry = {
      name,
      ino: child?.number ?? hash53(inodes.childPath(directory, name)),
      offset: cookie,
      type: isDirectory ? S_IFDIR : S_IFREG,
    }
    if (!plus) return add(plain)
    const inode = info === undefined ? child : this.#lookup.meet(directory, name, info, seen)
    if (inode === undefined) return add(plain)
    const type = inode.kind === 'directory' ? S_IFDIR : S_IFREG
    const taken = add({ ...plain, ino: inode.number, type, entry: this.#entryOf(inode) })
    if (taken) inode.lookups += 1
    else inodes.drop(inode)
    return taken
  }
}

function take(listing: Listing, listed: Listed): void {
  if (listing.names.has(listed.name)) return
  listing.names.add(listed.name)
  listing.entries.push(listed)
}

function nameOf(info: FileInfo): string {
  return info.path.slice(info.path.lastIndexOf('/') + 1)
}
