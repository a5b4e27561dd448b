/**
 * The parts of one file under write that leave while it is still being written: a part of the grid that
 * is wholly dirty, with the file reaching beyond it, is sealed and sent at once, and its memory given
 * back when the store has it.
 *
 * Some are kept on local disk as well, from where they can be brought back (`recall`) when they are
 * needed again. A part that could not be sent is unsealed: its bytes are in memory as before.
 */
import type { PartLayout, PartRange } from '../driver/parts.js'
import type { Bytes } from '../util/units.js'
import type { Budget } from './budget.js'
import type { StagingFile } from './staging.js'
import type { SentPart, UploadSession } from './upload-session.js'
import type { WriteBuffer } from './write-buffer.js'

export interface SealedPartsOptions {
  readonly buffer: WriteBuffer
  readonly session: UploadSession
  readonly staging: StagingFile | undefined
  readonly layout: PartLayout
  readonly budget: Budget
  /** A part could not be sent. */
  readonly failed: (error: unknown) => void
}

export class SealedParts {
  readonly #options: SealedPartsOptions
  /** Parts that had left were needed again: from now on all are kept on local disk as well. */
  keepsAll = false

  constructor(options: SealedPartsOptions) {
    this.#options = options
  }

  /** Resolves when no part that has bytes of [start, end) is being sent any more. */
  async settled(start: Bytes, end: Bytes): Promise<void> {
    await Promise.all(this.#touched(start, end).map(([, { settled }]) => settled))
  }

  /** Brings back the parts that have bytes of [start, end), as far as local disk has them. */
  recall(start: Bytes, end: Bytes): void {
    const { buffer, session } = this.#options
    for (const [{ partNumber, offset, size }, { part }] of this.#touched(start, end)) {
      if (part === undefined || !buffer.isStaged(offset, offset + size)) continue
      buffer.recall(offset, offset + size)
      session.remove(partNumber - 1)
    }
  }

  #touched(start: Bytes, end: Bytes): readonly (readonly [PartRange, SentPart])[] {
    const { layout, session } = this.#options
    return [...session.sent]
      .map(([index, sent]) => [layout.part(index + 1), sent] as const)
      .filter(([{ offset, size }]) => offset < end && offset + size > start)
  }

  /** Sends the parts that a write of [start, end) has filled. */
  send(start: Bytes, end: Bytes): void {
    const { buffer, layout } = this.#options
    const { size } = buffer
    let part = layout.partAt(start)
    // The one before may have waited for a byte behind it.
    if (part.partNumber > 1) part = layout.part(part.partNumber - 1)
    while (part.offset < end && part.offset + part.size < size) {
      if (buffer.isWhollyDirty(part.offset, part.offset + part.size)) this.#upload(part)
      part = layout.part(part.partNumber + 1)
    }
  }

  /** Seals a wholly dirty part and sends it. */
  #upload({ partNumber, offset: start, size }: PartRange): void {
    const end = start + size
    const { budget, buffer, failed, session } = this.#options
    const data = buffer.seal(start, end)
    const { signal } = session
    const kept = this.#keep(partNumber, start, data)
    const sent: SentPart = {
      part: undefined,
      settled: session.send(partNumber, data).then(
        async part => {
          const isKept = await kept
          if (signal.aborted) return
          sent.part = part
          if (isKept) buffer.keep(start, end)
          budget.release(buffer.drop(start, end))
        },
        async (error: unknown) => {
          await kept
          if (signal.aborted) return
          session.remove(partNumber - 1)
          buffer.unseal(start, end)
          failed(error)
        },
      ),
    }
    session.add(partNumber - 1, sent)
  }

  /**
   * Whether the staging file has the part as well. The first part always, if it can: programs go back
   * to the beginning of a file to write its header.
   */
  async #keep(partNumber: number, start: Bytes, data: readonly Uint8Array[]): Promise<boolean> {
    const { staging } = this.#options
    if (staging === undefined) return false
    if (partNumber > 1 && !this.keepsAll) return false
    try {
      await staging.write(start, data)
      return true
    } catch {
      // It can be had without: by publishing the file.
      return false
    }
  }
}
