/** Takes to the store what only this mount knows: fsync of a directory, syncfs, and the end. */
import { abortable } from '../../util/abort.js'
import type { RequestContext } from '../operations.js'
import type { Core } from './core.js'
import type { Files } from './files.js'
import type { DirectoryInode } from './inode.js'
import { Silence, throwIfAny, UnsavedError } from './unsaved.js'
import type { Unsaved } from './unsaved.js'

const NOBODY: RequestContext = { uid: 0, gid: 0, pid: 0, signal: new AbortController().signal }

export class Sync {
  readonly #core: Core
  readonly #files: Files

  constructor(core: Core, files: Files) {
    this.#core = core
    this.#files = files
  }

  /** What lies directly in the directory, and the directory itself, is in the store afterwards. */
  async directory({ signal }: RequestContext, directory: DirectoryInode): Promise<void> {
    const { changes, deletes, inodes } = this.#core
    await abortable(changes.settled(directory), signal)
    await abortable(this.#saveDirectory(directory), signal)
    await deletes.flush(inodes.path(directory), signal)
  }

  async #saveDirectory(directory: DirectoryInode): Promise<void> {
    const { attributes, markers } = this.#core
    for (const child of directory.children.values()) {
      if (child.kind === 'directory') await markers.flush(child)
    }
    await markers.flush(directory)
    await attributes.flush(directory)
  }

  async all(context: RequestContext): Promise<void> {
    await abortable(this.#core.changes.settled(), context.signal)
    await this.#files.flushAll(context)
    await abortable(this.#core.markers.flushAll(), context.signal)
    await abortable(this.#core.attributes.flushAll(), context.signal)
    await this.#core.deletes.flush('/', context.signal)
  }

  /**
   * Stores what can be stored, and drops the rest. All is tried at the same time; when the store answers
   * for nothing, it is not asked for anything else, and what is to be removed is left to the next mount.
   *
   * @throws UnsavedError, which names what was not stored
   */
  async close(): Promise<void> {
    const { attributes, blocks, changes, deletes, log, markers, uncertain, unlinked, writeBack } =
      this.#core
    const unsaved: Unsaved[] = []
    const silence = new Silence()
    markers.close()
    attributes.stop()
    const early = attributes.flushAll(silence).catch(() => undefined)
    const outcomes = await Promise.allSettled([
      this.#files.flushAll(NOBODY, silence),
      markers.flushAll(silence),
      deletes.flush('/'),
      changes.settled(),
    ])
    await early
    // What neither bytes nor markers have taken along.
    outcomes.push(...(await Promise.allSettled([attributes.close(silence)])))
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue
      const error: unknown = outcome.reason
      unsaved.push(...(error instanceof UnsavedError ? error.unsaved : [{ name: '/', error }]))
    }
    const isSilent = silence.reason !== undefined
    await writeBack.close({ keepsUploads: isSilent })
    if (!isSilent) await uncertain.close()
    unsaved.push(...(await unlinked.close({ isSilent })), ...this.#files.lost)
    blocks.close()
    for (const { name, error } of unsaved) log.error({ path: name, err: error }, 'not stored')
    throwIfAny(unsaved)
  }
}
