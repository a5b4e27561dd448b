/**
 * All living inodes, by number and by name, with their lookup counts.
 *
 * INVARIANT: a linked inode is in its parent's `children` under its name; every parent is in the
 * table; an inode that nothing retains is not in the table.
 */
import { ErrnoError } from '../../util/errno.js'
import { hash53 } from '../../util/hash.js'
import type { Milliseconds } from '../../util/units.js'
import { ROOT_INO } from '../operations.js'
import type { Ino } from '../operations.js'
import type { DirectoryInode, FileInode, Inode } from './inode.js'

export class InodeTable {
  readonly root: DirectoryInode
  readonly #inodes = new Map<Ino, Inode>()
  /** st_ino of all living inodes. */
  readonly #numbers = new Set<number>([ROOT_INO])
  readonly #clock: () => Milliseconds
  #nextIno = ROOT_INO + 1
  #renames = 0

  /** @param clock Unix time */
  constructor(clock: () => Milliseconds) {
    this.#clock = clock
    this.root = this.#directory(ROOT_INO, undefined, '')
    // The kernel never looks the root up and never forgets it.
    this.root.lookups = 1
    this.root.presence = 'stored'
    this.root.hasMarker = true
    this.#inodes.set(ROOT_INO, this.root)
  }

  /** Living inodes, the root included. */
  get size(): number {
    return this.#inodes.size
  }

  /** Changes whenever the paths of living inodes may have changed. */
  get renames(): number {
    return this.#renames
  }

  /** @throws ErrnoError ESTALE for a number that is not, or no longer, in use */
  get(ino: Ino): Inode {
    const inode = this.#inodes.get(ino)
    if (inode === undefined) throw new ErrnoError('ESTALE', `no inode ${ino}`)
    return inode
  }

  /** @throws ErrnoError ENOTDIR */
  directory(ino: Ino): DirectoryInode {
    const inode = this.get(ino)
    if (inode.kind !== 'directory') throw new ErrnoError('ENOTDIR', this.path(inode))
    return inode
  }

  /** @throws ErrnoError EISDIR */
  file(ino: Ino): FileInode {
    const inode = this.get(ino)
    if (inode.kind !== 'file') throw new ErrnoError('EISDIR', this.path(inode))
    return inode
  }

  /** The driver path; for an unlinked inode its home in the store, or the path it had. */
  path(inode: Inode): string {
    let path = ''
    let at: Inode = inode
    while (at !== this.root) {
      path = `/${at.name}${path}`
      if (at.parent === undefined) break
      at = at.parent
    }
    return path === '' ? '/' : path
  }

  childPath(parent: DirectoryInode, name: string): string {
    return parent === this.root ? `/${name}` : `${this.path(parent)}/${name}`
  }

  isLinked(inode: Inode): boolean {
    let at = inode
    while (at.parent !== undefined) at = at.parent
    return at === this.root
  }

  isBelow(inode: Inode, ancestor: DirectoryInode): boolean {
    for (let at = inode.parent; at !== undefined; at = at.parent) if (at === ancestor) return true
    return false
  }

  addFile(parent: DirectoryInode, name: string): FileInode {
    const file: FileInode = {
      kind: 'file',
      ...this.#record(this.#mint(), parent, name),
      version: undefined,
      covers: false,
      exclusive: false,
      attempted: undefined,
      seen: -Infinity,
      confirmed: -Infinity,
      hidden: false,
      unsettled: false,
      moving: undefined,
      dirty: undefined,
      pagesOf: undefined,
      replaced: 0,
    }
    return this.#add(file, parent)
  }

  addDirectory(parent: DirectoryInode, name: string): DirectoryInode {
    return this.#add(this.#directory(this.#mint(), parent, name), parent)
  }

  /**
   * The name is gone; the inode lives on while it is retained.
   *
   * @param home  where its content lies from now on
   */
  unlink(inode: Inode, home?: string): void {
    const { parent } = inode
    if (parent === undefined) return
    // The whole path, so that messages about an unlinked inode still say which it was.
    const path = home ?? this.path(inode)
    if (parent.children.get(inode.name) === inode) parent.children.delete(inode.name)
    inode.parent = undefined
    inode.name = path.slice(1)
    if (inode.kind === 'file') inode.hidden = home !== undefined
    this.#renames += 1
    this.drop(inode)
    this.drop(parent)
  }

