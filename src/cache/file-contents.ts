/**
 * Where the bytes of one file under write come from: memory, local disk, the version that it was made
 * from, other versions that it was copied from, or zeros.
 */
import type { FileStore } from './file-store.js'
import type { ObjectId } from './object-id.js'
import type { Source } from './origins.js'
import { resident } from './pieces.js'
import type { StagingFile } from './staging.js'
import { PAGE_SIZE } from './write-buffer.js'
import type { Piece } from './write-buffer.js'

export class FileContents {
  readonly #store: FileStore
  readonly #staging: StagingFile | undefined
  /** The version in the store that clean bytes come from. */
  base: ObjectId | undefined
  /** The version in the store that has all sealed bytes, but not yet the file's name. */
  misplaced: ObjectId | undefined

  constructor(options: {
    readonly store: FileStore
    readonly staging: StagingFile | undefined
    readonly base: ObjectId | undefined
  }) {
    this.#store = options.store
    this.#staging = options.staging
    this.base = options.base
  }

  /**
   * The bytes of pieces, in order. What is in memory is not copied.
   *
   * @param page  gives memory of PAGE_SIZE for much of what is not; default memory that is new
   */
  async assemble(pieces: readonly Piece[], page = newPage): Promise<Uint8Array[]> {
    const parts = await Promise.all(
      pieces.map(async piece => {
        if (piece.kind === 'staged') return this.#readStaged(piece, page)
        if (piece.kind !== 'stored') return resident(piece)
        const object = this.objectOf(piece.source)
        const slices = await this.#store.read(object, piece.from, piece.length)
        // They are valid until the next await only, and other pieces are still being waited for.
        return slices.map(slice => Uint8Array.from(slice))
      }),
    )
    return parts.flat()
  }

  async #readStaged({ offset, length }: Piece, page: () => Buffer): Promise<Uint8Array[]> {
    if (this.#staging === undefined) throw new Error('there is no staging file')
    const slices: Uint8Array[] = []
    for (let done = 0; done < length; done += PAGE_SIZE) {
      const size = Math.min(PAGE_SIZE, length - done)
      // Many small pieces would take much more than was counted for them.
      const slice = size > PAGE_SIZE / 2 ? page().subarray(0, size) : Buffer.allocUnsafe(size)
      await this.#staging.readInto(offset + done, slice)
      slices.push(slice)
    }
    return slices
  }

  /** Where an object lies now. */
  objectOf(source: Source): ObjectId {
    if (source !== 'base') return source
    if (this.base === undefined) throw new Error('a file without a base has base bytes')
    return { ...this.base, path: this.#store.path() }
  }

  /** Whether the bytes can be read only after a flush. */
  isOutOfReach(piece: Piece): boolean {
    return (
      piece.kind === 'sealed' ||
      (piece.kind === 'stored' && piece.source === 'base' && this.misplaced !== undefined)
    )
  }
}

function newPage(): Buffer {
  return Buffer.allocUnsafeSlow(PAGE_SIZE)
}
