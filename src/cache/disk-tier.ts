/**
 * Reads through the disk cache: what is on disk is not asked for, and what was asked for is put there.
 *
 * A block is known by what it is read from (bucket and root), path, version, place and length. A version
 * is named by its etag, and an etag never comes back with other bytes; so nothing needs to be asked to
 * believe a block, and the blocks of a version that is replaced are never asked for again.
 */
import { createHash } from 'node:crypto'
import type { ReadIntoOptions, ReadIntoResult, StorageDriver } from '../driver/driver.js'
import type { Bytes } from '../util/units.js'
import type { DiskCache } from './disk-cache.js'

type Reader = Pick<StorageDriver, 'readInto'>

interface Piece {
  readonly target: Uint8Array
  readonly offset: Bytes
  readonly id: string
}

/**
 * A reader that asks `inner` only for what is not on disk. Each target is one block.
 *
 * @param source what tells one bucket from another
 */
export function readThroughDisk(inner: Reader, disk: DiskCache, source: string): Reader {
  return {
    readInto: async (path, target, options = {}) => {
      const { etag } = options
      if (etag === undefined || disk.isOff) return await inner.readInto(path, target, options)
      let position = options.offset ?? 0
      const pieces = (target instanceof Uint8Array ? [target] : target).map((each): Piece => {
        const offset = position
        position += each.length
        const id = idOf([source, path, etag, offset, each.length])
        return { target: each, offset, id }
      })
      const read = new DiskRead(inner, disk, { path, etag, options })
      return await read.run(pieces)
    },
  }
}

interface What {
  readonly path: string
  readonly etag: string
  readonly options: ReadIntoOptions
}

class DiskRead {
  readonly #inner: Reader
  readonly #disk: DiskCache
  readonly #what: What

  constructor(inner: Reader, disk: DiskCache, what: What) {
    this.#inner = inner
    this.#disk = disk
    this.#what = what
  }

  async run(pieces: readonly Piece[]): Promise<ReadIntoResult> {
    const { etag, options } = this.#what
    let size: Bytes | undefined
    let bytesRead = 0
    let missing: Piece[] = []
    const fetchMissing = async (): Promise<void> => {
      if (missing.length === 0) return
      const run = missing
      missing = []
      const result = await this.#fetch(run)
      size = result.size
      bytesRead += result.bytesRead
    }
    for (const piece of pieces) {
      const stored = await this.#disk.read(piece.id, ({ data, fileSize }) => {
        if (data.length !== piece.target.length) return undefined
        piece.target.set(data)
        return fileSize
      })
      options.signal?.throwIfAborted()
      if (stored === undefined) {
        missing.push(piece)
        continue
      }
      await fetchMissing()
      size = stored
      bytesRead += piece.target.length
      options.filled?.(piece.target)
    }
    await fetchMissing()
    return { bytesRead, size: size ?? 0, etag }
  }

  /** Neighbours, by one request. */
  async #fetch(run: readonly Piece[]): Promise<ReadIntoResult> {
    const { path, options } = this.#what
    const waiting = new Map(run.map(piece => [piece.target, piece]))
    // Once told of, a target may be used for something else at any time: what it holds is kept before.
    const kept: (readonly [Piece, Buffer])[] = []
    const filled = (target: Uint8Array): void => {
      const piece = waiting.get(target)
      waiting.delete(target)
      if (piece !== undefined) kept.push([piece, Buffer.from(target)])
      options.filled?.(target)
    }
    const targets = run.map(({ target }) => target)
    const result = await this.#inner.readInto(path, targets, {
      ...options,
      offset: run[0]?.offset ?? 0,
      filled,
    })
    const end = (run[0]?.offset ?? 0) + result.bytesRead
    for (const piece of waiting.values()) {
      const { offset, target, id } = piece
      if (offset + target.length <= end) this.#disk.write(id, target, result.size)
    }
    for (const [{ id }, data] of kept) this.#disk.write(id, data, result.size)
    return result
  }
}

function idOf(parts: readonly (string | number)[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex')
}
