/**
 * Symbolic links, pipes, sockets and device nodes: objects whose metadata says what they are.
 *
 * They are kept as Baidu's bosfs keeps them: the type in `bosfs-mode`, the target of a link as the
 * content. BOS has symbolic links of its own, which are refused here: they name a whole key of the
 * bucket, so that a relative target, one outside of the mount or one that does not exist cannot be
 * told afterwards (HEAD answers for the target, or 404); and hierarchical buckets have none. One that
 * somebody else has made is seen as the file it names.
 *
 * Which entry of a listing is a link only metadata tells. With `stored` attributes it is asked for
 * anyway. With `derived` ones it is known where the service puts metadata into listings; elsewhere a
 * link would be taken for a file with a path in it, so making one is refused.
 */
import { PreconditionError } from '../../driver/errors.js'
import { baseName } from '../../driver/path.js'
import { ErrnoError } from '../../util/errno.js'
import type { RequestContext } from '../operations.js'
import { S_IFLNK, typeOf } from './attributes.js'
import type { Core } from './core.js'
import { follow } from './file-version.js'
import type { DirectoryInode, FileInode } from './inode.js'
import type { Namespace } from './namespace.js'

export interface SpecialFile {
  readonly name: string
  /** Type bits of the mode. */
  readonly type: number
  readonly rdev?: number
  /** Of a symbolic link. */
  readonly target?: string
}

export class SpecialFiles {
  readonly #core: Core
  readonly #namespace: Namespace
  /** Listings tell metadata; undefined: not known yet. */
  #isListed: boolean | undefined

  constructor(core: Core, namespace: Namespace) {
    this.#core = core
    this.#namespace = namespace
  }

  /**
   * Makes a file that is not a regular one, in the store when this resolves.
   *
   * @param own  gives the file its owner and mode before it is stored
   * @throws ErrnoError EPERM where it could not be told from a regular file, EEXIST
   */
  async make(
    context: RequestContext,
    parent: DirectoryInode,
    special: SpecialFile,
    own: (file: FileInode) => void,
  ): Promise<FileInode> {
    const { attributes } = this.#core
    const { name, type } = special
    const isKept = attributes.isStored || (type === S_IFLNK && this.#isListed !== false)
    if (!isKept) throw refusal(type)
    await this.#namespace.checkAbsent(context, parent, name)
    return await this.#namespace.make(context, { parent, name }, () =>
      this.#make(parent, special, own),
    )
  }

  async #make(
    parent: DirectoryInode,
    { name, type, rdev, target }: SpecialFile,
    own: (file: FileInode) => void,
  ): Promise<FileInode> {
    const { attributes, inodes, tree } = this.#core
    const file = inodes.addFile(parent, name)
    file.handles += 1
    try {
      Object.assign(file.overrides, { type, rdev, target })
      attributes.made(file)
      own(file)
      await tree.shared(() => this.#store(file, target ?? ''))
      if (!attributes.isStored) await this.#checkListed(file)
      file.handles -= 1
      return file
    } catch (error) {
      file.handles -= 1
      inodes.unlink(file)
      throw error instanceof PreconditionError
        ? new ErrnoError('EEXIST', inodes.path(file), { cause: error })
        : error
    }
  }

  /** @throws ErrnoError EINVAL for anything but a symbolic link */
  async readlink(context: RequestContext, link: FileInode): Promise<string> {
    const { driver, inodes } = this.#core
    if (typeOf(link) !== S_IFLNK) throw new ErrnoError('EINVAL', `${inodes.path(link)} is no link`)
    const { target } = link.overrides
    const size = link.version?.size
    // The copy in the metadata is right if nobody has changed the content alone.
    if (target !== undefined && (size === undefined || size === Buffer.byteLength(target))) {
      return target
    }
    const content = await driver.getContent(inodes.path(link), { signal: context.signal })
    const text = content.toString()
    if (content.length === size) link.overrides.target = text
    return text
  }

  async #store(file: FileInode, content: string): Promise<void> {
    const { attributes, clock, driver, inodes, markers, metadata } = this.#core
    const path = inodes.path(file)
    const { done, metadata: kept } = attributes.saving(file, { special: true })
    const written = await driver.putContent(path, Buffer.from(content), {
      ifNoneMatch: '*',
      ...(kept && { metadata: kept }),
    })
    done()
    const modTime = new Date(clock())
    const info = attributes.published(file, { path, ...written, modTime, isDir: false })
    follow(this.#core, file, info)
    if (file.parent === undefined) return
    metadata.changed(inodes.path(file.parent), file.name, info)
    markers.stored(file)
  }

  /** With derived attributes: a link that a listing does not show as one is taken back. */
  async #checkListed(file: FileInode): Promise<void> {
    if (this.#isListed === true) return
    const { driver, inodes } = this.#core
    const path = inodes.path(file)
    this.#isListed = await this.#lists(path)
    if (this.#isListed) return
    await driver.deleteFile(path)
    throw refusal(typeOf(file))
  }

  async #lists(path: string): Promise<boolean> {
    const parent = path.slice(0, -baseName(path).length - 1) || '/'
    for await (const page of this.#core.driver.entries(parent, { metadata: true })) {
      const found = page.entries.find(info => info.path === path)
      if (found !== undefined) return found.metadata !== undefined
    }
    return false
  }
}

function refusal(type: number): ErrnoError {
  const kind = type === S_IFLNK ? 'symbolic links' : 'pipes, sockets and device nodes'
  return new ErrnoError('EPERM', `${kind} need the option attributes=stored`)
}
