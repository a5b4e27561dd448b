/**
 * Reads of one range into memory of the caller's, by one GET that is repeated where it breaks off: what
 * has come whole is not asked for again.
 */
import type { Bytes } from '../../util/units.js'
import type { ReadIntoOptions, ReadIntoResult } from '../driver.js'
import { InvalidOffsetError } from '../errors.js'
import type { ByteRange } from './api.js'
import { forPath, type BosContext } from './context.js'
import { readEtag, readMetadata } from './documents.js'
import type { HttpHead } from './exchange.js'
import { checkAnswer, isRefusedRange, isWhole, nothingAt, Refusal } from './read.js'
import type { Landing } from './receive/landing.js'
import { verifierOf, type Verifier } from './verify.js'

/** @see StorageDriver.readInto */
export async function readInto(
  context: BosContext,
  path: string,
  target: Uint8Array | readonly Uint8Array[],
  options: ReadIntoOptions,
): Promise<ReadIntoResult> {
  const { offset = 0, etag, signal } = options
  if (offset < 0) throw new InvalidOffsetError(path, offset, { driver: context.name })
  const targets = target instanceof Uint8Array ? [target] : target
  return await forPath(context, path, async () => {
    let refusal: Refusal | undefined
    if (targets.some(({ length }) => length > 0)) {
      const result = await fill(context, path, new Filling(targets, { ...options, offset }))
      if (!(result instanceof Refusal)) return result
      refusal = result
    }
    const io = signal === undefined ? {} : { signal }
    const head = await nothingAt(context, path, offset, { ...io, etag, refusal })
    return { bytesRead: 0, size: head.size, etag: head.etag }
  })
}

async function fill(
  { api, keys }: BosContext,
  path: string,
  filling: Filling,
): Promise<ReadIntoResult | Refusal> {
  try {
    const { headers } = await api.getInto(keys.file(path), filling.options, () => filling.attempt())
    return { bytesRead: filling.bytesRead, size: filling.size, etag: readEtag(headers) }
  } catch (error) {
    if (isRefusedRange(error) && !filling.hasBegun) return new Refusal(error)
    throw error
  }
}

/** The targets of one read while attempts fill them. */
class Filling {
  readonly options: ReadIntoOptions & { readonly offset: Bytes }
  readonly #targets: readonly Uint8Array[]
  readonly #length: Bytes
  /** Targets that have all their bytes, and how many those are. */
  #done = 0
  #doneBytes: Bytes = 0
  /** The version that those bytes are of. */
  #etag: string | undefined
  #bytesRead: Bytes = 0
  #size: Bytes = 0

  constructor(
    targets: readonly Uint8Array[],
    options: ReadIntoOptions & { readonly offset: Bytes },
  ) {
    this.options = options
    this.#targets = targets
    this.#length = targets.reduce((sum, target) => sum + target.length, 0)
    this.#etag = options.etag
  }

  get hasBegun(): boolean {
    return this.#done > 0
  }

  /** Of the read as a whole, once an attempt has succeeded. */
  get bytesRead(): Bytes {
    return this.#bytesRead
  }

  /** Of the object. */
  get size(): Bytes {
    return this.#size
  }

  /** A request for what is still missing. */
  attempt(): {
    readonly range: ByteRange
    readonly ifMatch: string | undefined
    readonly choose: (head: HttpHead) => Landing
  } {
    const { offset } = this.options
    const first = offset + this.#doneBytes
    const range = { first, last: offset + this.#length - 1 }
    return { range, ifMatch: this.#etag, choose: head => this.#choose(head, range) }
  }

  #choose(head: HttpHead, { first, last }: ByteRange): Landing {
    const length = last - first + 1
    const body = checkAnswer(head, { offset: first, length }, this.#etag)
    this.options.accept?.(readMetadata(head.headers))
    this.#size = body.size
    this.#bytesRead = first - this.options.offset + body.length
    const etag = readEtag(head.headers)
    const verifier = isWhole(body) ? verifierOf(head.headers) : undefined
    let left = body.length
    return {
      buffers: clip(this.#targets.slice(this.#done), body.length),
      filled: buffer => {
        left -= buffer.length
        if (verifier === undefined) this.#filled(buffer, etag)
        else this.#verify(verifier, buffer, left)
      },
    }
  }

  /** Nobody sees a byte of a whole object before all of it has been verified. */
  #verify(verifier: Verifier, buffer: Uint8Array, left: Bytes): void {
    verifier.update(buffer)
    if (left === 0) verifier.check()
  }

  #filled(buffer: Uint8Array, etag: string): void {
    const target = this.#targets[this.#done]
    // The last one, where the file ends inside it.
    if (target === undefined || target.length !== buffer.length) return
    this.#etag = etag
    this.#done += 1
    this.#doneBytes += target.length
    this.options.filled?.(target)
  }
}

/** The beginning of the buffers, so many bytes. */
function clip(buffers: readonly Uint8Array[], length: Bytes): readonly Uint8Array[] {
  const clipped: Uint8Array[] = []
  let left = length
  for (const buffer of buffers) {
    if (left <= 0) break
    clipped.push(buffer.length <= left ? buffer : buffer.subarray(0, left))
    left -= buffer.length
  }
  return clipped
}
