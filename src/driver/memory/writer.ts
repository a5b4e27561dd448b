/** The memory driver's FileWriter: bytes collect in a session that outlives the writer. */
import { randomUUID } from 'node:crypto'
import type {
  DriverOptions,
  FileWriter,
  UploadInfo,
  WriteConditions,
  WriteResult,
} from '../driver.js'
import { WriterState } from '../writer-state.js'
import type { CompositionHost } from './composition.js'

/** What a writer has left by `close` without `commit`. */
export interface WriterSession extends UploadInfo {
  readonly content: Buffer
}

export interface WriterHost extends CompositionHost {
  /** By path: at most one, the latest. */
  readonly sessions: Map<string, WriterSession>
}

export class MemoryWriter implements FileWriter {
  readonly #host: WriterHost
  readonly #path: string
  readonly #state: WriterState
  readonly #chunks: Buffer[]
  #size: number

  constructor(host: WriterHost, path: string, content: Buffer) {
    this.#host = host
    this.#path = path
    this.#state = new WriterState(path, host.name)
    this.#chunks = [content]
    this.#size = content.length
  }

  get size(): number {
    return this.#size
  }

  async write(data: Uint8Array, options: DriverOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    this.#state.assertOpen()
    this.#chunks.push(Buffer.from(data))
    this.#size += data.length
  }

  async close(options: DriverOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    this.#state.close()
    if (this.#state.ended) return
    this.#host.sessions.set(this.#path, {
      path: this.#path,
      uploadId: randomUUID(),
      initiated: this.#host.now(),
      content: Buffer.concat(this.#chunks),
    })
  }

  async cancel(options: DriverOptions = {}): Promise<void> {
    options.signal?.throwIfAborted()
    this.#state.assertOpen()
    this.#state.end('cancelled')
    this.#host.sessions.delete(this.#path)
  }

  async commit(options: DriverOptions & WriteConditions = {}): Promise<WriteResult> {
    options.signal?.throwIfAborted()
    this.#state.assertOpen()
    const result = this.#host.publish(this.#path, Buffer.concat(this.#chunks), options)
    this.#state.end('committed')
    this.#host.sessions.delete(this.#path)
    return result
  }
}
