/**
 * Changes of one file under write: at once where nothing is in the way; else after what they wait for, which is
 * memory, whoever holds the file's mutex, and parts that have left and must come back first.
 *
 * A wait can be given up by its signal: then nothing of the change has happened, and the caller's data is
 * not looked at any more.
 */
import { abortable } from '../util/abort.js'
import { ErrnoError } from '../util/errno.js'
import type { Mutex } from '../util/lock.js'
import type { Bytes, Milliseconds } from '../util/units.js'
import { formatBytes } from '../util/units.js'
import type { Budget } from './budget.js'
import type { HeldBytes } from './held-bytes.js'
import type { SealedParts } from './sealed-parts.js'

/** Somebody who waits, and may stop waiting; RequestContext is one. Read only when there is a wait. */
export interface Waiter {
  readonly signal: AbortSignal
}

export interface EditsOptions {
  readonly path: () => string
  readonly maxSize: Bytes
  readonly budget: Budget
  /** How long a write may wait for memory. */
  readonly patience: Milliseconds
  readonly mutex: Mutex
  readonly bytes: HeldBytes
  readonly parts: SealedParts
  /** Whether parts that are full may leave. */
  readonly maySend: () => boolean
  /** Publishes the file: the last resort for parts that cannot be brought back. */
  readonly flush: (signal: AbortSignal | undefined) => Promise<void>
}

export class Edits {
  readonly #options: EditsOptions

  constructor(options: EditsOptions) {
    this.#options = options
  }

  /** @throws ErrnoError EFBIG */
  checkSize(size: Bytes): void {
    const { maxSize, path } = this.#options
    if (size > maxSize) {
      throw new ErrnoError('EFBIG', `${path()}: larger than ${formatBytes(maxSize)}`)
    }
  }

  /** @see DirtyFile.write */
  write(offset: Bytes, data: Uint8Array, waiter?: Waiter): number | Promise<number> {
    const { bytes, budget, mutex } = this.#options
    const { buffer } = bytes
    this.checkSize(offset + data.length)
    if (mutex.isIdle && !buffer.isSealed(offset, offset + data.length)) {
      const cost = buffer.cost(offset, data.length)
      if (budget.tryReserve(cost)) return this.#take(offset, data)
    }
    return this.#writeSlowly(offset, data, waiter?.signal)
  }

  /** Changes a range otherwise than by a write, once no part of it has left. */
  async change(
    { start, end }: { start: Bytes; end: Bytes },
    apply: () => boolean | void,
    options: { signal?: AbortSignal | undefined; prepare?: () => Promise<void> },
  ): Promise<void> {
    const { bytes, budget, mutex } = this.#options
    const { buffer } = bytes
    const { signal, prepare } = options
    for (;;) {
      const turn = mutex.run(async () => {
        signal?.throwIfAborted()
        await prepare?.()
        if (buffer.isSealed(start, end)) return false
        const before = buffer.held
        if (apply() !== false) bytes.touch()
        budget.release(before - buffer.held)
        return true
      })
      if (await abortable(turn, signal)) return
      await this.#unseal(start, end, signal)
    }
  }

  async #writeSlowly(offset: Bytes, data: Uint8Array, signal?: AbortSignal): Promise<number> {
    const { bytes, budget, mutex } = this.#options
    const { buffer } = bytes
    const end = offset + data.length
    for (;;) {
      await this.#unseal(offset, end, signal)
      const reserved = buffer.cost(offset, data.length)
      await this.#reserve(reserved, signal)
      const turn = mutex.run(async () => {
        const cost = buffer.cost(offset, data.length)
        const blocked = buffer.isSealed(offset, end) || cost > reserved
        // Once the signal is aborted the data is no longer the caller's to lend.
        if (blocked || signal?.aborted === true) {
          budget.release(reserved)
          return undefined
        }
        budget.release(reserved - cost)
        return this.#take(offset, data)
      })
      const written = await abortable(turn, signal)
      if (written !== undefined) return written
      signal?.throwIfAborted()
    }
  }

  /** Brings parts back that have left: from the staging file, or else by publishing the file. */
  async #unseal(start: Bytes, end: Bytes, signal?: AbortSignal): Promise<void> {
    const { bytes, mutex, parts, flush } = this.#options
    const { buffer } = bytes
    if (!buffer.isSealed(start, end)) return
    await abortable(parts.settled(start, end), signal)
    const recall = mutex.run(async () => parts.recall(start, end))
    await abortable(recall, signal)
    if (!buffer.isSealed(start, end)) return
    parts.keepsAll = true
    await flush(signal)
  }

  async #reserve(bytes: Bytes, signal: AbortSignal | undefined): Promise<void> {
    const { budget, path, patience } = this.#options
    const limit = AbortSignal.timeout(patience)
    try {
      await budget.reserve(bytes, signal === undefined ? limit : AbortSignal.any([signal, limit]))
    } catch (error) {
      if (!limit.aborted) throw error
      throw new ErrnoError('EIO', `${path()}: no memory came free within ${patience} ms`, {
        cause: error,
      })
    }
  }

  /** For callers that have reserved the cost. */
  #take(offset: Bytes, data: Uint8Array): number {
    const { bytes, parts, maySend } = this.#options
    bytes.buffer.write(offset, data)
    if (data.length === 0) return 0
    bytes.touch()
    if (maySend()) parts.send(offset, offset + data.length)
    return data.length
  }
}
