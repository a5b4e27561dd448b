/**
 * Receives request bodies: into a data file with checksums, into memory when small, or as JSON.
 *
 * A body goes to its file in batches while it comes in; no more than two batches are in memory. Nothing
 * remains of a body that breaks off, does not match its checksums, or is too long.
 */
import { GiB, KiB, MiB, type Bytes } from '../util/units.js'
import { newDataId, type DataFiles, type DataFileWriter } from './data-files.js'
import { Digests, readAnnounced, type FinishedDigests } from './digests.js'
import { ConnectionLost, ServiceError } from './errors.js'
import type { Exchange } from './exchange.js'
import type { Content, Slice } from './store.js'

/** Most that one PUT or part may carry. */
const MAX_BODY: Bytes = 5 * GiB
/** Collected before it is written: large writes cost less per byte. */
const BATCH: Bytes = MiB
/** Bodies up to this size go into the index: making a file costs more than storing them there. */
const IN_INDEX: Bytes = 16 * KiB

/**
 * The announced length, checked.
 * @throws ServiceError MissingContentLength, EntityTooLarge
 */
export function contentLength(exchange: Exchange, limit = MAX_BODY): Bytes {
  const text = exchange.header('content-length')
  if (text === undefined) {
    throw new ServiceError('MissingContentLength', { headers: { Connection: 'close' } })
  }
  const length = Number(text)
  if (length > limit) {
    throw new ServiceError('EntityTooLarge', { headers: { Connection: 'close' } })
  }
  return length
}

/**
 * Stores the body in a data file that nothing refers to yet; a small one stays in memory.
 * @throws ServiceError BadDigest, MissingContentLength, EntityTooLarge, RequestTimeout
 * @throws ConnectionLost
 */
export async function receiveContent(exchange: Exchange, files: DataFiles): Promise<Content> {
  const length = contentLength(exchange)
  const announced = readAnnounced(exchange.headers)
  const digests = new Digests(announced)
  if (length <= IN_INDEX) return await receiveSmall(exchange, length, digests)
  const writer = new BatchWriter(files)
  try {
    await exchange.receive(chunk => {
      digests.update(chunk)
      return writer.add(chunk)
    })
    checkLength(exchange, length)
    const finished = digests.finish()
    const file = await writer.close()
    return contentOf(finished, { file, offset: 0, length })
  } catch (error) {
    await writer.discard()
    throw error
  }
}

async function receiveSmall(exchange: Exchange, length: Bytes, digests: Digests): Promise<Content> {
  const chunks: Buffer[] = []
  await exchange.receive(chunk => {
    chunks.push(chunk)
    return undefined
  })
  checkLength(exchange, length)
  const bytes = Buffer.concat(chunks)
  digests.update(bytes)
  const file = newDataId()
  return contentOf(digests.finish(), { file, offset: 0, length, inIndex: true, bytes })
}

function checkLength(exchange: Exchange, length: Bytes): void {
  if (exchange.bytesIn !== length) throw new ConnectionLost('the request body broke off')
}

function contentOf(digests: FinishedDigests, slice: Slice): Content {
  const { md5, ...crcs } = digests
  const slices = slice.length === 0 ? [] : [{ ...slice, md5 }]
  return { size: slice.length, etag: md5, ...crcs, slices }
}

/** @throws ServiceError MaxMessageLengthExceeded, BadDigest, MalformedJSON */
export async function receiveJson(exchange: Exchange, limit: Bytes): Promise<unknown> {
  const chunks: Buffer[] = []
  if (Number(exchange.header('content-length') ?? 0) > limit) {
    throw new ServiceError('MaxMessageLengthExceeded', { headers: { Connection: 'close' } })
  }
  await exchange.receive(chunk => {
    if (exchange.bytesIn <= limit) chunks.push(chunk)
    return undefined
  })
  if (exchange.bytesIn > limit) throw new ServiceError('MaxMessageLengthExceeded')
  const bytes = Buffer.concat(chunks)
  const digests = new Digests(readAnnounced(exchange.headers))
  digests.update(bytes)
  digests.finish()
  try {
    return JSON.parse(bytes.toString())
  } catch (cause) {
    throw new ServiceError('MalformedJSON', { cause })
  }
}

/** A JSON object, or what can be looked into like one. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

/** Collects chunks and writes them in batches, one write at a time. */
class BatchWriter {
  readonly #files: DataFiles
  #opening: Promise<DataFileWriter> | undefined
  #chunks: Buffer[] = []
  #size: Bytes = 0
  #writing: Promise<void> = Promise.resolve()

  constructor(files: DataFiles) {
    this.#files = files
  }

  /** @returns a promise when the caller must wait before it brings more */
  add(chunk: Buffer): Promise<void> | undefined {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    return this.#size < BATCH ? undefined : this.#flush()
  }

  /** @returns the id of the file */
  async close(): Promise<string> {
    if (this.#size > 0) await this.#flush()
    await this.#writing
    const file = await (this.#opening ?? this.#files.create())
    await file.close()
    return file.id
  }

  async discard(): Promise<void> {
    await this.#writing.catch(() => undefined)
    const file = await this.#opening?.catch(() => undefined)
    await file?.discard()
  }

  /** Resolves when the batch before this one is written, so that receiving and writing overlap. */
  async #flush(): Promise<void> {
    const chunks = this.#chunks
    const before = this.#writing
    this.#chunks = []
    this.#size = 0
    this.#opening ??= this.#files.create()
    const opening = this.#opening
    this.#writing = before.then(async () => {
      const file = await opening
      await file.write(chunks)
    })
    this.#writing.catch(() => undefined)
    await before
  }
}
