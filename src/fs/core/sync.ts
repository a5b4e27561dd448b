/** Takes to the store what only this mount knows: fsync of a directory, syncfs, and the end. */
import { abortable } from '../../util/abort.js'
import type { RequestContext } from '../operations.js'
import type { Core } from './core.js'
import type { Files } from './files.js'
import type { DirectoryInode } from './inode.js'
import { toErrnoError } from './to-errno.js'

const NOBODY: RequestContext = { uid: 0, gid: 0, pid: 0, signal: new AbortController().signal }

export class Sync {
  readonly #core: Core
  readonly #files: Files

  constructor(core: Core, files: Files) {
    this.#core = core
    this.#files = files
  }

  /** What lies directly in the directory, and the directory itself, is in the store afterwards. */
  async directory(directory: DirectoryInode): Promise<void> {
    const { attributes, deletes, inodes, markers } = this.#core
    for (const child of directory.children.values()) {
      if (child.kind === 'directory') await markers.flush(child)
    }
    await markers.flush(directory)
    await attributes.flush(directory)
    await deletes.flush(inodes.path(directory))
  }

  async all(context: RequestContext): Promise<void> {
    await this.#files.flushAll(context)
    await this.#core.markers.flushAll()
    await abortable(this.#core.attributes.flushAll(), context.signal)
    await this.#core.deletes.flush('/')
  }

  /** Stores what can be stored, and drops the rest. @throws ErrnoError the first failure */
  async close(): Promise<void> {
    const outcomes = await Promise.allSettled([
      this.#files.flushAll(NOBODY),
      this.#core.markers.flushAll(),
      this.#core.deletes.flush('/'),
    ])
    // What neither bytes nor markers have taken along.
    outcomes.push(...(await Promise.allSettled([this.#core.attributes.close()])))
    this.#core.markers.close()
    await this.#core.writeBack.close()
    await this.#core.unlinked.close()
    this.#core.blocks.close()
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') throw toErrnoError(outcome.reason)
    }
  }
}
