/**
 * Ranged reads as streams and whole small files; read-into.ts reads into memory. What BOS makes awkward: a range on an empty object is an error (400 or 416), and so is
 * a range that starts at the end; both are legal reads of nothing here. So a refused range is followed
 * by a HEAD that tells which of the two, or neither, it was.
 */
import { Readable } from 'node:stream'
import type { Bytes } from '../../util/units.js'
import type { ContentReader, DriverOptions, ReadOptions } from '../driver.js'
import { InvalidOffsetError, PreconditionError } from '../errors.js'
import { forPath, type BosContext } from './context.js'
import { readEtag, readModTime, readRange, type BodyRange, type ObjectHead } from './documents.js'
import { BosError, toDriverError } from './error.js'
import type { BodySink, HttpHead } from './exchange.js'
import type { HttpStream } from './http.js'
import { isRetryable } from './retry.js'
import { DamagedError, verifierOf, type Verifier } from './verify.js'

/** How often a stream is taken up again where it broke off. */
const MAX_RESUMES = 5

export interface Range {
  readonly offset: Bytes
  /** Undefined is to the end. */
  readonly length: Bytes | undefined
}

export function isRefusedRange(error: unknown): boolean {
  if (!(error instanceof BosError) || error.kind !== 'response') return false
  return error.status === 416 || error.code === 'InvalidRange' || error.status === 400
}

function integrity(message: string): BosError {
  return new BosError(message, { kind: 'integrity' })
}

/** The bytes that come are those asked for, of the version asked for. */
export function checkAnswer(head: HttpHead, range: Range, etag: string | undefined): BodyRange {
  const body = readRange(head.status, head.headers)
  if (etag !== undefined && readEtag(head.headers) !== etag) {
    throw integrity(`version ${readEtag(head.headers)} came instead of ${etag}`)
  }
  const end = Math.min(body.size, range.offset + (range.length ?? Infinity))
  if (body.offset !== range.offset || body.offset + body.length !== end) {
    throw integrity(`bytes ${body.offset}+${body.length} came instead of ${range.offset} to ${end}`)
  }
  return body
}

export function isWhole({ offset, length, size }: BodyRange): boolean {
  return offset === 0 && length === size
}

function requestRange({ offset, length }: Range): { first: Bytes; last?: Bytes } | undefined {
  if (offset === 0 && length === undefined) return undefined
  return length === undefined ? { first: offset } : { first: offset, last: offset + length - 1 }
}

/** The service would not give the range; why is to be found out. */
export class Refusal {
  readonly error: unknown

  constructor(error: unknown) {
    this.error = error
  }
}

/** The object when there is nothing of it to be read at `offset`; checks offset and version. */
export async function nothingAt(
  context: BosContext,
  path: string,
  offset: Bytes,
  options: DriverOptions & { etag?: string | undefined; refusal?: Refusal | undefined },
): Promise<ObjectHead> {
  const { name: driver, api, keys } = context
  const head = await api.head(keys.file(path), { signal: options.signal })
  if (options.etag !== undefined && head.etag !== options.etag) {
    throw new PreconditionError(`${path} does not hold version ${options.etag}`, { driver, path })
  }
  if (offset > head.size) throw new InvalidOffsetError(path, offset, { driver })
  if (options.refusal !== undefined && offset < head.size) throw options.refusal.error
  return head
}

/** @see StorageDriver.getContent */
export async function readContent(
  context: BosContext,
  path: string,
  { signal }: DriverOptions,
): Promise<Buffer> {
  const { api, keys } = context
  let content = Buffer.alloc(0)
  const chooseSink = (head: HttpHead): BodySink => {
    const { length } = readRange(head.status, head.headers)
    content = Buffer.allocUnsafeSlow(length)
    const verifier = verifierOf(head.headers)
    let received = 0
    return chunk => {
      if (received + chunk.length > length) throw integrity('more bytes than announced')
      received += chunk.copy(content, received)
      verifier?.update(chunk)
      if (received === length) verifier?.check()
    }
  }
  await forPath(context, path, () => api.get(keys.file(path), { signal }, chooseSink))
  return content
}

