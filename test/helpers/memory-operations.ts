/**
 * A small file system in memory, to have something to mount where the real one is not the subject.
 *
 * Inodes live for as long as the process. Two names are special, for tests of the binding:
 * - `blocked`, in any directory: a read waits until it is interrupted, then fails with EINTR, or
 *   until `unblock`, then gives what there is;
 * - `faulty`, in any directory: a read throws what is no ErrnoError.
 */
import { Buffer } from 'node:buffer'
import { ErrnoError } from '../../src/util/errno.js'
import { ROOT_INO } from '../../src/fs/operations.js'
import type {
  Attributes,
  CreateReply,
  CreateRequest,
  DirectoryEntry,
  Entry,
  Fh,
  Ino,
  MaybePromise,
  NegativeEntry,
  Notifier,
  OpenReply,
  Operations,
  RenameRequest,
  RequestContext,
  SessionInfo,
  SetAttributes,
  SetXattrRequest,
  StatfsReply,
  Timestamp,
  WriteRequest,
} from '../../src/fs/operations.js'

const S_IFMT = 0o170000
const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000
const O_TRUNC = 0o1000
const RENAME_NOREPLACE = 1

export interface MemoryOptions {
  readonly uid?: number
  readonly gid?: number
  /** Awaited by every read and write, so that they are answered late. */
  readonly latency?: () => Promise<void>
  readonly directIo?: boolean
  /** Seconds that the kernel may believe names and attributes; default 1. */
  readonly valid?: number
}

interface Node {
  readonly ino: Ino
  mode: number
  uid: number
  gid: number
  nlink: number
  atime: Timestamp
  mtime: Timestamp
  ctime: Timestamp
  size: number
  data: Buffer
  lookups: number
  readonly children: Map<string, Node>
  readonly target: string
  readonly rdev: number
  readonly xattrs: Map<string, Uint8Array>
}

function now(): Timestamp {
  const milliseconds = Date.now()
  return {
    seconds: Math.floor(milliseconds / 1000),
    nanoseconds: (milliseconds % 1000) * 1_000_000,
  }
}

export class MemoryOperations implements Operations {
  readonly calls = new Map<string, number>()
  notifier: Notifier | undefined
  session: SessionInfo | undefined
  destroyed = 0
  readonly #options: MemoryOptions
  readonly #nodes = new Map<number, Node>()
  readonly #open = new Map<number, { readonly ino: Ino; readonly names: readonly string[] }>()
  readonly #blocked: (() => void)[] = []
  #unblocked = false
  #lastIno = 0
  #lastFh = 0

  constructor(options: MemoryOptions = {}) {
    this.#options = options
    const root = this.#make(S_IFDIR | 0o755, options.uid ?? 0, options.gid ?? 0)
    root.lookups = 1
  }

  /** Handles that were opened and not released. */
  get openHandles(): number {
    return this.#open.size
  }

