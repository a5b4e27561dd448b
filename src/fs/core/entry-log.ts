/**
 * The entries that an open directory has listed so far, each under its index.
 *
 * Model: chunks of entries in the order in which they came; an index never changes its meaning. Only
 * the chunks used last hold what the store told of each entry; of older ones the names and kinds are
 * kept, joined in one string, which is what seekdir(3) needs and costs little more than the names
 * themselves. Of the very oldest, beyond two million names, nothing is kept.
 */
import type { FileInfo } from '../../driver/driver.js'
import { ErrnoError } from '../../util/errno.js'
import type { Milliseconds } from '../../util/units.js'

export interface ListedAt {
  /** Whatever was changed here since then is as it was changed. */
  readonly began: Milliseconds
  /** From when on it is believed. */
  seen: Milliseconds
}

export interface Listed extends ListedAt {
  readonly name: string
  readonly isDir: boolean
  /** This mount made it, and the store may not show it. */
  readonly isLocal: boolean
  /** undefined for what only this mount knows, and once the entry is old. */
  info: FileInfo | undefined
}

/** What is left of a chunk: names behind a NUL each, those of directories with a slash at their end. */
interface Packed extends ListedAt {
  readonly names: string
  readonly isLocal: boolean
}

type Chunk = Listed[] | Packed | undefined

/** Entries of a chunk. */
const CHUNK = 1024
/** Chunks that are kept as they came: a reply to the kernel holds far less than one. */
const WHOLE = 8
/** Chunks of which anything is kept. */
const KEPT = 2048

export class EntryLog {
  readonly #chunks: Chunk[] = []
  #length = 0
  /** A packed chunk that was looked at last. */
  #opened: { readonly index: number; readonly entries: readonly Listed[] } | undefined

  get length(): number {
    return this.#length
  }

  /** Whether the names of all entries are still known. */
  get isWhole(): boolean {
    return this.#chunks.length === 0 || this.#chunks[0] !== undefined
  }

  add(listed: Listed): void {
    const last = this.#chunks.at(-1)
    if (Array.isArray(last) && last.length < CHUNK) last.push(listed)
    else {
      this.#chunks.push([listed])
      this.#pack(this.#chunks.length - 1 - WHOLE)
      const forgotten = this.#chunks.length - 1 - KEPT
      if (forgotten >= 0) this.#chunks[forgotten] = undefined
    }
    this.#length += 1
  }

  /** @throws ErrnoError EINVAL for an index so old that nothing is kept of it */
  at(index: number): Listed | undefined {
    if (index >= this.#length) return undefined
    return this.#entries(Math.floor(index / CHUNK))[index % CHUNK]
  }

  /** All names that are still known. */
  *names(): Generator<string> {
    for (const chunk of this.#chunks) {
      if (chunk === undefined) continue
      for (const { name } of Array.isArray(chunk) ? chunk : unpack(chunk)) yield name
    }
  }

  #entries(index: number): readonly Listed[] {
    const chunk = this.#chunks[index]
    if (Array.isArray(chunk)) return chunk
    if (chunk === undefined)
      throw new ErrnoError('EINVAL', 'this place in the directory is too old')
    if (this.#opened?.index !== index) this.#opened = { index, entries: unpack(chunk) }
    return this.#opened.entries
  }

  #pack(index: number): void {
    const chunk = this.#chunks[index]
    if (!Array.isArray(chunk)) return
    const names = chunk.map(({ name, isDir }) => (isDir ? `${name}/` : name)).join('\0')
    const began = Math.min(...chunk.map(listed => listed.began))
    const isLocal = chunk.every(listed => listed.isLocal)
    this.#chunks[index] = { names, isLocal, began, seen: -Infinity }
  }
}

function unpack({ names, ...rest }: Packed): Listed[] {
  return names.split('\0').map(packed => {
    const isDir = packed.endsWith('/')
    const name = isDir ? packed.slice(0, -1) : packed
    return { name, isDir, info: undefined, ...rest }
  })
}
