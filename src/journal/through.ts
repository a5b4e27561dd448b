/**
 * What goes to the store at once: after all that is pending of the paths concerned, and alone with them.
 * Versions are told to the store by its own names, and its answers to callers by the names they know.
 */
import type {
  CopyOptions,
  DriverOptions,
  FileWriter,
  Metadata,
  MoveOptions,
  MoveResult,
  SetMetadataOptions,
  StorageDriver,
  WriteOptions,
  WriteResult,
  WriterOptions,
} from '../driver/driver.js'
import type { Scope } from './drain.js'
import type { Journal } from './journal.js'
import { markerKey } from './record.js'
import type { Uploader } from './uploader.js'

export interface ThroughOptions {
  readonly journal: Journal
  readonly remote: StorageDriver
  readonly uploader: Uploader
}

export class Through {
  readonly #journal: Journal
  readonly #remote: StorageDriver
  readonly #uploader: Uploader

  constructor({ journal, remote, uploader }: ThroughOptions) {
    this.#journal = journal
    this.#remote = remote
    this.#uploader = uploader
  }

  async put(
    path: string,
    content: readonly Uint8Array[],
    options: WriteOptions,
  ): Promise<WriteResult> {
    return await this.replace(
      path,
      () => this.#remote.putContent(path, content, this.#matching(path, options)),
      options.signal,
    )
  }

  /** Runs what puts another version into the place of a file. */
  async replace(
    path: string,
    work: () => Promise<WriteResult>,
    signal?: AbortSignal,
  ): Promise<WriteResult> {
    return await this.#alone({ keys: [path] }, signal, async () => {
      const result = await work()
      this.#journal.aliases.own(path, result.etag)
      return result
    })
  }

  async writer(path: string, options: WriterOptions): Promise<FileWriter> {
    await this.#uploader.drain({ keys: [path] }, options.signal)
    const writer = await this.#remote.writer(path, options)
    return {
      get size() {
        return writer.size
      },
      write: (...request) => writer.write(...request),
      close: (...request) => writer.close(...request),
      cancel: (...request) => writer.cancel(...request),
      commit: (terms = {}) =>
        this.replace(path, () => writer.commit(this.#matching(path, terms)), terms.signal),
    }
  }

  async setMetadata(
    path: string,
    metadata: Metadata,
    options: SetMetadataOptions,
  ): Promise<WriteResult> {
    const { aliases } = this.#journal
    return await this.#alone({ keys: [path] }, options.signal, async () => {
      const { known, ...terms } = this.#matching(path, options)
      const told = known === undefined ? {} : { known: this.#known(known) }
      const result = await this.#remote.setMetadata(path, metadata, { ...terms, ...told })
      const alias = aliases.get(path)
      if (alias?.remote === result.etag) return { ...result, etag: alias.local }
      aliases.own(path, result.etag)
      return result
    })
  }

  async copy(source: string, destination: string, options: CopyOptions): Promise<WriteResult> {
    const { aliases } = this.#journal
    const { signal, etag } = options
    return await this.#alone({ keys: [source, destination] }, signal, async () => {
      const version = etag === undefined ? {} : { etag: aliases.remote(source, etag) }
      const terms = { ...this.#matching(destination, options), ...version }
      const result = await this.#remote.copy(source, destination, terms)
      aliases.own(destination, result.etag)
      return result
    })
  }

  async move(
    source: string,
    destination: string,
    options: MoveOptions,
  ): Promise<MoveResult | undefined> {
    const { aliases } = this.#journal
    return await this.#alone({ below: [source, destination] }, options.signal, async () => {
      const { known, ...terms } = this.#matching(destination, options)
      const told =
        known === undefined ? {} : { known: { ...known, source: this.#known(known.source) } }
      const result = await this.#remote.move(source, destination, { ...terms, ...told })
      if (result === undefined) {
        aliases.moveTree(source, destination)
        return undefined
      }
      aliases.move(source, destination)
      const alias = aliases.get(destination)
      if (alias?.remote === result.etag) {
        const { local, modTime } = alias
        return { ...result, etag: local, ...(modTime && { modTime: new Date(modTime) }) }
      }
      aliases.own(destination, result.etag)
      return result
    })
  }

  async delete(path: string, options: DriverOptions): Promise<void> {
    await this.#alone({ below: [path] }, options.signal, async () => {
      await this.#remote.delete(path, options)
      this.#journal.aliases.forgetTree(path)
    })
  }

  /** Runs `work` when nothing is pending of the paths, and keeps it so meanwhile. */
  async #alone<T>(
    scope: Scope,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    const { locks, overlay } = this.#journal
    const { keys = [], below = [] } = scope
    const locked = [...keys, ...below.flatMap(path => [path, markerKey(path)])]
    const isPending = (): boolean =>
      keys.some(key => overlay.entry(key) !== undefined) ||
      below.some(path => !overlay.below(path).next().done)
    for (;;) {
      await this.#uploader.drain(scope, signal)
      const done = await locks.run(locked, async () => {
        // Changed again meanwhile.
        if (isPending()) return undefined
        // What was sent before this must not be sent again after it.
        await this.#journal.noted()
        return { value: await work() }
      })
      if (done !== undefined) return done.value
    }
  }

  #matching<T extends { ifMatch?: string }>(path: string, options: T): T {
    const { ifMatch } = options
    if (ifMatch === undefined) return options
    return { ...options, ifMatch: this.#journal.aliases.remote(path, ifMatch) }
  }

  #known<T extends { path: string; etag?: string }>(info: T): T {
    if (info.etag === undefined) return info
    return { ...info, etag: this.#journal.aliases.remote(info.path, info.etag) }
  }
}
