/**
 * Extended attributes.
 *
 * `user.*` are kept with the other attributes if those are stored; else they are refused, because a
 * program that was told they are kept must find them again. `user.bos.*` tell what BOS knows of a
 * file; they can be read by name and are not listed, so that programs which copy attributes leave
 * them alone. What the kernel or a library looks for in other namespaces (security, system, trusted)
 * is answered at once, without asking anybody.
 *
 * @see xattr(7), setxattr(2)
 */
import { metadataSize } from '../../driver/metadata.js'
import { ErrnoError } from '../../util/errno.js'
import type { RequestContext, SetXattrRequest } from '../operations.js'
import { timestamp } from './attributes.js'
import type { Core } from './core.js'
import type { Inode } from './inode.js'

const USER = 'user.'
const BOS = 'user.bos.'
const XATTR_CREATE = 1
const XATTR_REPLACE = 2

export class Xattrs {
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  /** @throws ErrnoError ENODATA, EOPNOTSUPP */
  get(context: RequestContext, inode: Inode, name: string): Uint8Array | Promise<Uint8Array> {
    if (!name.startsWith(USER)) throw unsupported(name)
    if (name.startsWith(BOS)) return this.#special(context, inode, name.slice(BOS.length))
    const value = inode.overrides.xattrs?.get(name)
    if (value === undefined) throw new ErrnoError('ENODATA', name)
    return value
  }

  list(inode: Inode): string[] {
    return [...(inode.overrides.xattrs?.keys() ?? [])]
  }

  /** @throws ErrnoError EEXIST, ENODATA, ENOSPC, E2BIG, EPERM, EOPNOTSUPP */
  set(inode: Inode, { name, value, flags }: SetXattrRequest): void {
    const before = this.#changeable(inode, name)
    if ((flags & XATTR_CREATE) !== 0 && before.has(name)) throw new ErrnoError('EEXIST', name)
    if ((flags & XATTR_REPLACE) !== 0 && !before.has(name)) throw new ErrnoError('ENODATA', name)
    const after = new Map(before).set(name, Uint8Array.from(value))
    const { metadataLimit } = this.#core.driver.capabilities
    if (value.length > metadataLimit) throw new ErrnoError('E2BIG', `${value.length} bytes`)
    this.#replace(inode, after)
    const size = metadataSize(this.#core.attributes.saving(inode).metadata ?? {})
    if (size > metadataLimit) {
      this.#replace(inode, before)
      throw new ErrnoError('ENOSPC', `${size} bytes of metadata; BOS keeps ${metadataLimit}`)
    }
    this.#changed(inode)
  }

  /** @throws ErrnoError ENODATA, EPERM, EOPNOTSUPP */
  remove(inode: Inode, name: string): void {
    const after = new Map(this.#changeable(inode, name))
    if (!after.delete(name)) throw new ErrnoError('ENODATA', name)
    this.#replace(inode, after)
    this.#changed(inode)
  }

  #changeable(inode: Inode, name: string): ReadonlyMap<string, Uint8Array> {
    if (!name.startsWith(USER)) throw unsupported(name)
    if (name.startsWith(BOS)) throw new ErrnoError('EPERM', `${name} is what BOS says`)
    if (!this.#core.attributes.isStored) throw unsupported(name)
    return inode.overrides.xattrs ?? new Map<string, Uint8Array>()
  }

  #replace(inode: Inode, xattrs: ReadonlyMap<string, Uint8Array>): void {
    inode.overrides.xattrs = xattrs
  }

  #changed(inode: Inode): void {
    inode.overrides.ctime = timestamp(this.#core.clock())
    this.#core.attributes.changed(inode)
  }

  async #special(context: RequestContext, inode: Inode, name: string): Promise<Uint8Array> {
    const { driver, inodes } = this.#core
    const path = inodes.path(inode)
    if (!inodes.isLinked(inode)) throw new ErrnoError('ENODATA', name)
    if (name === 'key') {
      return Buffer.from(inode.kind === 'file' ? driver.keyOf(path) : `${driver.keyOf(path)}/`)
    }
    if (inode.kind === 'directory' || inode.version === undefined) {
      throw new ErrnoError('ENODATA', name)
    }
    const value = await this.#valueOf(context, { path, name, inode })
    if (value === undefined) throw new ErrnoError('ENODATA', name)
    return Buffer.from(value)
  }

  async #valueOf(
    { signal }: RequestContext,
    { path, name, inode }: { path: string; name: string; inode: Inode & { kind: 'file' } },
  ): Promise<string | undefined> {
    const { driver } = this.#core
    switch (name) {
      case 'etag':
        return inode.version?.etag
      case 'url':
        return await driver.redirectURL(path, { method: 'GET' })
      case 'content-type':
      case 'storage-class':
      case 'last-modified': {
        const info = await driver.stat(path, { expect: 'file', signal })
        if (name === 'content-type') return info.contentHeaders?.['content-type']
        if (name === 'storage-class') return info.storageClass
        return info.modTime?.toISOString()
      }
      default:
        return undefined
    }
  }
}

function unsupported(name: string): ErrnoError {
  return new ErrnoError('EOPNOTSUPP', `extended attribute ${name}`)
}
