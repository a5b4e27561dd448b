/**
 * The multipart upload of one file under write: which parts of the grid were sent, and the composition
 * that they belong to.
 *
 * The composition is begun with the first part and ends with `complete`, `drop` or `callOff`. Parts that
 * were sent while the file was being written are remembered here until then.
 */
import type {
  Composition,
  CopyRange,
  Part,
  WriteConditions,
  WriteResult,
} from '../driver/driver.js'

/** A part of the grid that was sent, or is being sent, while the file was written. */
export interface SentPart {
  /** Resolves when sending has ended, whatever the outcome. */
  readonly settled: Promise<void>
  /** undefined until the store has it. */
  part: Part | undefined
}

export interface UploadSessionOptions {
  readonly begin: () => Promise<Composition>
  /** Aborts an upload that nobody wants any more, and does not fail. */
  readonly dropUpload: (composition: Composition) => Promise<void>
}

export class UploadSession {
  readonly #options: UploadSessionOptions
  /** By index in the grid, from 0. */
  readonly #sent = new Map<number, SentPart>()
  #composition: Promise<Composition> | undefined
  /** Made with the first request: most files go without an upload. */
  #abort: AbortController | undefined

  constructor(options: UploadSessionOptions) {
    this.#options = options
  }

  /** Parts that were sent or are being sent. */
  get sent(): ReadonlyMap<number, SentPart> {
    return this.#sent
  }

  get indexes(): readonly number[] {
    return [...this.#sent.keys()].toSorted((a, b) => a - b)
  }

  get underWay(): readonly Promise<void>[] {
    return [...this.#sent.values()]
      .filter(({ part }) => part === undefined)
      .map(({ settled }) => settled)
  }

  /** Aborted when what is being sent has become useless. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    return this.#abort.signal
  }

  /** The composition, begun if there is none. */
  compose(): Promise<Composition> {
    this.#composition ??= this.#options.begin().catch((error: unknown) => {
      this.#composition = undefined
      throw error
    })
    return this.#composition
  }

  /** The composition to go on with: one at `path`, unless parts depend on another. */
  async composeAt(path: string): Promise<Composition> {
    const composition = await this.compose()
    if (composition.path === path || this.#sent.size > 0) return composition
    await this.drop()
    return this.compose()
  }

  async send(partNumber: number, data: readonly Uint8Array[]): Promise<Part> {
    const { signal } = this
    const composition = await this.compose()
    signal.throwIfAborted()
    return composition.uploadPart(partNumber, data, { signal })
  }

  async copy(partNumber: number, range: CopyRange): Promise<Part> {
    const { signal } = this
    const composition = await this.compose()
    signal.throwIfAborted()
    return composition.copyPart(partNumber, range, { signal })
  }

  add(index: number, sent: SentPart): void {
    this.#sent.set(index, sent)
  }

  /** The part was not sent, or is of no use any more. */
  remove(index: number): void {
    this.#sent.delete(index)
  }

  /** Publishes what was sent before and the parts made now; if that fails all is as before. */
  async complete(
    composition: Composition,
    made: readonly Part[],
    conditions: WriteConditions,
  ): Promise<WriteResult> {
    const parts = [...this.#parts, ...made].toSorted((a, b) => a.partNumber - b.partNumber)
    const result = await composition.complete(parts, { ...conditions, signal: this.signal })
    this.#sent.clear()
    this.#composition = undefined
    return result
  }

  /** Bytes in the parts that were sent before. */
  get size(): number {
    return this.#parts.reduce((sum, { size }) => sum + size, 0)
  }

  /** Nothing was begun that would have to be ended. */
  get isIdle(): boolean {
    return this.#composition === undefined && this.#sent.size === 0
  }

  /** Ends a composition that no byte of the file depends on. */
  async drop(): Promise<void> {
    const composition = await this.#composition
    this.#composition = undefined
    if (composition !== undefined) await this.#options.dropUpload(composition)
  }

  /** Ends a composition that failed, unless parts that are nowhere else depend on it. */
  async abandon(composition: Composition): Promise<void> {
    if (this.#sent.size > 0) return
    this.#composition = undefined
    await this.#options.dropUpload(composition)
  }

  /**
   * Calls off all that is being sent and gives up what was sent. `forget` runs when nothing is under
   * way any more, before the store is told.
   */
  async callOff(forget: () => Promise<void>): Promise<void> {
    const composition = this.#composition
    this.#abort?.abort(new Error('the upload was called off'))
    const { underWay } = this
    this.#abort = undefined
    await Promise.all(underWay)
    this.#sent.clear()
    this.#composition = undefined
    await forget()
    await composition?.then(
      begun => this.#options.dropUpload(begun),
      () => undefined,
    )
  }

  get #parts(): readonly Part[] {
    return [...this.#sent.values()].flatMap(({ part }) => (part === undefined ? [] : [part]))
  }
}
