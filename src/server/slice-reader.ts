/**
 * Reads runs of slices from data files in large pieces, into buffers that are used again: to send them,
 * or to hash them.
 */
import { read } from 'node:fs'
import { KiB, type Bytes } from '../util/units.js'
import { READ_SIZE, type DataFiles } from './data-files.js'
import type { Slice } from './store.js'

/** Up to this size a body is read into a buffer of its own, at once. */
const SMALL: Bytes = 64 * KiB
/** Free buffers kept for the next reader. */
const MAX_FREE = 16

export class SliceReader {
  readonly #files: DataFiles
  readonly #free: Buffer[] = []

  constructor(files: DataFiles) {
    this.#files = files
  }

  /**
   * Hands the bytes of pinned slices to `use`, piece by piece and in order; while `use` works on a
   * piece the next one is being read. A piece is only valid until its promise has resolved.
   */
  async forEachPiece(
    slices: readonly Slice[],
    use: (piece: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const pieces = cutPieces(slices)
    const size = pieces.reduce((most, piece) => Math.max(most, fileBytes(piece)), 0)
    const buffers = [this.#take(size), this.#take(pieces.length > 1 ? size : 0)]
    let using = Promise.resolve()
    for (const [index, piece] of pieces.entries()) {
      const target = (buffers[index % 2] ?? Buffer.alloc(0)).subarray(0, fileBytes(piece))
      const [bytes] = await Promise.all([this.#read(piece, target), using])
      using = use(bytes)
      // Awaited in the next round; its failure must not count as unhandled until then.
      using.catch(() => undefined)
    }
    await using
    for (const buffer of buffers) this.#give(buffer)
  }

  async #read(piece: Slice, target: Buffer): Promise<Uint8Array> {
    const { bytes, offset } = piece
    if (bytes !== undefined) return bytes.subarray(offset, offset + piece.length)
    await this.#files.withFile(piece.file, async fd => {
      let done = 0
      while (done < target.length) {
        const count = await readOnce(fd, target.subarray(done), offset + done)
        if (count === 0) throw new Error(`data file ${piece.file} is shorter than recorded`)
        done += count
      }
    })
    return target
  }

  #take(size: Bytes): Buffer {
    if (size <= SMALL) return Buffer.allocUnsafe(size)
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(READ_SIZE)
  }

  #give(buffer: Buffer): void {
    if (buffer.length === READ_SIZE && this.#free.length < MAX_FREE) this.#free.push(buffer)
  }
}

/** Bytes that a piece needs a buffer for. */
function fileBytes(piece: Slice): Bytes {
  return piece.bytes === undefined ? piece.length : 0
}

function cutPieces(slices: readonly Slice[]): Slice[] {
  const pieces: Slice[] = []
  for (const slice of slices) {
    const { offset, length } = slice
    for (let at = 0; at < length; at += READ_SIZE) {
      pieces.push({ ...slice, offset: offset + at, length: Math.min(READ_SIZE, length - at) })
    }
  }
  return pieces
}

async function readOnce(fd: number, target: Buffer, position: Bytes): Promise<number> {
  return await new Promise((resolve, reject) => {
    read(fd, target, 0, target.length, position, (error, bytes) => {
      if (error === null) resolve(bytes)
      else reject(error)
    })
  })
}
