/**
 * Makes files, directories, links and nodes: each belongs to the caller, and is known to the kernel from
 * then on.
 */
import { ErrnoError } from '../../util/errno.js'
import type { CreateReply, CreateRequest, Entry, RequestContext } from '../operations.js'
import type { AttributeChanges } from './attribute-changes.js'
import { PERMISSIONS, S_IFLNK, S_IFMT, S_IFREG } from './attributes.js'
import type { Core } from './core.js'
import type { Files } from './files.js'
import type { DirectoryInode, FileInode, Inode } from './inode.js'
import type { Lookup } from './lookup.js'
import type { Namespace } from './namespace.js'
import type { Replies } from './replies.js'
import type { SpecialFiles } from './special-files.js'

const O_EXCL = 0o200

export interface MakingParts {
  readonly files: Files
  readonly lookup: Lookup
  readonly namespace: Namespace
  readonly specials: SpecialFiles
  readonly changes: AttributeChanges
  readonly replies: Replies
}

export class Making {
  readonly #core: Core
  readonly #parts: MakingParts

  constructor(core: Core, parts: MakingParts) {
    this.#core = core
    this.#parts = parts
  }

  async mknod(
    context: RequestContext,
    directory: DirectoryInode,
    request: CreateRequest & { readonly rdev: number },
  ): Promise<Entry> {
    const type = request.mode & S_IFMT
    const own = (file: FileInode): void => this.#parts.changes.owned(context, file, request)
    if (type !== S_IFREG && type !== 0) {
      const { name, rdev } = request
      const file = await this.#parts.specials.make(context, directory, { name, type, rdev }, own)
      return this.#parts.replies.looked(file)
    }
    await this.#parts.namespace.checkAbsent(context, directory, request.name)
    const place = { parent: directory, name: request.name }
    const file = await this.#parts.namespace.make(context, place, () =>
      this.#parts.files.make(directory, request.name, own),
    )
    return this.#parts.replies.looked(file)
  }

  async mkdir(
    context: RequestContext,
    parent: DirectoryInode,
    request: CreateRequest,
  ): Promise<Entry> {
    const directory = await this.#parts.namespace.mkdir(context, parent, request.name)
    this.#core.attributes.made(directory)
    this.#parts.changes.owned(context, directory, request)
    if (!this.#parts.changes.isUsual(directory)) this.#core.attributes.changed(directory)
    return this.#parts.replies.looked(directory)
  }

  async symlink(
    context: RequestContext,
    directory: DirectoryInode,
    { name, target }: { readonly name: string; readonly target: string },
  ): Promise<Entry> {
    const request = { name, mode: PERMISSIONS & 0o777, umask: 0 }
    const own = (file: FileInode): void => this.#parts.changes.owned(context, file, request)
    const special = { name, type: S_IFLNK, target }
    return this.#parts.replies.looked(
      await this.#parts.specials.make(context, directory, special, own),
    )
  }

  async create(
    context: RequestContext,
    directory: DirectoryInode,
    request: CreateRequest & { readonly flags: number },
  ): Promise<CreateReply> {
    const place = { parent: directory, name: request.name }
    const busy = this.#core.changes.free(context, { operation: 'make', names: [place] })
    if (busy !== undefined) await busy
    if ((request.flags & O_EXCL) !== 0) {
      await this.#parts.namespace.checkAbsent(context, directory, request.name)
    }
    const existing = await this.#parts.lookup.resolve(context, directory, request.name)
    if (existing !== undefined) return this.#openExisting(context, existing, request.flags)
    this.#core.driver.checkPath(this.#core.inodes.childPath(directory, request.name))
    const { file, ...opened } = this.#parts.files.create(directory, request.name, request.flags)
    const { exclusiveCreate } = this.#core.config
    if (file.exclusive && exclusiveCreate === 'open') {
      const release = (): Promise<void> => this.#parts.files.release(opened.fh)
      const claim = async (): Promise<FileInode> => {
        await this.#parts.files.claim(file, opened.fh)
        return file
      }
      await this.#parts.namespace.make(context, place, claim, release)
    }
    this.#parts.namespace.touch(directory)
    this.#parts.changes.owned(context, file, request)
    return { ...this.#parts.replies.looked(file), ...opened }
  }

  /** Somebody else made the file between the kernel's lookup and its create. */
  async #openExisting(context: RequestContext, inode: Inode, flags: number): Promise<CreateReply> {
    const { inodes } = this.#core
    try {
      if (inode.kind === 'directory') throw new ErrnoError('EISDIR', inodes.path(inode))
      const opened = await this.#parts.files.open(context, inode, flags)
      return { ...this.#parts.replies.looked(inode), ...opened }
    } finally {
      inodes.drop(inode)
    }
  }
}