/** @see StorageDriver.reader */
export async function openReader(
  context: BosContext,
  path: string,
  options: ReadOptions,
): Promise<ContentReader> {
  const { offset = 0, length, etag } = options
  if (offset < 0) throw new InvalidOffsetError(path, offset, { driver: context.name })
  return await forPath(context, path, async () => {
    const first = length === 0 ? undefined : await openAt(context, path, options)
    const refusal = first instanceof Refusal ? first : undefined
    if (first !== undefined && !(first instanceof Refusal)) {
      return streamFrom(context, path, options, first)
    }
    const head = await nothingAt(context, path, offset, { ...options, etag, refusal })
    const stream = Readable.from([], { objectMode: false })
    const time = head.modTime === undefined ? {} : { modTime: head.modTime }
    return { stream, size: head.size, etag: head.etag, ...time }
  })
}

interface OpenedStream extends HttpStream {
  readonly body: BodyRange
}

/** Opens a range. */
async function openAt(
  { api, keys }: BosContext,
  path: string,
  { offset = 0, length, etag, signal }: ReadOptions,
): Promise<OpenedStream | Refusal> {
  const range = requestRange({ offset, length })
  try {
    const opened = await api.getStream(keys.file(path), { range, ifMatch: etag, signal })
    try {
      return { ...opened, body: checkAnswer(opened, { offset, length }, etag) }
    } catch (error) {
      opened.stream.destroy()
      throw error
    }
  } catch (error) {
    if (range !== undefined && isRefusedRange(error)) return new Refusal(error)
    throw error
  }
}

function streamFrom(
  context: BosContext,
  path: string,
  options: ReadOptions,
  first: OpenedStream,
): ContentReader {
  const etag = readEtag(first.headers)
  const modTime = readModTime(first.headers)
  const chunks = resuming(context, path, { ...options, etag }, first)
  const stream = Readable.from(chunks, { objectMode: false, highWaterMark: 256 * 1024 })
  // A generator that was never started has no cleanup of its own.
  stream.once('close', () => first.stream.destroy())
  const time = modTime === undefined ? {} : { modTime }
  return { stream, size: first.body.size, etag, ...time }
}

async function reopen(
  context: BosContext,
  path: string,
  options: ReadOptions,
): Promise<OpenedStream> {
  const opened = await openAt(context, path, options)
  if (opened instanceof Refusal) throw opened.error
  return opened
}

/** The bytes of a stream that goes on, in the same version, where a connection broke off. */
async function* resuming(
  context: BosContext,
  path: string,
  options: ReadOptions & { etag: string },
  first: OpenedStream,
): AsyncGenerator<Buffer> {
  const { signal } = options
  const start = first.body.offset
  const end = start + first.body.length
  const newVerifier = (): Verifier | undefined =>
    isWhole(first.body) ? verifierOf(first.headers) : undefined
  let verifier = newVerifier()
  let position = start
  let isAnyDelivered = false
  let current: OpenedStream | undefined = first
  for (let resumes = 0; ; resumes++) {
    try {
      current ??= await reopen(context, path, {
        ...options,
        offset: position,
        length: end - position,
      })
      for await (const chunk of current.stream) {
        const bytes = chunk as Buffer
        verifier?.update(bytes)
        // Before the last of them is delivered: nobody takes damaged bytes for a whole file.
        if (position + bytes.length === end) verifier?.check()
        position += bytes.length
        isAnyDelivered = true
        yield bytes
      }
      if (position === end) return
      throw integrity(`the body ended at ${position} instead of ${end}`)
    } catch (error) {
      signal?.throwIfAborted()
      if (position === end && isRetryable(error)) return
      const isDamaged = error instanceof DamagedError
      const canResume = isRetryable(error) && resumes < MAX_RESUMES
      if (!canResume || (isDamaged && isAnyDelivered)) {
        throw toDriverError(error, context.name, path)
      }
      if (!isAnyDelivered) verifier = newVerifier()
      current?.stream.destroy()
      current = undefined
    }
  }
}
