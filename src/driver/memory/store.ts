/**
 * The objects of the memory driver: keys to contents, kept sorted so that a prefix is found by
 * binary search. Keys are paths without their leading slash; a directory marker ends with a slash.
 */
import type { Metadata } from '../driver.js'

export interface StoredObject {
  readonly content: Buffer
  readonly etag: string
  readonly modTime: Date
  readonly metadata: Metadata
}

export class ObjectMap {
  readonly #objects = new Map<string, StoredObject>()
  /** All keys in code unit order; any order would do that keeps a prefix together. */
  readonly #keys: string[] = []

  get(key: string): StoredObject | undefined {
    return this.#objects.get(key)
  }

  set(key: string, object: StoredObject): void {
    if (!this.#objects.has(key)) this.#keys.splice(this.#lowerBound(key), 0, key)
    this.#objects.set(key, object)
  }

  /** Returns whether there was one. */
  delete(key: string): boolean {
    if (!this.#objects.delete(key)) return false
    this.#keys.splice(this.#lowerBound(key), 1)
    return true
  }

  hasPrefix(prefix: string): boolean {
    return this.#keys[this.#lowerBound(prefix)]?.startsWith(prefix) === true
  }

  /** The keys that start with `prefix`, at this moment. */
  keysBelow(prefix: string): string[] {
    const keys: string[] = []
    for (let i = this.#lowerBound(prefix); i < this.#keys.length; i++) {
      const key = this.#keys[i]
      if (key === undefined || !key.startsWith(prefix)) break
      keys.push(key)
    }
    return keys
  }

  /** The objects whose keys start with `prefix`, at this moment. */
  below(prefix: string): (StoredObject & { readonly key: string })[] {
    return this.keysBelow(prefix).flatMap(key => {
      const object = this.#objects.get(key)
      return object === undefined ? [] : [{ key, ...object }]
    })
  }

  #lowerBound(key: string): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#keys[middle] ?? '') < key) low = middle + 1
      else high = middle
    }
    return low
  }
}