  /** All lookup counts together. */
  get lookups(): number {
    let sum = 0
    for (const node of this.#nodes.values()) sum += node.lookups
    return sum
  }

  /** Changes a file of the root as another host would, and tells the kernel if asked. */
  change(name: string, content: string, tell: boolean): void {
    const node = this.#child(ROOT_INO, name)
    const { mtime } = node
    this.#resize(node, Buffer.byteLength(content))
    node.data.write(content)
    // As before, so that only the notification can give the change away.
    node.mtime = mtime
    if (tell) this.notifier?.invalidateInode(node.ino, 0, 0)
  }

  /** Removes a file of the root as another host would, and tells the kernel. */
  remove(name: string): void {
    this.#remove(ROOT_INO, name, this.#child(ROOT_INO, name))
    this.notifier?.invalidateEntry(ROOT_INO, name)
  }

  init(session: SessionInfo, notifier: Notifier): void {
    this.session = session
    this.notifier = notifier
  }

  async destroy(): Promise<void> {
    this.destroyed += 1
  }

  lookup(_: RequestContext, parent: Ino, name: string): Entry | NegativeEntry {
    this.#count('lookup')
    const node = this.#node(parent).children.get(name)
    if (node === undefined) return { ino: undefined, entryValid: 0 }
    return this.#entry(node)
  }

  forget(ino: Ino, lookups: number): void {
    this.#count('forget')
    this.#node(ino).lookups -= lookups
  }

  getattr(_: RequestContext, ino: Ino): { attributes: Attributes; attributesValid: number } {
    this.#count('getattr')
    return { attributes: attributesOf(this.#node(ino)), attributesValid: this.#valid }
  }

  setattr(context: RequestContext, ino: Ino, set: SetAttributes) {
    this.#count('setattr')
    const node = this.#node(ino)
    if (set.mode !== undefined) node.mode = (node.mode & S_IFMT) | set.mode
    if (set.uid !== undefined) node.uid = set.uid
    if (set.gid !== undefined) node.gid = set.gid
    if (set.size !== undefined) this.#resize(node, set.size)
    if (set.atime !== undefined) node.atime = set.atime === 'now' ? now() : set.atime
    if (set.mtime !== undefined) node.mtime = set.mtime === 'now' ? now() : set.mtime
    node.ctime = now()
    return this.getattr(context, ino)
  }

  readlink(_: RequestContext, ino: Ino): string {
    return this.#node(ino).target
  }

  mknod(
    context: RequestContext,
    parent: Ino,
    request: CreateRequest & { readonly rdev: number },
  ): Entry {
    return this.#entry(this.#create(context, parent, { ...request, name: request.name }))
  }

  mkdir(context: RequestContext, parent: Ino, request: CreateRequest): Entry {
    const mode = S_IFDIR | request.mode
    return this.#entry(this.#create(context, parent, { name: request.name, mode }))
  }

  unlink(_: RequestContext, parent: Ino, name: string): void {
    const node = this.#child(parent, name)
    if (isDirectory(node)) throw new ErrnoError('EISDIR', name)
    this.#remove(parent, name, node)
  }

  rmdir(_: RequestContext, parent: Ino, name: string): void {
    const node = this.#child(parent, name)
    if (!isDirectory(node)) throw new ErrnoError('ENOTDIR', name)
    if (node.children.size > 0) throw new ErrnoError('ENOTEMPTY', name)
    this.#remove(parent, name, node)
  }

  symlink(context: RequestContext, parent: Ino, name: string, target: string): Entry {
    return this.#entry(this.#create(context, parent, { name, mode: S_IFLNK | 0o777, target }))
  }

  rename(_: RequestContext, request: RenameRequest): void {
    const { parent, name, newParent, newName, flags } = request
    if ((flags & ~RENAME_NOREPLACE) !== 0) throw new ErrnoError('EINVAL', `rename flags ${flags}`)
    const node = this.#child(parent, name)
    const replaced = this.#node(newParent).children.get(newName)
    if (replaced !== undefined) {
      if ((flags & RENAME_NOREPLACE) !== 0) throw new ErrnoError('EEXIST', newName)
      if (replaced.children.size > 0) throw new ErrnoError('ENOTEMPTY', newName)
      this.#remove(newParent, newName, replaced)
    }
    this.#node(parent).children.delete(name)
    this.#node(newParent).children.set(newName, node)
  }

  link(_: RequestContext, ino: Ino, newParent: Ino, newName: string): Entry {
    const node = this.#node(ino)
    if (this.#node(newParent).children.has(newName)) throw new ErrnoError('EEXIST', newName)
    this.#node(newParent).children.set(newName, node)
    node.nlink += 1
    return this.#entry(node)
  }

  open(_: RequestContext, ino: Ino, flags: number): OpenReply {
    this.#count('open')
    if ((flags & O_TRUNC) !== 0) this.#resize(this.#node(ino), 0)
    return this.#handle(ino, [])
  }

  create(
    context: RequestContext,
    parent: Ino,
    request: CreateRequest & { readonly flags: number },
  ): CreateReply {
    this.#count('create')
    const mode = S_IFREG | request.mode
    const node = this.#create(context, parent, { name: request.name, mode })
    return { ...this.#entry(node), ...this.#handle(node.ino, []) }
  }

  read(
    context: RequestContext,
    ino: Ino,
    _fh: Fh,
    offset: number,
    size: number,
  ): MaybePromise<readonly Uint8Array[]> {
    this.#count('read')
    const node = this.#node(ino)
    if (this.#isNamed(node, 'faulty')) throw new TypeError('read on purpose a faulty file')
    if (this.#isNamed(node, 'blocked')) {
      return this.#untilUnblocked(context.signal).then(() => [
        node.data.subarray(offset, node.size),
      ])
    }
    const slices = [node.data.subarray(offset, Math.min(offset + size, node.size))]
    return this.#options.latency?.().then(() => slices) ?? slices
  }

  write(_: RequestContext, ino: Ino, _fh: Fh, { offset, data }: WriteRequest) {
    this.#count('write')
    const node = this.#node(ino)
    const store = (): number => {
      if (offset + data.length > node.size) this.#resize(node, offset + data.length)
      node.data.set(data, offset)
      node.mtime = now()
      return data.length
    }
    return this.#options.latency?.().then(store) ?? store()
  }

  fallocate(
    _: RequestContext,
    ino: Ino,
    _fh: Fh,
    { offset, length }: Parameters<Operations['fallocate']>[3],
  ): void {
    this.#count('fallocate')
    const node = this.#node(ino)
    if (offset + length > node.size) this.#resize(node, offset + length)
  }

  lseek(
    _: RequestContext,
    ino: Ino,
    _fh: Fh,
    { offset }: Parameters<Operations['lseek']>[3],
  ): number {
    this.#count('lseek')
    const { size } = this.#node(ino)
    if (offset >= size) throw new ErrnoError('ENXIO', `offset ${offset}`)
    return offset
  }

  copyfilerange(
    _: RequestContext,
    { source, target, length }: Parameters<Operations['copyfilerange']>[1],
  ): number {
    this.#count('copyfilerange')
    const from = this.#node(source.ino)
    const to = this.#node(target.ino)
    const bytes = from.data.subarray(source.offset, Math.min(source.offset + length, from.size))
    const end = target.offset + bytes.length
    if (end > to.size) this.#resize(to, end)
    to.data.set(bytes, target.offset)
    return bytes.length
  }

  flush(): void {
    this.#count('flush')
  }

  release(_: RequestContext, _ino: Ino, fh: Fh): void {
    this.#count('release')
    if (!this.#open.delete(fh)) throw new ErrnoError('EBADF', `handle ${fh}`)
  }

  fsync(): void {
    this.#count('fsync')
  }

  opendir(_: RequestContext, ino: Ino): OpenReply {
    return this.#handle(ino, ['.', '..', ...this.#node(ino).children.keys()])
  }

  readdir(
    _: RequestContext,
    ino: Ino,
    fh: Fh,
    { offset, plus, add }: Parameters<Operations['readdir']>[3],
  ): void {
    this.#count(plus ? 'readdirplus' : 'readdir')
    const names = this.#open.get(fh)?.names ?? []
    for (let index = offset; index < names.length; index++) {
      const name = names[index] ?? ''
      const node =
        name === '.' || name === '..' ? this.#node(ino) : this.#node(ino).children.get(name)
      if (node === undefined) continue
      const isDots = name === '.' || name === '..'
      const entry: DirectoryEntry = {
        name,
        ino: node.ino,
        offset: index + 1,
        type: node.mode & S_IFMT,
        ...(plus && !isDots && { entry: this.#peek(node) }),
      }
      if (!add(entry)) return
      if (plus && !isDots) node.lookups += 1
    }
  }

  releasedir(_: RequestContext, _ino: Ino, fh: Fh): void {
    this.#count('releasedir')
    this.#open.delete(fh)
  }

  fsyncdir(): void {
    this.#count('fsyncdir')
  }

  syncfs(): void {
    this.#count('syncfs')
  }

  statfs(): StatfsReply {
    return {
      blockSize: 4096,
      blocks: 1000,
      blocksFree: 500,
      blocksAvailable: 400,
      files: 100,
      filesFree: 50,
      nameLength: 255,
    }
  }

  getxattr(_: RequestContext, ino: Ino, name: string): Uint8Array {
    this.#count('getxattr')
    const value = this.#node(ino).xattrs.get(name)
    if (value === undefined) throw new ErrnoError('ENODATA', name)
    return value
  }

  listxattr(_: RequestContext, ino: Ino): readonly string[] {
    this.#count('listxattr')
    return [...this.#node(ino).xattrs.keys()]
  }

  setxattr(_: RequestContext, ino: Ino, { name, value }: SetXattrRequest): void {
    this.#count('setxattr')
    this.#node(ino).xattrs.set(name, Uint8Array.from(value))
  }

  removexattr(_: RequestContext, ino: Ino, name: string): void {
    this.#count('removexattr')
    if (!this.#node(ino).xattrs.delete(name)) throw new ErrnoError('ENODATA', name)
  }

  access(): void {
    this.#count('access')
  }

  /** Lets the reads of `blocked` files go on, now and later. */
  unblock(): void {
    this.#unblocked = true
    for (const waiting of this.#blocked.splice(0)) waiting()
  }

  #untilUnblocked(signal: AbortSignal): Promise<void> {
    if (this.#unblocked) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const fail = (): void => {
        this.#count('interrupted')
        reject(new ErrnoError('EINTR', 'interrupted'))
      }
      this.#blocked.push(resolve)
      if (signal.aborted) fail()
      else signal.addEventListener('abort', fail, { once: true })
    })
  }

  get #valid(): number {
    return this.#options.valid ?? 1
  }

  #count(call: string): void {
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1)
  }

  #node(ino: Ino): Node {
    const node = this.#nodes.get(ino)
    if (node === undefined) throw new ErrnoError('ESTALE', `inode ${ino}`)
    return node
  }

  #child(parent: Ino, name: string): Node {
    const node = this.#node(parent).children.get(name)
    if (node === undefined) throw new ErrnoError('ENOENT', name)
    return node
  }

  #isNamed(node: Node, name: string): boolean {
    return [...this.#nodes.values()].some(other => other.children.get(name) === node)
  }

  #handle(ino: Ino, names: readonly string[]): OpenReply {
    this.#lastFh += 1
    const fh = this.#lastFh as Fh
    this.#open.set(fh, { ino, names })
    return { fh, directIo: this.#options.directIo === true }
  }

  #create(
    context: RequestContext,
    parent: Ino,
    what: { name: string; mode: number; target?: string; rdev?: number },
  ): Node {
    const { children } = this.#node(parent)
    if (children.has(what.name)) throw new ErrnoError('EEXIST', what.name)
    const node = this.#make(what.mode, context.uid, context.gid, what)
    children.set(what.name, node)
    if (isDirectory(node)) this.#node(parent).nlink += 1
    this.#touch(parent)
    return node
  }

  #make(mode: number, uid: number, gid: number, more: { target?: string; rdev?: number } = {}) {
    this.#lastIno += 1
    const node: Node = {
      ino: this.#lastIno as Ino,
      mode,
      uid,
      gid,
      nlink: (mode & S_IFMT) === S_IFDIR ? 2 : 1,
      atime: now(),
      mtime: now(),
      ctime: now(),
      size: more.target === undefined ? 0 : Buffer.byteLength(more.target),
      data: Buffer.alloc(0),
      lookups: 0,
      children: new Map(),
      target: more.target ?? '',
      rdev: more.rdev ?? 0,
      xattrs: new Map(),
    }
    this.#nodes.set(node.ino, node)
    return node
  }

