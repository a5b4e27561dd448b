/**
 * Makes files, directories, links and nodes: each belongs to the caller, and is known to the kernel from
 * then on.
 */
import { ErrnoError } from '../../util/errno.js'
import type {
  CreateReply,
  CreateRequest,
  Entry,
  MaybePromise,
  RequestContext,
} from '../operations.js'
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

  /** At once where the name is known to be free, as it is after the kernel's lookup. */
  create(
    context: RequestContext,
    directory: DirectoryInode,
    request: CreateRequest & { readonly flags: number },
  ): MaybePromise<CreateReply> {
    const { changes, inodes, driver } = this.#core
    const path = inodes.childPath(directory, request.name)
    driver.checkPath(path)
    const go = (existing: Inode | undefined): MaybePromise<CreateReply> => {
      if (existing === undefined) return this.#create(context, directory, request)
      if ((request.flags & O_EXCL) === 0) {
        return this.#openExisting(context, existing, request.flags)
      }
      inodes.drop(existing)
      throw new ErrnoError('EEXIST', path)
    }
    const look = (): MaybePromise<CreateReply> => {
      const existing = this.#parts.lookup.resolve(context, directory, request.name)
      return existing instanceof Promise ? existing.then(go) : go(existing)
    }
    const names = [{ parent: directory, name: request.name }]
    const busy = changes.free(context, { operation: 'make', names })
    return busy === undefined ? look() : busy.then(look)
  }

  #create(
    context: RequestContext,
    directory: DirectoryInode,
    request: CreateRequest & { readonly flags: number },
  ): MaybePromise<CreateReply> {
    const { files, namespace, changes, replies } = this.#parts
    const { file, ...opened } = files.create(directory, request.name, request.flags)
    const done = (): CreateReply => {
      namespace.touch(directory)
      changes.owned(context, file, request)
      return { ...replies.looked(file), ...opened }
    }
    if (!file.exclusive || this.#core.config.exclusiveCreate !== 'open') return done()
    const place = { parent: directory, name: request.name }
    const claim = async (): Promise<FileInode> => {
      await files.claim(file, opened.fh)
      return file
    }
    const letGo = async (): Promise<void> => files.release(opened.fh)
    return namespace.make(context, place, claim, letGo).then(done)
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
