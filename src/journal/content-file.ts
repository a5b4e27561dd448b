/** A file that the parts of one content are appended to, in parallel, before it is referred to. */
import { unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Bytes } from '../util/units.js'
import { ContentSums, SUMMED } from './content-sums.js'
import type { Slice } from './record.js'
import { syncFolder } from './sync-folder.js'

export class ContentFile {
  /** As slices name it. */
  readonly name: string
  /** Of all that was appended. */
  readonly sums = new ContentSums()
  readonly #path: string
  readonly #handle: FileHandle
  #end: Bytes = 0

  constructor(folder: string, name: string, handle: FileHandle) {
    this.#path = join(folder, name)
    this.name = name
    this.#handle = handle
  }

  async append(data: readonly Uint8Array[]): Promise<Slice> {
    const length = data.reduce((sum, piece) => sum + piece.length, 0)
    const offset = Math.ceil(this.#end / SUMMED) * SUMMED
    this.#end = offset + length
    this.sums.add(offset, data)
    await this.#write(offset, data)
    return { file: this.name, offset, length }
  }

  /** All that was appended is safe on the disk with its checksums, under the file's name. */
  async sync(): Promise<void> {
    await this.#write(this.#end, [this.sums.encode()])
    await this.#handle.datasync()
    await syncFolder(dirname(this.#path))
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  /** Nothing will refer to it. */
  async discard(): Promise<void> {
    await this.close()
    await unlink(this.#path).catch(() => undefined)
  }

  async #write(offset: Bytes, data: readonly Uint8Array[]): Promise<void> {
    let at = offset
    for (const piece of data) {
      for (let done = 0; done < piece.length;) {
        const left = piece.length - done
        const { bytesWritten } = await this.#handle.write(piece, done, left, at + done)
        done += bytesWritten
      }
      at += piece.length
    }
  }
}
