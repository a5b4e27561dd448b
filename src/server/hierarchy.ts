/**
 * The rules of a hierarchical ("namespace") bucket, where directories are real.
 *
 * Model: a directory is a record under its key with a `/` behind it, so byte order keeps a tree together
 * and listings need nothing special. A request may name a directory with or without that `/`. The parent
 * of whatever is stored exists and is a directory; no name is a file and a directory at once.
 *
 * All methods belong inside a change of the index, and throw before they write.
 *
 * @see BOS "Hierarchical namespace"; which conflict gets which of its codes is not documented, and is
 *   settled here: a name of the other kind NamespaceNameConflict, a directory that exists
 *   NamespaceDirAlreadyExists, a move into itself RenameConflict
 */
import { ServiceError } from './errors.js'
import { objectKey, scanBucket, type LmdbIndex } from './lmdb-index.js'
import { checkKey } from './names.js'
import type { ObjectAddress, ObjectRecord } from './store.js'

/** An object or directory under the key that it is stored under. */
export interface Found {
  readonly address: ObjectAddress
  readonly record: ObjectRecord
}

export class Hierarchy {
  readonly #index: LmdbIndex

  constructor(index: LmdbIndex) {
    this.#index = index
  }

  /** What a key names, a directory also without its `/`. */
  find({ bucket, key }: ObjectAddress): Found | undefined {
    return this.#at(bucket, key) ?? (key.endsWith('/') ? undefined : this.#at(bucket, `${key}/`))
  }

  /**
   * Whether something may be stored at a key: a directory if that ends with `/`, else an object.
   * @throws ServiceError NamespaceParentNotExists, NamespaceNameConflict, InvalidArgument
   */
  checkPlace(address: ObjectAddress, size: number): void {
    const { bucket, key } = address
    const isDirectory = key.endsWith('/')
    if (isDirectory && size > 0) {
      throw new ServiceError('InvalidArgument', { message: 'A directory cannot have content.' })
    }
    const name = isDirectory ? key.slice(0, -1) : key
    this.#checkParent(bucket, name)
    if (this.#exists(bucket, isDirectory ? name : `${name}/`)) {
      throw new ServiceError('NamespaceNameConflict')
    }
  }

  isEmpty(directory: ObjectAddress): boolean {
    for (const _ of this.#below(directory, 1)) return false
    return true
  }

  /** Everything below a directory and itself, those furthest down last. */
  tree(directory: ObjectAddress): readonly Found[] {
    return [...this.#below(directory, 0)]
  }

  /**
   * The places that renaming `source` to `target` makes: for a directory one for each thing in it.
   * @throws ServiceError RenameConflict, NamespaceDirAlreadyExists, NamespaceNameConflict,
   *   NamespaceParentNotExists, InvalidObjectName
   */
  planRename(
    source: Found,
    target: ObjectAddress,
  ): readonly { readonly from: Found; readonly to: ObjectAddress }[] {
    const { bucket } = target
    const name = target.key.replace(/\/$/, '')
    if (source.record.type !== 'Directory') {
      if (name !== target.key) throw new ServiceError('NamespaceNameConflict')
      this.checkPlace(target, 0)
      return [{ from: source, to: target }]
    }
    const key = `${name}/`
    const root = source.address.key
    if (key !== root && key.startsWith(root)) throw new ServiceError('RenameConflict')
    this.checkPlace({ bucket, key }, 0)
    if (key !== root && this.#exists(bucket, key)) {
      throw new ServiceError('NamespaceDirAlreadyExists')
    }
    return this.tree(source.address).map(from => {
      const to = { bucket, key: key + from.address.key.slice(root.length) }
      checkKey(to.key, false)
      return { from, to }
    })
  }

  #checkParent(bucket: string, name: string): void {
    const parent = name.slice(0, name.lastIndexOf('/') + 1)
    if (parent === '' || this.#exists(bucket, parent)) return
    for (let end = parent.length - 1; end > 0; end = parent.lastIndexOf('/', end - 1)) {
      if (this.#exists(bucket, parent.slice(0, end))) {
        throw new ServiceError('NamespaceNameConflict', {
          message: `${parent.slice(0, end)} is not a directory.`,
        })
      }
    }
    throw new ServiceError('NamespaceParentNotExists')
  }

  #exists(bucket: string, key: string): boolean {
    return this.#index.objects.doesExist(objectKey({ bucket, key }))
  }

  #at(bucket: string, key: string): Found | undefined {
    const record = this.#index.objects.get(objectKey({ bucket, key }))
    return record === undefined ? undefined : { address: { bucket, key }, record }
  }

  /** @param skip 0 to begin with the directory itself, 1 behind it */
  *#below({ bucket, key }: ObjectAddress, skip: 0 | 1): Iterable<Found> {
    const prefix = Buffer.from(key)
    const from = Buffer.concat([prefix, Buffer.alloc(skip)])
    for (const { key: found, value } of scanBucket(this.#index.objects, bucket, from)) {
      if (found.compare(prefix, 0, prefix.length, 0, Math.min(prefix.length, found.length)) !== 0) {
        return
      }
      yield { address: { bucket, key: String(found) }, record: value }
    }
  }
}
