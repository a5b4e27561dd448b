/**
 * What the kernel is told of an inode, for how long it may believe it, and that it knows the inode from
 * then on.
 */
import type {
  AttributesReply,
  Entry,
  MaybePromise,
  NegativeEntry,
  RequestContext,
} from '../operations.js'
import { attributesOf } from './attributes.js'
import type { Core } from './core.js'
import { isLocal } from './inode.js'
import type { DirectoryInode, Inode } from './inode.js'
import { revalidate } from './revalidation.js'

export class Replies {
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  attributes(inode: Inode): AttributesReply {
    return {
      attributes: attributesOf(inode, this.#core.config),
      attributesValid: this.validity(inode),
    }
  }

  /** Does not count as a lookup. */
  entry(inode: Inode): Entry {
    const entryValid = this.#nameValidity(inode)
    return { ino: inode.ino, generation: 0, entryValid, ...this.attributes(inode) }
  }

  /** Nothing has the name. */
  absent(parent: DirectoryInode, name: string): NegativeEntry {
    const { config, inodes } = this.#core
    const isMade = parent.presence === 'made'
    const entryValid = isMade ? config.metadataTtl / 1000 : this.#left(inodes.path(parent), name)
    return { ino: undefined, entryValid }
  }

  /** The inode, as one that the kernel has looked up. */
  looked(inode: Inode): Entry {
    inode.lookups += 1
    return this.entry(inode)
  }

  /** As `looked`, once the attributes are known. */
  lookedUp(context: RequestContext, inode: Inode): MaybePromise<Entry> {
    const needed = this.need(context, inode)
    if (needed === undefined) return this.looked(inode)
    // Held meanwhile.
    inode.lookups += 1
    return needed.then(
      () => this.entry(inode),
      (error: unknown) => {
        this.#core.inodes.forget(inode.ino, 1)
        throw error
      },
    )
  }

  /** Makes sure that the attributes of an inode are known; nothing to wait for if they are. */
  need(context: RequestContext, inode: Inode): Promise<void> | undefined {
    return this.#core.attributes.need(context, inode, (asking, file) =>
      revalidate(this.#core, asking, file),
    )
  }

  /** Seconds that the kernel may still believe what was seen of an inode. */
  validity(inode: Inode): number {
    const { config, inodes, metadata } = this.#core
    const { parent, name } = inode
    if (inode.kind === 'directory' || isLocal(inode)) return config.metadataTtl / 1000
    const age = metadata.now() - inode.seen
    if (age < config.metadataTtl / 2) return (config.metadataTtl - age) / 1000
    if (parent === undefined) return Math.max(0, config.metadataTtl - age) / 1000
    return metadata.validity(inodes.path(parent), name, inode.seen) / 1000
  }

  /** As `validity`, of what the name stands for. */
  #nameValidity(inode: Inode): number {
    const { parent, name } = inode
    if (inode.kind === 'file' || isLocal(inode) || parent === undefined) return this.validity(inode)
    return this.#left(this.#core.inodes.path(parent), name)
  }

  /** Of what is known of a name. */
  #left(directory: string, name: string): number {
    const { metadata } = this.#core
    const known = metadata.get(directory, name)
    return known === undefined ? 0 : metadata.validity(directory, name, known.seen) / 1000
  }
}
