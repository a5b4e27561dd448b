/**
 * Tells the kernel to drop what it caches.
 *
 * The kernel takes locks for that - of a directory, or of pages - which a request may hold that
 * waits for our answer. So a notification is never written on the main thread, which must stay free
 * to give that answer, but on one of the pool, one notification at a time. And it is not written
 * while such a request is known to be under way: a thread that waits for those locks cannot be
 * killed, and a process that has one keeps its mount even after kill -9. A notification that would
 * wait for ever, since there is always such a request, is written nevertheless after `PATIENCE`.
 *
 * The queue is bounded. What does not fit is dropped and logged: the kernel then believes what it has
 * until that expires.
 */
import { Buffer } from 'node:buffer'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ERRNO } from '../../util/errno.js'
import { ByteWriter } from '../../util/cursor.js'
import type { Logger } from '../../util/log.js'
import type { Bytes, Milliseconds } from '../../util/units.js'
import type { Ino, Notifier } from '../operations.js'
import { NOTIFY, SIZE } from './abi.js'
import type { Device } from './device.js'
import { encodeHeader, encodeInvalidateEntry, encodeInvalidateInode } from './encode.js'

/** Some hundred bytes each. */
const QUEUE_LIMIT = 4096
const PATIENCE: Milliseconds = 2_000
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

/** Which inodes requests are under way for. */
export interface Activity {
  readonly inodes: ReadonlySet<number>
  /** A request that locks a directory it does not name first: RENAME, LINK. */
  readonly acrossDirectories: boolean
}

interface Notification {
  readonly bytes: Uint8Array
  /** Whose locks the kernel takes. */
  readonly ino: Ino
  readonly isEntry: boolean
  /** When it is written in any case. */
  readonly due: Milliseconds
}

export interface KernelNotifierOptions {
  readonly device: Pick<Device, 'writeFromThread'>
  readonly activity: () => Activity
  readonly log: Logger
  readonly now?: () => Milliseconds
}

export class KernelNotifier implements Notifier {
  readonly #options: KernelNotifierOptions
  readonly #now: () => Milliseconds
  readonly #queue: Notification[] = []
  #sending: Promise<void> | undefined
  #closed = false
  #wake = (): void => {}

  constructor(options: KernelNotifierOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  invalidateInode(ino: Ino, offset: Bytes, length: Bytes): void {
    const { bytes, writer } = begin(INVAL_INODE_SIZE, NOTIFY.INVAL_INODE)
    encodeInvalidateInode(writer, ino, { offset, length })
    this.#enqueue({ bytes, ino, isEntry: false, due: this.#now() + PATIENCE })
  }

  invalidateEntry(parent: Ino, name: string): void {
    const length = INVAL_ENTRY_SIZE + Buffer.byteLength(name) + 1
    const { bytes, writer } = begin(length, NOTIFY.INVAL_ENTRY)
    encodeInvalidateEntry(writer, parent, name)
    this.#enqueue({ bytes, ino: parent, isEntry: true, due: this.#now() + PATIENCE })
  }

  /** A request has been answered: what waited for it may go. */
  requestSettled(): void {
    this.#wake()
  }

  /** Drops what is queued, and waits for what is being written. */
  async close(): Promise<void> {
    this.#closed = true
    this.#queue.length = 0
    this.#wake()
    await this.#sending
  }

  #enqueue(notification: Notification): void {
    if (this.#closed) return
    if (this.#queue.length >= QUEUE_LIMIT) {
      const { log } = this.#options
      log.warn({ limit: QUEUE_LIMIT }, 'too many cache invalidations at once, one is dropped')
      return
    }
    this.#queue.push(notification)
    this.#sending ??= this.#send()
  }

  async #send(): Promise<void> {
    // The answer to the request that is being handled goes first.
    await nextTurn()
    while (this.#queue.length > 0) {
      const next = this.#takeNext()
      if (next === undefined) await this.#untilChange()
      else await this.#write(next.bytes)
    }
    this.#sending = undefined
  }

  /** The first that nothing stands in the way of. */
  #takeNext(): Notification | undefined {
    const now = this.#now()
    const { inodes, acrossDirectories } = this.#options.activity()
    const index = this.#queue.findIndex(
      ({ ino, isEntry, due }) => due <= now || !(inodes.has(ino) || (isEntry && acrossDirectories)),
    )
    return index < 0 ? undefined : this.#queue.splice(index, 1)[0]
  }

  /** Until a request has settled, or the oldest in the queue is due. */
  async #untilChange(): Promise<void> {
    const due = this.#queue[0]?.due ?? 0
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, Math.max(1, due - this.#now()))
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = () => {}
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const { device, log } = this.#options
    try {
      const result = await device.writeFromThread(bytes)
      if (result >= 0 || HARMLESS.has(result)) return
      log.warn({ errno: -result }, 'the kernel refused a cache invalidation')
    } catch (error) {
      log.error({ err: error }, 'a cache invalidation could not be sent')
    }
  }
}

function begin(
  length: Bytes,
  code: number,
): { readonly bytes: Uint8Array; readonly writer: ByteWriter } {
  const bytes = Buffer.allocUnsafeSlow(length)
  const writer = new ByteWriter().reset(bytes)
  encodeHeader(writer, length, code, 0)
  return { bytes, writer }
}