  /** Gives an inode another name; what had that name before must have been unlinked. */
  rename(inode: Inode, parent: DirectoryInode, name: string): void {
    const before = inode.parent
    before?.children.delete(inode.name)
    inode.parent = parent
    inode.name = name
    parent.children.set(name, inode)
    this.#renames += 1
    if (before !== undefined) this.drop(before)
  }

  forget(ino: Ino, lookups: number): void {
    const inode = this.#inodes.get(ino)
    if (inode === undefined || inode === this.root) return
    inode.lookups = Math.max(0, inode.lookups - lookups)
    this.drop(inode)
  }

  /** Keeps inodes in the table. @returns what lets them go again */
  pin(inodes: readonly Inode[]): () => void {
    for (const inode of inodes) inode.pins += 1
    return () => {
      for (const inode of inodes) inode.pins -= 1
      for (const inode of inodes) this.drop(inode)
    }
  }

  /** Removes the inode from the table unless something retains it. */
  drop(inode: Inode): void {
    if (inode === this.root || isRetained(inode)) return
    const { parent } = inode
    if (this.#inodes.delete(inode.ino)) this.#numbers.delete(inode.number)
    if (parent === undefined) return
    if (parent.children.get(inode.name) === inode) parent.children.delete(inode.name)
    this.drop(parent)
  }

  /** All living inodes below a directory, parents first. */
  *below(directory: DirectoryInode): Generator<Inode> {
    for (const child of directory.children.values()) {
      yield child
      if (child.kind === 'directory') yield* this.below(child)
    }
  }

  /** Sum of the kernel's lookup counts, without the root's. */
  get lookups(): number {
    let sum = 0
    for (const inode of this.#inodes.values()) if (inode !== this.root) sum += inode.lookups
    return sum
  }

  /** Throws if the class invariant does not hold; for tests. */
  checkInvariants(): void {
    for (const [ino, inode] of this.#inodes) {
      if (inode.ino !== ino) throw new Error(`inode ${inode.ino} is in the table as ${ino}`)
      if (inode !== this.root && !isRetained(inode)) throw new Error(`nothing retains inode ${ino}`)
      const { parent } = inode
      if (parent === undefined) continue
      if (this.#inodes.get(parent.ino) !== parent) throw new Error(`inode ${ino} has a dead parent`)
      if (parent.children.get(inode.name) !== inode) throw new Error(`inode ${ino} is not a child`)
    }
  }

  #mint(): Ino {
    const ino = this.#nextIno as Ino
    this.#nextIno += 1
    return ino
  }

  #add<T extends Inode>(inode: T, parent: DirectoryInode): T {
    this.#inodes.set(inode.ino, inode)
    this.#numbers.add(inode.number)
    parent.children.set(inode.name, inode)
    return inode
  }

  #record(ino: Ino, parent: DirectoryInode | undefined, name: string) {
    const path = parent === undefined ? '/' : this.childPath(parent, name)
    const number = parent === undefined ? ROOT_INO : this.#number(path)
    const born = this.#clock()
    const kept = {
      metadata: undefined,
      isKnown: false,
      version: undefined,
      seen: -Infinity,
      changes: 0,
      saved: 0,
    }
    const counts = { lookups: 0, handles: 0, pins: 0 }
    return { ino, number, parent, name, ...counts, overrides: {}, kept, born }
  }

  /**
   * The st_ino of a path. Two living inodes never share one, also when a file was renamed and its name
   * is used again: programs take files of the same number for the same file.
   */
  #number(path: string): number {
    for (let attempt = 0; ; attempt += 1) {
      const number = hash53(attempt === 0 ? path : `${path}\0${attempt}`)
      if (number > ROOT_INO && !this.#numbers.has(number)) return number
    }
  }

  #directory(ino: Ino, parent: DirectoryInode | undefined, name: string): DirectoryInode {
    return {
      kind: 'directory',
      ...this.#record(ino, parent, name),
      children: new Map(),
      presence: 'stored',
      hasMarker: undefined,
      removals: 0,
      modified: undefined,
    }
  }
}

function isRetained(inode: Inode): boolean {
  if (inode.lookups > 0 || inode.handles > 0 || inode.pins > 0) return true
  if (inode.kept.changes > inode.kept.saved && inode.parent !== undefined) return true
  if (inode.kind === 'file') return inode.dirty?.isDirty === true && inode.parent !== undefined
  return inode.children.size > 0 || (inode.presence !== 'stored' && inode.parent !== undefined)
}
