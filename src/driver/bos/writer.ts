/**
 * FileWriter over BOS. Full parts are uploaded while more is written, several at once within a bound;
 * content that never fills a part is one PUT at commit, without any multipart upload.
 *
 * Invariants:
 * - bytes are in exactly one of: confirmed parts, parts under way, pending;
 * - calls take effect in the order they were made;
 * - after the first failure of a part, or a write that was aborted half way, nothing can be committed.
 */
import { abortable } from '../../util/abort.js'
import { MiB, type Bytes } from '../../util/units.js'
import type {
  DriverOptions,
  FileWriter,
  Part,
  WriteConditions,
  WriteResult,
  WriterOptions,
} from '../driver.js'
import { DriverError } from '../errors.js'
import { partSizeOf } from '../parts.js'
import { WriterState } from '../writer-state.js'
import { copyCommitted } from './append.js'
import { forPath, type BosContext } from './context.js'
import { PendingBytes } from './pending.js'
import { dropLeft, dropUpload, findLeft, leave, type LeftWriter } from './resume.js'

/** Parts under way may hold so many bytes, or be one. */
const BYTES_IN_FLIGHT: Bytes = 64 * MiB

class BosWriter implements FileWriter {
  readonly #context: BosContext
  readonly #path: string
  readonly #state: WriterState
  readonly #pending = new PendingBytes()
  readonly #parts = new Map<number, Part>()
  readonly #underWay = new Set<Promise<void>>()
  #bytesUnderWay: Bytes = 0
  /** Stops the parts under way once the content is lost anyway. */
  readonly #stop = new AbortController()
  /** The upload's id; once asked for it is waited for, so that it can be aborted. */
  #upload: Promise<string> | undefined
  #nextPart = 1
  /** Bytes in parts, confirmed or under way. */
  #sent: Bytes = 0
  /** An earlier writer's leftovers are at the path. */
  #resumed = false
  #failure: { readonly error: unknown } | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(context: BosContext, path: string) {
    this.#context = context
    this.#path = path
    this.#state = new WriterState(path, context.name)
  }

  get size(): Bytes {
    return this.#sent + this.#pending.length
  }

  /** Takes over what a closed writer left. */
  resume({ uploadId, parts, tail }: LeftWriter): void {
    this.#resumed = true
    this.#upload = Promise.resolve(uploadId)
    this.#takeOver(parts)
    this.#pending.append(tail)
  }

  #takeOver(parts: readonly Part[]): void {
    for (const part of parts) this.#parts.set(part.partNumber, part)
    this.#nextPart = parts.length + 1
    this.#sent = parts.reduce((sum, part) => sum + part.size, 0)
  }

  /** Goes on behind a committed file: its bytes become parts inside the store, or pending ones. */
  async continueFrom(etag: string, size: Bytes, options: DriverOptions): Promise<void> {
    const { api, keys, limits } = this.#context
    const key = keys.file(this.#path)
    if (size < limits.minPartSize) {
      const { body } = await api.getWhole(key, { ...options, ifMatch: etag })
      this.#pending.append(body)
      return
    }
    const uploadId = await this.#uploadId(options)
    const parts = await copyCommitted(this.#context, { key, uploadId, etag, size }, options)
    this.#takeOver(parts)
  }

  write(data: Uint8Array, options: DriverOptions = {}): Promise<void> {
    return this.#inTurn(options, async () => {
      this.#assertOpen()
      let at = 0
      try {
        while (at < data.length) {
          const room = partSizeOf(this.#nextPart, this.#context.limits) - this.#pending.length
          // A full part waits for a byte more: content of exactly one chunk is one PUT.
          if (room <= 0) {
            await this.#sendPart(this.#pending.length, options)
            continue
          }
          const piece = data.subarray(at, at + room)
          this.#pending.append(piece)
          at += piece.length
        }
      } catch (error) {
        // Part of the data may have been taken: what follows would not join up.
        this.#fail(error)
        throw error
      }
    })
  }

  close(options: DriverOptions = {}): Promise<void> {
    return this.#inTurn(options, async () => {
      if (!this.#state.ended) {
        this.#state.assertOpen()
        await this.#leave(options)
      }
      this.#state.close()
    })
  }

  cancel(options: DriverOptions = {}): Promise<void> {
    return this.#inTurn(options, async () => {
      this.#state.assertOpen()
      this.#fail(new DriverError(`writer of ${this.#path} was cancelled`))
      await this.#settled()
      await this.#dropAll(options)
      this.#state.end('cancelled')
    })
  }

  commit(options: DriverOptions & WriteConditions = {}): Promise<WriteResult> {
    return this.#inTurn(options, async () => {
      this.#assertOpen()
      const size = this.size
      const etag = await this.#publish(options)
      this.#state.end('committed')
      await this.#cleanUp(options)
      return { etag, size }
    })
  }

  async #publish(options: DriverOptions & WriteConditions): Promise<string> {
    const { api, keys, config } = this.#context
    const key = keys.file(this.#path)
    if (this.#sent === 0) {
      const { storageClass } = config
      return await api.put(key, this.#pending.peek(), { ...options, storageClass })
    }
    if (this.#pending.length > 0) await this.#sendPart(this.#pending.length, options)
    const parts = await this.#confirmed()
    return await api.uploads.complete(
      { key, uploadId: await this.#uploadId(options) },
      parts,
      options,
    )
  }

  /** The content is published; what is left over must not be found by the next append. */
  async #cleanUp(options: DriverOptions): Promise<void> {
    if (!this.#resumed && this.#upload === undefined) return
    try {
      await this.#dropAll(options, { keepUpload: this.#sent > 0 })
    } catch (error) {
      const { log } = this.#context
      log.warn({ path: this.#path, error }, 'could not remove what an upload left behind')
    }
  }

  async #dropAll(options: DriverOptions, { keepUpload = false } = {}): Promise<void> {
    const key = this.#context.keys.file(this.#path)
    const uploadId = await this.#upload?.catch(() => undefined)
    if (uploadId !== undefined && !keepUpload) {
      await this.#context.api.uploads.abort({ key, uploadId }, options)
    }
    if (!this.#resumed) return
    if (uploadId !== undefined) await dropUpload(this.#context, { key, uploadId }, options)
    await dropLeft(this.#context, this.#path, options)
  }

  /** Makes everything findable for the next writer. */
  async #leave(options: DriverOptions): Promise<void> {
    this.#assertOpen()
    const { limits } = this.#context
    if (this.#pending.length >= limits.minPartSize) {
      // Old documents want parts of whole mebibytes.
      const whole = this.#pending.length - (this.#pending.length % MiB)
      await this.#sendPart(whole, options)
    }
    const uploadId = await this.#uploadId(options)
    await this.#confirmed()
    const tail = this.#pending.peek()
    await leave(this.#context, { uploadId, offset: this.#sent, tail }, options)
  }

  /** Starts to upload the first `size` pending bytes; waits while too many parts are under way. */
  async #sendPart(size: Bytes, { signal }: DriverOptions): Promise<void> {
    const { api, keys, limits, name: driver } = this.#context
    if (this.#nextPart > limits.maxParts) {
      const message = `${this.#path} needs more than ${limits.maxParts} parts: raise chunksize`
      throw new DriverError(message, { driver, path: this.#path })
    }
    const uploadId = await this.#uploadId(signal === undefined ? {} : { signal })
    while (!this.#hasRoom(size)) await abortable(Promise.race(this.#underWay), signal)
    this.#assertOpen()
    const data = this.#pending.take(size)
    const partNumber = this.#nextPart++
    this.#sent += size
    const part = { key: keys.file(this.#path), uploadId, partNumber }
    const job = api.uploads
      .uploadPart(part, data, { signal: this.#stop.signal })
      .then(etag => void this.#parts.set(partNumber, { partNumber, etag, size }))
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#bytesUnderWay -= size
        this.#underWay.delete(job)
      })
    this.#underWay.add(job)
    this.#bytesUnderWay += size
  }

  #hasRoom(size: Bytes): boolean {
    const { config, limits } = this.#context
    if (this.#underWay.size === 0) return true
    const most = Math.max(BYTES_IN_FLIGHT, config.partsInFlight * limits.partSize)
    return this.#underWay.size < config.partsInFlight && this.#bytesUnderWay + size <= most
  }

  /**
   * The upload id; starts the upload when there is none. Who gives up waiting does not end the request:
   * its answer is the only way to get rid of the upload again.
   */
  async #uploadId({ signal }: DriverOptions): Promise<string> {
    const { api, keys, config } = this.#context
    const { storageClass } = config
    this.#upload ??= api.uploads.initiate(keys.file(this.#path), { storageClass })
    try {
      return await abortable(this.#upload, signal)
    } catch (error) {
      // Another call may try again.
      if (signal?.aborted !== true) this.#upload = undefined
      throw error
    }
  }

  /** All parts, once none is under way. */
  async #confirmed(): Promise<Part[]> {
    await this.#settled()
    this.#assertOpen()
    return [...this.#parts.values()].toSorted((a, b) => a.partNumber - b.partNumber)
  }

  async #settled(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = { error }
    this.#stop.abort(error)
  }

  #assertOpen(): void {
    this.#state.assertOpen()
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Runs one call after the calls before it. */
  #inTurn<T>({ signal }: DriverOptions, work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(() =>
      forPath(this.#context, this.#path, () => {
        signal?.throwIfAborted()
        return work()
      }),
    )
    this.#last = result.catch(() => undefined)
    return result
  }
}

/** Opens a writer. @see StorageDriver.writer */
export function openWriter(
  context: BosContext,
  path: string,
  options: WriterOptions,
): Promise<FileWriter> {
  const { signal, append = false } = options
  const io = signal === undefined ? {} : { signal }
  return forPath(context, path, async () => {
    const writer = new BosWriter(context, path)
    if (!append) {
      await dropLeft(context, path, io)
      return writer
    }
    const left = await findLeft(context, path, io)
    if (left === undefined) {
      const { etag, size } = await context.api.head(context.keys.file(path), io)
      await writer.continueFrom(etag, size, io)
    } else {
      writer.resume(left)
    }
    return writer
  })
}
