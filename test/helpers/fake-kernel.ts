/**
 * The kernel's side of /dev/fuse without a kernel: hands out requests, and keeps what is answered.
 * Bytes are put together here from widths and values alone, so that an error in the codec shows.
 */
import { Buffer } from 'node:buffer'
import { ERRNO } from '../../src/util/errno.js'
import type { Device } from '../../src/fs/fuse/device.js'

/** A field: its width in bits and its value, or bytes as they are. */
export type Field = readonly [8 | 16 | 32 | 64, number | bigint] | string | Uint8Array

/** Fields in a row, little-endian; a string is UTF-8 with a NUL after it. */
export function row(...fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.map(field => {
      if (typeof field === 'string') return Buffer.from(`${field}\0`)
      if (field instanceof Uint8Array) return field
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(field[1])))
      return bytes.subarray(0, field[0] / 8)
    }),
  )
}

export interface RequestOptions {
  readonly unique?: number
  readonly ino?: number
  readonly uid?: number
  readonly gid?: number
  readonly pid?: number
}

/** A whole request. */
export function request(opcode: number, options: RequestOptions, ...fields: Field[]): Buffer {
  const { unique = 2, ino = 1, uid = 1000, gid = 100, pid = 42 } = options
  const body = row(...fields)
  return row(
    [32, 40 + body.length],
    [32, opcode],
    [64, unique],
    [64, ino],
    [32, uid],
    [32, gid],
    [32, pid],
    [32, 0],
    body,
  )
}

/** INIT as Linux 6.18 sends it. */
export function initRequest(minor = 45, flags = 0xffff_fffb): Buffer {
  return request(
    26,
    { unique: 2 },
    [32, 7],
    [32, minor],
    [32, 131072],
    [32, flags],
    Buffer.alloc(48),
  )
}

export interface Answer {
  readonly unique: number
  /** A positive errno, or 0. */
  readonly errno: number
  readonly body: Buffer
}

export class FakeKernel implements Device {
  readonly answers: Answer[] = []
  readonly notifications: Buffer[] = []
  /** Answers to these are not wanted any more. */
  readonly withdrawn = new Set<number>()
  closed = 0
  polls = 0
  /** What a read gives when there is no request. */
  idle = -ERRNO.EAGAIN as number
  notificationResult: () => Promise<number> = () => Promise.resolve(0)
  readonly #requests: Buffer[] = []
  #polling: (() => void) | undefined
  #woken = false
  #heard = (): void => {}

  /** Hands out requests, all at once. */
  push(...requests: readonly Buffer[]): void {
    this.#requests.push(...requests)
    this.#ready()
  }

  /** Ends the session as an unmount does, or with another errno. */
  end(errno: number = ERRNO.ENODEV): void {
    this.idle = -errno
    this.#ready()
  }

  /** Waits for so many answers in all. */
  async answered(count: number): Promise<Answer[]> {
    const until = Date.now() + 60_000
    while (this.answers.length < count) {
      if (Date.now() > until) throw new Error(`${this.answers.length} answers instead of ${count}`)
      await new Promise<void>(resolve => {
        this.#heard = resolve
        setTimeout(resolve, 100)
      })
    }
    return this.answers
  }

  /** The one answer to a request. */
  async answer(unique: number): Promise<Answer> {
    const until = Date.now() + 60_000
    for (;;) {
      const found = this.answers.filter(answer => answer.unique === unique)
      if (found.length > 1) throw new Error(`${found.length} answers to ${unique}`)
      if (found[0] !== undefined) return found[0]
      if (Date.now() > until) throw new Error(`no answer to ${unique}`)
      await new Promise(resolve => setImmediate(resolve))
    }
  }

  read(target: Uint8Array): number {
    const next = this.#requests.shift()
    if (next === undefined) return this.idle
    target.set(next)
    return next.length
  }

  write(bytes: Uint8Array, length: number): number {
    return this.#accept(Buffer.from(bytes.subarray(0, length)))
  }

  writev(header: Uint8Array, slices: readonly Uint8Array[]): number {
    return this.#accept(Buffer.concat([header, ...slices]))
  }

  writeFromThread(bytes: Uint8Array): Promise<number> {
    this.notifications.push(Buffer.from(bytes))
    return this.notificationResult()
  }

  poll(done: () => void): void {
    this.polls += 1
    this.#polling = done
    if (this.#woken || this.#requests.length > 0 || this.idle !== -ERRNO.EAGAIN) this.#ready()
  }

  wake(): void {
    this.#woken = true
    this.#ready()
  }

  close(): Promise<void> {
    this.closed += 1
    return Promise.resolve()
  }

  #ready(): void {
    const done = this.#polling
    this.#polling = undefined
    if (done !== undefined) setImmediate(done)
  }

  #accept(bytes: Buffer): number {
    if (bytes.readUInt32LE(0) !== bytes.length) return -ERRNO.EINVAL
    if (this.idle === -ERRNO.ENODEV) return -ERRNO.ENODEV
    const unique = Number(bytes.readBigUInt64LE(8))
    if (this.withdrawn.has(unique)) return -ERRNO.ENOENT
    this.answers.push({ unique, errno: 0 - bytes.readInt32LE(4), body: bytes.subarray(16) })
    this.#heard()
    return bytes.length
  }
}
