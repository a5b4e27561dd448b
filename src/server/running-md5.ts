/**
 * MD5s that can be gone on with. The etag of an appendable object is the MD5 of all its bytes, which
 * cannot be continued from the etag; so the states of those appended to lately are kept. Without one, as
 * after a restart, the bytes are hashed anew once.
 *
 * A state is found by what it is the state of, whatever object holds that: it is never stale.
 */
import { createHash, type Hash } from 'node:crypto'
import type { Bytes } from '../util/units.js'

/** Content, as an object's record names it. */
export interface HashedContent {
  /** MD5 in hex. */
  readonly etag: string
  readonly size: Bytes
}

/** A state takes a few hundred bytes. */
const MOST = 1000

export class RunningMd5s {
  readonly #states = new Map<string, Hash>()

  /** The state behind this content, to be updated; undefined if it is not known. */
  behind(content: HashedContent): Hash | undefined {
    return this.#states.get(nameOf(content))?.copy()
  }

  /** Remembers the state of a hash that has taken `size` bytes. @returns the MD5 of those, in hex */
  keep(hash: Hash, size: Bytes): string {
    const etag = hash.copy().digest('hex')
    const name = nameOf({ etag, size })
    this.#states.delete(name)
    this.#states.set(name, hash)
    for (const oldest of this.#states.keys()) {
      if (this.#states.size <= MOST) break
      this.#states.delete(oldest)
    }
    return etag
  }
}

export function newMd5(): Hash {
  return createHash('md5')
}

function nameOf({ etag, size }: HashedContent): string {
  return `${etag}-${size}`
}