  #remove(parent: Ino, name: string, node: Node): void {
    this.#node(parent).children.delete(name)
    node.nlink -= isDirectory(node) ? 2 : 1
    if (isDirectory(node)) this.#node(parent).nlink -= 1
    this.#touch(parent)
  }

  #touch(ino: Ino): void {
    this.#node(ino).mtime = now()
  }

  #resize(node: Node, size: number): void {
    if (size > node.data.length) {
      const grown = Buffer.alloc(Math.max(size, node.data.length * 2))
      node.data.copy(grown, 0, 0, node.size)
      node.data = grown
    } else if (size < node.size) node.data.fill(0, size, node.size)
    node.size = size
    node.mtime = now()
  }

  #peek(node: Node): Entry {
    return {
      ino: node.ino,
      generation: 0,
      entryValid: this.#valid,
      attributes: attributesOf(node),
      attributesValid: this.#valid,
    }
  }

  #entry(node: Node): Entry {
    node.lookups += 1
    return this.#peek(node)
  }
}

function isDirectory(node: Node): boolean {
  return (node.mode & S_IFMT) === S_IFDIR
}

function attributesOf(node: Node): Attributes {
  const { ino, size, atime, mtime, ctime, mode, nlink, uid, gid, rdev } = node
  const blocks = Math.ceil(size / 512)
  return { ino, size, blocks, atime, mtime, ctime, mode, nlink, uid, gid, rdev, blksize: 4096 }
}
