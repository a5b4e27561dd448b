/**
 * Open directories: opendir, readdir and releasedir.
 *
 * Model: a handle collects entries as it goes (entry-log.ts) and hands each out under its index, so
 * cookies stay right whatever is made or removed meanwhile (rm -rf reads while it deletes), and seekdir
 * works. The store's pages come as the reader gets there, one page ahead of him: the first entries of
 * a huge directory are read before its last page was fetched. Reading from the start again begins a new
 * listing.
 *
 * What only this mount knows comes first; names removed here since a page was asked for are left out.
 * A reader who is interrupted loses no page, and a listing that fails, or whose directory is renamed,
 * begins again behind the scenes: cookies stay, and names that were listed do not come again.
 */
import type { ListingUnderWay } from '../../cache/metadata-cache.js'
import type { EntriesPage, FileInfo } from '../../driver/driver.js'
import { baseName } from '../../driver/path.js'
import { abortable } from '../../util/abort.js'
import { ErrnoError } from '../../util/errno.js'
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
import { S_IFDIR, S_IFREG, typeOf } from './attributes.js'
import type { Core } from './core.js'
import { EntryLog } from './entry-log.js'
import type { Listed, ListedAt } from './entry-log.js'
import { HandleTable } from './handle-table.js'
import { isLocal } from './inode.js'
import type { DirectoryInode, Inode } from './inode.js'
import type { Lookup } from './lookup.js'
import { typeIn } from './stored-attributes.js'

interface Listing {
  readonly entries: EntryLog
  /** Names that need not come again: those only this mount knows; all, when a listing began again. */
  names: Set<string>
  /** undefined once the last page was read, or when none is needed. */
  pages: Pages | undefined
}

/** The store's pages from the first on. */
interface Pages {
  /** Of the directory when they were asked for. */
  readonly path: string
  readonly underWay: ListingUnderWay
  readonly iterator: AsyncIterator<EntriesPage>
  /** Asked for and not taken yet: ahead of need, or by a reader who was interrupted. */
  next: Page | undefined
}

interface Page {
  readonly asked: Milliseconds
  readonly result: Promise<IteratorResult<EntriesPage>>
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
    if (offset === 0 || handle.listing === undefined) await this.#start(context, handle)
    this.#reading(handle.directory)
    if (offset < DOTS && !this.#addDots(handle.directory, offset, add)) return
    const { listing } = handle
    if (listing === undefined) return
    let isEmpty = true
    const put: AddEntry = entry => {
      const fits = add(entry)
      if (fits) isEmpty = false
      return fits
    }
    for (let index = Math.max(0, offset - DOTS); ; index += 1) {
      while (index >= listing.entries.length) {
        // What fits is in the reply already: better to send that than to wait for a page. But an empty
        // reply says that the directory is at its end.
        if (!isEmpty && listing.pages !== undefined) return
        if (!(await this.#nextPage(context, handle, listing))) return
      }
      const listed = listing.entries.at(index)
      if (listed === undefined) return
      if (plus) await this.#prepare(context, handle.directory, listing, index)
      if (!this.#add(handle.directory, listed, { cookie: index + DOTS + 1, plus, add: put })) return
    }
  }

  #reading(directory: DirectoryInode): void {
    const { inodes, metadata } = this.#core
    if (inodes.isLinked(directory)) metadata.reading(inodes.path(directory))
  }

  /** Sees to the attributes of the entry, and of some that follow. */
  async #prepare(
    context: RequestContext,
    directory: DirectoryInode,
    { entries }: Listing,
    index: number,
  ): Promise<void> {
    const { attributes } = this.#core
    const listed = entries.at(index)
    if (listed === undefined || !attributes.isUnknown(directory, listed)) return
    const ahead = Math.min(attributes.ahead, entries.length - index)
    const following = Array.from({ length: ahead }, (_, i) => entries.at(index + i))
    await attributes.prepare(
      context,
      directory,
      following.filter(entry => entry !== undefined),
    )
  }

  async #start(context: RequestContext, handle: DirectoryHandle): Promise<void> {
    const { directory } = handle
    const { inodes, metadata, subtrees } = this.#core
    const isStored = directory.presence !== 'made' && inodes.isLinked(directory)
    // Whoever walks a tree may have the answer already.
    const walked = isStored ? subtrees.visit(inodes.path(directory)) : undefined
    if (walked !== undefined) await abortable(walked, context.signal)
    const path = inodes.path(directory)
    const seen = metadata.now()
    const listing: Listing = { entries: new EntryLog(), names: new Set(), pages: undefined }
    handle.listing = listing
    for (const child of directory.children.values()) {
      if (!isLocal(child)) continue
      const { name, kind } = child
      listing.names.add(name)
      listing.entries.add({
        name,
        isDir: kind === 'directory',
        isLocal: true,
        info: undefined,
        began: seen,
        seen,
      })
    }
    if (directory.presence === 'made' || !inodes.isLinked(directory)) return
    const known = metadata.listing(path)
    if (known !== undefined) {
      for (const info of known) {
        const seen = metadata.get(path, baseName(info.path))?.seen ?? -Infinity
        take(listing, info, { began: seen, seen })
      }
      return
    }
    listing.pages = this.#pages(handle, path)
  }

