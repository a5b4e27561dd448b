/**
 * The core without a kernel, behind the calls of the suite: what a kernel checks before it asks a file
 * system is checked here, and nothing is cached, so that every call reaches the core. Permissions are
 * not checked: they are the kernel's.
 */
import { Buffer } from 'node:buffer'
import type {
  Entry,
  Operations,
  RequestContext,
  SetAttributes,
} from '../../../../src/fs/operations.js'
import { ErrnoError } from '../../../../src/util/errno.js'
import { RENAME, type TimeArgument } from '../../../helpers/libc.js'
import { O, type MaybePromise, type Name, type Os, type Stat } from '../os.js'
import { CoreDirectory, CoreDirectoryFile, CoreFile, statOf } from './core-handles.js'
import { isDirectory, isSymlink, Walk, type Node, type Place } from './core-paths.js'

const UMASK = 0o022
const ACCESS_MODE = 3
const TYPE = 0o170000
const REGULAR = 0o100000
const NODE_TYPES = [REGULAR, 0o010000, 0o140000, 0o060000, 0o020000]
const EXECUTE = 1
/** Flags of open(2) that a kernel keeps to itself. */
const KERNEL_FLAGS = O.creat | O.excl
/** XATTR_NAME_MAX and PATH_MAX of linux/limits.h */
const XATTR_NAME_MAX = 255
const TARGET_MAX = 4095

