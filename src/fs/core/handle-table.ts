/** Open handles by the number that the kernel knows them by. Numbers are not used again. */
import { ErrnoError } from '../../util/errno.js'
import { TransientMap } from '../../util/transient-map.js'
import type { Fh } from '../operations.js'

export class HandleTable<T extends object> {
  readonly #handles = new TransientMap<Fh, T>()
  #next = 1

  get size(): number {
    return this.#handles.size
  }

  add(handle: T): Fh {
    const fh = this.#next as Fh
    this.#next += 1
    this.#handles.set(fh, handle)
    return fh
  }

  /** @throws ErrnoError EBADF */
  get(fh: Fh): T {
    const handle = this.#handles.get(fh)
    if (handle === undefined) throw new ErrnoError('EBADF', `no handle ${fh}`)
    return handle
  }

  remove(fh: Fh): T | undefined {
    return this.#handles.delete(fh)
  }

  values(): Iterable<T> {
    return this.#handles.values()
  }
}
