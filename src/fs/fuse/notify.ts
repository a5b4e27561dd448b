/**
 * Tells the kernel to drop what it caches.
 *
 * The kernel takes locks for that - of a directory, or of pages - which a request may hold that
 * waits for our answer. So a notification is never written on the main thread, which must stay free
 * to give that answer, but on one of the pool, one notification at a time.
 *
 * The queue is bounded. What does not fit is dropped and logged: the kernel then believes what it has
 * until that expires.
 */
import { Buffer } from 'node:buffer'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ERRNO } from '../../util/errno.js'
import { ByteWriter } from '../../util/cursor.js'
import type { Logger } from '../../util/log.js'
import type { Bytes } from '../../util/units.js'
import type { Ino, Notifier } from '../operations.js'
import { NOTIFY, SIZE } from './abi.js'
import type { Device } from './device.js'
import { encodeHeader, encodeInvalidateEntry, encodeInvalidateInode } from './encode.js'

/** Some hundred bytes each. */
const QUEUE_LIMIT = 4096
const INVAL_INODE_SIZE = SIZE.OUT_HEADER + 24
const INVAL_ENTRY_SIZE = SIZE.OUT_HEADER + 16

/** Not cached, no such call in this kernel, or the session is over: nothing is lost. */
const HARMLESS: ReadonlySet<number> = new Set([
  -ERRNO.ENOENT,
  -ERRNO.ENOSYS,
  -ERRNO.ENODEV,
  -ERRNO.ENOTDIR,
  -ERRNO.ENOTCONN,
])

export class KernelNotifier implements Notifier {
  readonly #device: Pick<Device, 'writeFromThread'>
  readonly #log: Logger
  readonly #queue: Uint8Array[] = []
  #sending: Promise<void> | undefined
  #closed = false

  constructor(device: Pick<Device, 'writeFromThread'>, log: Logger) {
    this.#device = device
    this.#log = log
  }

  invalidateInode(ino: Ino, offset: Bytes, length: Bytes): void {
    const { bytes, writer } = this.#begin(INVAL_INODE_SIZE, NOTIFY.INVAL_INODE)
    encodeInvalidateInode(writer, ino, { offset, length })
    this.#enqueue(bytes)
  }

  invalidateEntry(parent: Ino, name: string): void {
    const { bytes, writer } = this.#begin(
      INVAL_ENTRY_SIZE + Buffer.byteLength(name) + 1,
      NOTIFY.INVAL_ENTRY,
    )
    encodeInvalidateEntry(writer, parent, name)
    this.#enqueue(bytes)
  }

  /** Drops what is queued, and waits for what is being written. */
  async close(): Promise<void> {
    this.#closed = true
    this.#queue.length = 0
    await this.#sending
  }

  #begin(length: Bytes, code: number): { readonly bytes: Uint8Array; readonly writer: ByteWriter } {
    const bytes = Buffer.allocUnsafeSlow(length)
    const writer = new ByteWriter().reset(bytes)
    encodeHeader(writer, length, code, 0)
    return { bytes, writer }
  }

  #enqueue(bytes: Uint8Array): void {
    if (this.#closed) return
    if (this.#queue.length >= QUEUE_LIMIT) {
      this.#log.warn({ limit: QUEUE_LIMIT }, 'too many cache invalidations at once, one is dropped')
      return
    }
    this.#queue.push(bytes)
    this.#sending ??= this.#send()
  }

  async #send(): Promise<void> {
    // The answer to the request that is being handled goes first.
    await nextTurn()
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      try {
        const result = await this.#device.writeFromThread(next)
        if (result < 0 && !HARMLESS.has(result)) {
          this.#log.warn({ errno: -result }, 'the kernel refused a cache invalidation')
        }
      } catch (error) {
        this.#log.error({ err: error }, 'a cache invalidation could not be sent')
      }
    }
    this.#sending = undefined
  }
}