export class CoreCalls implements Os {
  readonly #fs: Operations
  readonly #context: RequestContext = {
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    pid: process.pid,
    signal: new AbortController().signal,
  }

  constructor(fs: Operations) {
    this.#fs = fs
  }

  async open(path: Name, flags: number, mode = 0o644): Promise<CoreFile> {
    using walk = this.#walk()
    const creates = (flags & O.creat) !== 0
    const exclusive = creates && (flags & O.excl) !== 0
    const follow = !exclusive && (flags & O.nofollow) === 0
    const place = await walk.place(path, { follow, creates })
    const { node } = place
    if (node === undefined) {
      if (!creates) throw new ErrnoError('ENOENT', String(path))
      if (place.slash) throw new ErrnoError('EISDIR', String(path))
      return await this.#create(place, flags, mode)
    }
    if (exclusive) throw new ErrnoError('EEXIST', String(path))
    if (isSymlink(node)) throw new ErrnoError('ELOOP', String(path))
    return await this.#openNode(walk, { ...place, node }, flags)
  }

  async #create({ parent, name }: Place, flags: number, mode: number): Promise<CoreFile> {
    const request = { name, mode: mode & ~UMASK, umask: UMASK, flags }
    const made = await this.#fs.create(this.#context, parent.ino, request)
    return new CoreFile({ ...this.#self, ino: made.ino, fh: made.fh, flags })
  }

  async #openNode(walk: Walk, place: Place & { node: Node }, flags: number): Promise<CoreFile> {
    const { node, name, slash } = place
    const { ino } = node
    if (isDirectory(node)) {
      const changes = (flags & ACCESS_MODE) !== O.rdonly || (flags & (O.creat | O.trunc)) !== 0
      if (changes) throw new ErrnoError('EISDIR', name)
      const { fh } = await this.#fs.opendir(this.#context, ino, O.directory)
      walk.keep(ino)
      return new CoreDirectoryFile({ ...this.#self, ino, fh, flags })
    }
    if (slash || (flags & O.directory) !== 0) throw new ErrnoError('ENOTDIR', name)
    const { fh } = await this.#fs.open(this.#context, ino, flags & ~KERNEL_FLAGS)
    walk.keep(ino)
    return new CoreFile({ ...this.#self, ino, fh, flags })
  }

  async stat(path: Name): Promise<Stat> {
    using walk = this.#walk()
    const { ino } = await walk.node(path, { follow: false })
    return statOf((await this.#fs.getattr(this.#context, ino)).attributes)
  }

  async access(path: Name, mode: number): Promise<void> {
    using walk = this.#walk()
    const { attributes } = await walk.node(path, { follow: true })
    const may = (attributes.mode & 0o111) !== 0
    if ((mode & EXECUTE) !== 0 && !may) throw new ErrnoError('EACCES', String(path))
  }

  async truncate(path: Name, size: number): Promise<void> {
    if (size < 0) throw new ErrnoError('EINVAL', 'truncate')
    using walk = this.#walk()
    const node = await walk.node(path, { follow: true })
    if (isDirectory(node)) throw new ErrnoError('EISDIR', String(path))
    await this.#fs.setattr(this.#context, node.ino, { size })
  }

  async mkdir(path: Name, mode = 0o755): Promise<void> {
    await this.#make(path, { directory: true }, ({ parent, name }) =>
      this.#fs.mkdir(this.#context, parent.ino, { name, mode: mode & ~UMASK, umask: UMASK }),
    )
  }

  async rmdir(path: Name): Promise<void> {
    using walk = this.#walk()
    const { parent, name, node } = await walk.place(path, { follow: false })
    if (name === '.') throw new ErrnoError('EINVAL', String(path))
    if (name === '..') throw new ErrnoError('ENOTEMPTY', String(path))
    if (name === '/') throw new ErrnoError('EBUSY', String(path))
    if (node === undefined) throw new ErrnoError('ENOENT', String(path))
    if (!isDirectory(node)) throw new ErrnoError('ENOTDIR', String(path))
    await this.#fs.rmdir(this.#context, parent.ino, name)
  }

  async unlink(path: Name): Promise<void> {
    using walk = this.#walk()
    const { parent, name, node, slash } = await walk.place(path, { follow: false })
    if (node === undefined) throw new ErrnoError('ENOENT', String(path))
    if (isDirectory(node)) throw new ErrnoError('EISDIR', String(path))
    if (slash) throw new ErrnoError('ENOTDIR', String(path))
    await this.#fs.unlink(this.#context, parent.ino, name)
  }

  async rename(from: Name, to: Name, flags = 0): Promise<void> {
    using walk = this.#walk()
    const source = await walk.place(from, { follow: false })
    const target = await walk.place(to, { follow: false, creates: true })
    checkRename(source, target, flags)
    if (source.node?.ino === target.node?.ino) return
    await this.#fs.rename(this.#context, {
      parent: source.parent.ino,
      name: source.name,
      newParent: target.parent.ino,
      newName: target.name,
      flags,
    })
  }

  async link(from: Name, to: Name): Promise<void> {
    using walk = this.#walk()
    const { ino } = await walk.node(from, { follow: false })
    await this.#make(to, {}, async ({ parent, name }) =>
      this.#fs.link(this.#context, ino, parent.ino, name),
    )
  }

  async symlink(target: Name, path: Name): Promise<void> {
    const text = Buffer.from(target as Uint8Array)
    if (text.length === 0) throw new ErrnoError('ENOENT', 'no target')
    if (text.length > TARGET_MAX) throw new ErrnoError('ENAMETOOLONG', 'the target')
    await this.#make(path, {}, ({ parent, name }) =>
      this.#fs.symlink(this.#context, parent.ino, name, text.toString()),
    )
  }

  async readlink(path: Name): Promise<string> {
    using walk = this.#walk()
    const node = await walk.node(path, { follow: false })
    if (!isSymlink(node)) throw new ErrnoError('EINVAL', String(path))
    return await this.#fs.readlink(this.#context, node.ino)
  }

  async mknod(path: Name, mode: number, device = 0): Promise<void> {
    const type = (mode & TYPE) === 0 ? REGULAR : mode & TYPE
    if (type === 0o040000) throw new ErrnoError('EPERM', String(path))
    if (!NODE_TYPES.includes(type)) throw new ErrnoError('EINVAL', String(path))
    const request = { mode: type | (mode & 0o7777 & ~UMASK), umask: UMASK, rdev: device }
    await this.#make(path, {}, ({ parent, name }) =>
      this.#fs.mknod(this.#context, parent.ino, { name, ...request }),
    )
  }

  chmod(path: Name, mode: number): Promise<void> {
    return this.#set(path, { mode: mode & 0o7777 }, { follow: true })
  }

  chown(path: Name, uid: number, gid: number): Promise<void> {
    const set = { ...(uid !== -1 && { uid }), ...(gid !== -1 && { gid }) }
    return this.#set(path, set, { follow: false })
  }

  async utimens(path: Name, atime: TimeArgument, mtime: TimeArgument): Promise<void> {
    const set = { ...(atime !== 'omit' && { atime }), ...(mtime !== 'omit' && { mtime }) }
    if (atime !== 'omit' || mtime !== 'omit') await this.#set(path, set, { follow: false })
  }

  async setxattr(path: Name, name: string, value: Uint8Array, flags = 0): Promise<void> {
    checkXattr(name)
    using walk = this.#walk()
    const { ino } = await walk.node(path, { follow: true })
    await this.#fs.setxattr(this.#context, ino, { name, value, flags })
  }

  async getxattr(path: Name, name: string, room = Infinity): Promise<Buffer> {
    checkXattr(name)
    using walk = this.#walk()
    const { ino } = await walk.node(path, { follow: true })
    const value = await this.#fs.getxattr(this.#context, ino, name)
    if (value.length > room) throw new ErrnoError('ERANGE', name)
    return Buffer.from(value)
  }

  async listxattr(path: Name): Promise<string[]> {
    using walk = this.#walk()
    const { ino } = await walk.node(path, { follow: true })
    return [...(await this.#fs.listxattr(this.#context, ino))]
  }

  async removexattr(path: Name, name: string): Promise<void> {
    checkXattr(name)
    using walk = this.#walk()
    const { ino } = await walk.node(path, { follow: true })
    await this.#fs.removexattr(this.#context, ino, name)
  }

  async opendir(path: Name): Promise<CoreDirectory> {
    using walk = this.#walk()
    const node = await walk.node(path, { follow: true })
    if (!isDirectory(node)) throw new ErrnoError('ENOTDIR', String(path))
    const { ino } = node
    const { fh } = await this.#fs.opendir(this.#context, ino, O.directory)
    walk.keep(ino)
    return new CoreDirectory({ ...this.#self, ino, fh, flags: O.directory })
  }

  async #set(path: Name, set: SetAttributes, options: { follow: boolean }): Promise<void> {
    using walk = this.#walk()
    const { ino } = await walk.node(path, options)
    await this.#fs.setattr(this.#context, ino, set)
  }

  /** Makes a name where none is; the lookup that this counts is forgotten at once. */
  async #make(
    path: Name,
    { directory = false }: { readonly directory?: boolean },
    make: (place: Place) => MaybePromise<Entry>,
  ): Promise<void> {
    using walk = this.#walk()
    const place = await walk.place(path, { follow: false, creates: true })
    if (place.node !== undefined) throw new ErrnoError('EEXIST', String(path))
    if (place.slash && !directory) throw new ErrnoError('ENOENT', String(path))
    this.#fs.forget((await make(place)).ino, 1)
  }

  #walk(): Walk {
    return new Walk(this.#fs, this.#context)
  }

  get #self() {
    return { fs: this.#fs, context: this.#context }
  }
}

/** @see rename(2) */
function checkRename(source: Place, target: Place, flags: number): void {
  const { noReplace, exchange, whiteout } = RENAME
  const known = noReplace | exchange | whiteout
  const both = (flags & exchange) !== 0 && (flags & (noReplace | whiteout)) !== 0
  if ((flags & ~known) !== 0 || both) throw new ErrnoError('EINVAL', 'flags')
  if (isDots(source)) throw new ErrnoError('EBUSY', source.name)
  if (isDots(target)) {
    throw new ErrnoError((flags & noReplace) === 0 ? 'EBUSY' : 'EEXIST', target.name)
  }
  if (source.node === undefined) throw new ErrnoError('ENOENT', source.name)
  if (target.node !== undefined && (flags & noReplace) !== 0) {
    throw new ErrnoError('EEXIST', target.name)
  }
  if (!isDirectory(source.node) && (source.slash || target.slash)) {
    throw new ErrnoError('ENOTDIR', source.name)
  }
  if (target.above.includes(source.node.ino)) throw new ErrnoError('EINVAL', 'into itself')
  if (target.node === undefined) {
    if ((flags & exchange) !== 0) throw new ErrnoError('ENOENT', target.name)
    return
  }
  if (source.above.includes(target.node.ino)) throw new ErrnoError('ENOTEMPTY', target.name)
  if ((flags & exchange) !== 0) return
  if (isDirectory(source.node) && !isDirectory(target.node)) {
    throw new ErrnoError('ENOTDIR', target.name)
  }
  if (!isDirectory(source.node) && isDirectory(target.node)) {
    throw new ErrnoError('EISDIR', target.name)
  }
}

function isDots({ name }: Place): boolean {
  return name === '.' || name === '..' || name === '/'
}

function checkXattr(name: string): void {
  if (name === '' || Buffer.byteLength(name) > XATTR_NAME_MAX) throw new ErrnoError('ERANGE', name)
  if (!/^(user|trusted|security|system)\../.test(name)) throw new ErrnoError('EOPNOTSUPP', name)
}
