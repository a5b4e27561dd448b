/**
 * The data files: immutable once written, named by random ids, spread over 256 directories.
 *
 * Who reads a file pins it first, in the same turn in which it looked the file up in the index; a pinned
 * file is unlinked only when the last pin goes. Open descriptors are kept for a while, so that a run of
 * ranged reads of one file opens it once.
 *
 * Durability: a file is complete in the kernel when `close` of its writer has resolved, so it survives
 * the death of the process. With `sync` it and its directory entry are on the disk by then.
 *
 * This file knows nothing of objects: which ids are alive is the index's business.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { open, readdir, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bytes } from '../util/units.js'

export interface DataFilesOptions {
  readonly directory: string
  /** fsync before a writer's close resolves. */
  readonly sync: boolean
}

/** Descriptors that stay open while nobody reads. */
const MAX_IDLE = 128

interface OpenFile {
  readonly handle: Promise<FileHandle>
  users: number
}

interface PinState {
  pins: number
  doomed: boolean
}

export interface DataFileWriter {
  readonly id: string
  write(chunks: readonly Uint8Array[]): Promise<void>
  /** Ends the file. */
  close(): Promise<void>
  /** Removes the file. */
  discard(): Promise<void>
}

export class DataFiles {
  readonly #directory: string
  readonly #sync: boolean
  readonly #pinned = new Map<string, PinState>()
  /** Insertion order is order of last use. */
  readonly #open = new Map<string, OpenFile>()
  #leftovers = false

  constructor(options: DataFilesOptions) {
    this.#directory = options.directory
    this.#sync = options.sync
    for (let index = 0; index < 256; index += 1) {
      mkdirSync(join(this.#directory, shard(index)), { recursive: true, mode: 0o700 })
    }
    if (this.#sync) {
      const fd = openSync(this.#directory, 'r')
      fsyncSync(fd)
      closeSync(fd)
    }
  }

  /** Files may remain that nothing refers to: a sweep is due. */
  get hasLeftovers(): boolean {
    return this.#leftovers
  }

  /** Says of files that they may not be needed, when that cannot be known now. */
  leave(ids: readonly string[]): void {
    if (ids.length > 0) this.#leftovers = true
  }

  /** Starts a file that nothing refers to yet. */
  async create(): Promise<DataFileWriter> {
    const id = newDataId()
    const handle = await open(this.#path(id), 'wx', 0o600)
    return {
      id,
      write: chunks => writeAll(handle, chunks),
      close: async () => {
        if (this.#sync) await handle.datasync()
        await handle.close()
        if (this.#sync) await syncDirectory(join(this.#directory, id.slice(0, 2)))
      },
      discard: async () => {
        await handle.close().catch(() => undefined)
        await this.remove([id])
      },
    }
  }

  /** Keeps files from being unlinked until `unpin`. */
  pin(ids: readonly string[]): void {
    for (const id of ids) {
      const state = this.#pinned.get(id)
      if (state === undefined) this.#pinned.set(id, { pins: 1, doomed: false })
      else state.pins += 1
    }
  }

  async unpin(ids: readonly string[]): Promise<void> {
    const doomed: string[] = []
    for (const id of ids) {
      const state = this.#pinned.get(id)
      if (state === undefined) continue
      state.pins -= 1
      if (state.pins > 0) continue
      this.#pinned.delete(id)
      if (state.doomed) doomed.push(id)
    }
    await this.remove(doomed)
  }

  /** Unlinks files, pinned ones later. A file that cannot be unlinked is left to the next sweep. */
  async remove(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const state = this.#pinned.get(id)
      if (state !== undefined) {
        state.doomed = true
        continue
      }
      await this.#forget(id)
      await unlink(this.#path(id)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') this.leave([id])
      })
    }
  }

  /** Gives `use` the descriptor of a pinned file. */
  async withFile<Result>(id: string, use: (fd: number) => Promise<Result>): Promise<Result> {
    const file = this.#open.get(id) ?? { handle: open(this.#path(id), 'r'), users: 0 }
    this.#open.delete(id)
    this.#open.set(id, file)
    file.users += 1
    try {
      const handle = await file.handle
      return await use(handle.fd)
    } catch (error) {
      if (this.#open.get(id) === file && (await isBroken(file))) this.#open.delete(id)
      throw error
    } finally {
      file.users -= 1
      await this.#trim()
    }
  }

  /** Removes every file that `isAlive` does not know, before anything is read. @returns how many */
  async sweep(isAlive: (id: string) => boolean): Promise<number> {
    let removed = 0
    for (let index = 0; index < 256; index += 1) {
      const directory = join(this.#directory, shard(index))
      const stale = (await readdir(directory)).filter(name => !isAlive(name))
      for (const name of stale) await unlink(join(directory, name))
      removed += stale.length
    }
    return removed
  }

  async close(): Promise<void> {
    for (const id of Array.from(this.#open.keys())) await this.#forget(id)
  }

  async #trim(): Promise<void> {
    if (this.#open.size <= MAX_IDLE) return
    for (const [id, file] of this.#open) {
      if (file.users === 0) {
        await this.#forget(id)
        return
      }
    }
  }

  async #forget(id: string): Promise<void> {
    const file = this.#open.get(id)
    if (file === undefined) return
    this.#open.delete(id)
    const handle = await file.handle.catch(() => undefined)
    await handle?.close()
  }

  #path(id: string): string {
    return join(this.#directory, id.slice(0, 2), id)
  }
}

/** An id for a data file, or for data in the index: never given twice. */
export function newDataId(): string {
  return randomBytes(16).toString('hex')
}

function shard(index: number): string {
  return index.toString(16).padStart(2, '0')
}

async function isBroken(file: OpenFile): Promise<boolean> {
  return (await file.handle.catch(() => undefined)) === undefined
}

async function writeAll(handle: FileHandle, chunks: readonly Uint8Array[]): Promise<void> {
  const total = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
  const { bytesWritten } = await handle.writev([...chunks])
  if (bytesWritten === total) return
  const rest = Buffer.concat(chunks).subarray(bytesWritten)
  await handle.writeFile(rest)
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Bytes read at once when a file is sent or hashed. */
export const READ_SIZE: Bytes = 512 * 1024