  #pages({ controller }: DirectoryHandle, path: string): Pages {
    const { driver, metadata } = this.#core
    const underWay = metadata.begin(path)
    const iterator = driver
      .entries(path, { signal: controller.signal, metadata: true })
      [Symbol.asyncIterator]()
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
    const { asked, page } = await this.#fetch(context, handle, listing, pages)
    const path = inodes.path(directory)
    if (path !== pages.path) {
      // Renamed meanwhile: where it was there is nothing, or something else. What is known stays.
      this.#again(handle, listing, path)
      return true
    }
    if (page.done === true) {
      listing.pages = undefined
      this.#core.metadata.complete(path, pages.underWay)
      return false
    }
    this.#takePage(listing, pages, page.value, asked)
    // Most readers of a small directory close it before they come for its end.
    pages.next?.result.then(
      ({ done }) => done === true && this.#core.metadata.complete(pages.path, pages.underWay),
      () => undefined,
    )
    return true
  }

  async #fetch(
    context: RequestContext,
    handle: DirectoryHandle,
    listing: Listing,
    pages: Pages,
  ): Promise<{ readonly asked: Milliseconds; readonly page: IteratorResult<EntriesPage> }> {
    const { tree } = this.#core
    pages.next ??= this.#askPage(pages)
    const { asked, result } = pages.next
    try {
      const page = await abortable(result, context.signal)
      await abortable(tree.settled(), context.signal)
      // The page after this one is under way while the kernel takes this one.
      pages.next = page.done === true ? undefined : this.#askPage(pages)
      return { asked, page }
    } catch (error) {
      // A listing that has failed is at its end; the next reader has it begin again. One that was only
      // waited for goes on, and its page is the next reader's.
      if (!context.signal.aborted) this.#again(handle, listing, pages.path)
      throw error
    }
  }

  #askPage({ iterator }: Pages): Page {
    const asked = this.#core.metadata.now()
    const result = iterator.next()
    // Whoever comes to read it gets the error.
    result.catch(() => undefined)
    return { asked, result }
  }

  /** Lists from the first page again; what was listed before does not come again. */
  #again(handle: DirectoryHandle, listing: Listing, path: string): void {
    if (!listing.entries.isWhole) throw new ErrnoError('EIO', `cannot list ${path} again`)
    listing.names = new Set(listing.entries.names())
    listing.pages = this.#pages(handle, path)
  }

  #takePage(
    listing: Listing,
    { path, underWay }: Pages,
    { entries, hidden }: EntriesPage,
    asked: Milliseconds,
  ): void {
    const { log, metadata } = this.#core
    const { began } = underWay
    if (hidden > 0) {
      log.warn({ path, hidden }, 'objects are not shown: no path can express their keys')
    }
    const named = entries.map(info => [baseName(info.path), info] as const)
    metadata.putPage(path, named, began, asked)
    for (const info of entries) take(listing, info, { began, seen: asked })
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
    const changed = metadata.changedSince(inodes.path(directory), name, listed.began)
    const { info, seen } = changed ?? listed
    const isGone = changed === undefined ? listed.isLocal : changed.info === undefined
    const isChanging = this.#core.changes.concerns(directory, name)
    if ((isGone || isChanging) && child === undefined) return true
    const isDirectory = child === undefined ? (info ?? listed).isDir : child.kind === 'directory'
    const plain: DirectoryEntry = {
      name,
      ino: child?.number ?? hash53(inodes.childPath(directory, name)),
      offset: cookie,
      type: isDirectory ? S_IFDIR : this.#typeOf(child, info),
    }
    if (!plus) return add(plain)
    const isKnown = info === undefined || isChanging
    const inode = isKnown ? child : this.#lookup.meet(directory, name, info, seen)
    if (inode === undefined) return add(plain)
    const type = typeOf(inode)
    const taken = add({ ...plain, ino: inode.number, type, entry: this.#entryOf(inode) })
    if (taken) inode.lookups += 1
    else inodes.drop(inode)
    return taken
  }

  /** Of a file; 0 (DT_UNKNOWN) makes programs ask. */
  #typeOf(child: Inode | undefined, info: FileInfo | undefined): number {
    const { isStored } = this.#core.attributes
    if (child !== undefined && (child.kept.isKnown || !isStored)) return typeOf(child)
    if (info?.metadata !== undefined) return typeIn(info.metadata)
    return isStored ? 0 : S_IFREG
  }
}

function take({ entries, names }: Listing, info: FileInfo, times: ListedAt): void {
  const name = baseName(info.path)
  if (!names.has(name)) entries.add({ name, isDir: info.isDir, isLocal: false, info, ...times })
}
