/**
 * Where the bytes of one file under write come from: memory, local disk, the version that it was made
 * from, other versions that it was copied from, or zeros.
 */
import type { FileStore } from './file-store.js'
import type { ObjectId } from './object-id.js'
import type { Source } from './origins.js'
import { resident } from './pieces.js'
import type { StagingFile } from './staging.js'
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

  /** The bytes of pieces, in order. What is in memory is not copied. */
  async assemble(pieces: readonly Piece[]): Promise<Uint8Array[]> {
    const parts = await Promise.all(
      pieces.map(async piece => {
        if (piece.kind === 'staged') return [await this.#readStaged(piece)]
        if (piece.kind !== 'stored') return resident(piece)
        const object = this.objectOf(piece.source)
        const slices = await this.#store.read(object, piece.from, piece.length)
        // They are valid until the next await only, and other pieces are still being waited for.
        return slices.map(slice => Uint8Array.from(slice))
      }),
    )
    return parts.flat()
  }

  async #readStaged({ offset, length }: Piece): Promise<Uint8Array> {
    if (this.#staging === undefined) throw new Error('there is no staging file')
    return this.#staging.read(offset, length)
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
