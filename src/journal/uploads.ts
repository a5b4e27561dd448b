/**
 * Uploads that the journal begins in the store. Each is noted on the disk before it is begun, its id before
 * any part of it is sent, and it is struck out when it has ended; so what a process that dies leaves of
 * them is found by the next and aborted (left-uploads.ts).
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
import { DriverError, isUnclear } from '../driver/errors.js'
import type { Logger } from '../util/log.js'
import type { Milliseconds } from '../util/units.js'
import type { Journal } from './journal.js'
import { LeftUploads } from './left-uploads.js'
import type { UploadNote } from './record.js'

export interface UploadsOptions {
  readonly journal: Journal
  readonly remote: Pick<StorageDriver, 'compose' | 'uploads' | 'abortUpload'>
  /** Default 1 s, see left-uploads.ts. */
  readonly pace?: Milliseconds
  readonly log: Logger
}

export class Uploads {
  readonly left: LeftUploads
  readonly #options: UploadsOptions
  /** Ids of those that are under way. */
  readonly #active = new Set<string>()
  /** Paths of those whose ids the store has not told yet. */
  readonly #beginning: string[] = []

  constructor(options: UploadsOptions) {
    this.#options = options
    const { journal, remote, pace, log } = options
    const isOwn = (upload: UploadInfo): boolean => this.owns(upload)
    this.left = new LeftUploads({
      journal,
      remote,
      isOwn,
      log,
      ...(pace !== undefined && { pace }),
    })
    for (const note of journal.leftUploads) this.left.add(note)
  }

  /** Whether an unfinished upload in the store is under way here, or may be. */
  owns({ path, uploadId }: UploadInfo): boolean {
    return this.#active.has(uploadId) || this.#beginning.includes(path)
  }

  async begin(path: string, options: ComposeOptions): Promise<Composition> {
    const { journal } = this.#options
    const note = await journal.noteUpload(path)
    const composition = await this.#compose(note, options)
    const known = { ...note, uploadId: composition.uploadId }
    const watched = this.#watched(composition, known)
    try {
      await journal.noteUploadAgain(known)
    } catch (error) {
      await watched.abort().catch(() => undefined)
      throw error
    }
    return watched
  }

  async #compose(note: UploadNote, options: ComposeOptions): Promise<Composition> {
    const { journal, remote } = this.#options
    const { path } = note
    this.#beginning.push(path)
    try {
      const composition = await remote.compose(path, options)
      this.#active.add(composition.uploadId)
      return composition
    } catch (error) {
      // What was interrupted may have been begun as well.
      if (isUnclear(error) || !(error instanceof DriverError)) this.left.add(note)
      else journal.endUpload(note)
      throw error
    } finally {
      this.#beginning.splice(this.#beginning.indexOf(path), 1)
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
        try {
          await composition.abort(options)
          end()
        } catch (error) {
          // Aborted again, or completed after all, it is no less gone.
          if (this.#active.delete(uploadId)) this.left.add(note)
          throw error
        }
      },
    }
  }
}
