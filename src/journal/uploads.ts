/**
 * Uploads that the journal begins in the store. Each is noted on the disk before it is begun, and struck out
 * when it has ended; so what a process that dies leaves of them is found by the next and aborted.
 */
import type {
  CompleteOptions,
  ComposeOptions,
  Composition,
  DriverOptions,
  Part,
  StorageDriver,
  UploadInfo,
  WriteResult,
} from '../driver/driver.js'
import type { Logger } from '../util/log.js'
import type { Milliseconds } from '../util/units.js'
import type { Journal } from './journal.js'
import type { UploadNote } from './record.js'

export interface UploadsOptions {
  readonly journal: Journal
  readonly remote: Pick<StorageDriver, 'compose' | 'uploads' | 'abortUpload'>
  readonly log: Logger
}

/** Between when an upload was begun here and there; clocks may differ somewhat. */
const SAME_TIME: Milliseconds = 60_000

export class Uploads {
  readonly #options: UploadsOptions
  /** Ids of those that are under way. */
  readonly #active = new Set<string>()

  constructor(options: UploadsOptions) {
    this.#options = options
  }

  /** Whether an unfinished upload in the store is under way here. */
  owns(uploadId: string): boolean {
    return this.#active.has(uploadId)
  }

  async begin(path: string, options: ComposeOptions): Promise<Composition> {
    const { journal, remote } = this.#options
    const note = await journal.noteUpload(path)
    const composition = await remote.compose(path, options).catch((error: unknown) => {
      // It may have been begun all the same.
      journal.leftUploads.add(note)
      throw error
    })
    this.#active.add(composition.uploadId)
    return this.#watched(composition, note)
  }

  /**
   * Aborts what an earlier process has left. An upload of the same name that another host has begun within
   * the same minute is taken for it, and fails there with an error. Never rejects: what cannot be found
   * now is looked for again.
   */
  async dropLeft(signal?: AbortSignal): Promise<void> {
    const { journal, log } = this.#options
    for (const note of journal.leftUploads) {
      try {
        await this.#drop(note, signal === undefined ? {} : { signal })
        journal.leftUploads.delete(note)
        journal.endUpload(note)
      } catch (error) {
        log.warn({ path: note.path, err: error }, 'cannot look for an upload that was left')
      }
    }
  }

  async #drop({ path, begun }: UploadNote, io: DriverOptions): Promise<void> {
    const { remote } = this.#options
    const isLeft = (upload: UploadInfo): boolean =>
      upload.path === path &&
      !this.#active.has(upload.uploadId) &&
      Math.abs(upload.initiated.getTime() - begun) < SAME_TIME
    for await (const upload of remote.uploads(path, io)) {
      if (isLeft(upload)) await remote.abortUpload(upload, io)
    }
  }

  #watched(composition: Composition, note: UploadNote): Composition {
    const { path, uploadId } = composition
    const end = (): void => {
      this.#active.delete(uploadId)
      this.#options.journal.endUpload(note)
    }
    return {
      path,
      uploadId,
      uploadPart: (...request) => composition.uploadPart(...request),
      copyPart: (...request) => composition.copyPart(...request),
      complete: async (parts: readonly Part[], options?: CompleteOptions): Promise<WriteResult> => {
        const result = await composition.complete(parts, options)
        end()
        return result
      },
      abort: async (options?: DriverOptions): Promise<void> => {
        await composition.abort(options)
        end()
      },
    }
  }
}
