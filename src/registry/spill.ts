/**
 * Records about digests, too many for memory: written to one file for each prefix of digests, and read
 * back one prefix at a time, so that memory holds a 256th of them.
 *
 * A record is a line `HEX NUMBER NUMBER`. A line that was cut off, by a process that was killed, is left
 * out when it is read; whoever goes on writes the records of the interrupted piece of work again.
 */
import { appendFile, mkdir, readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { prefixName, prefixOf } from './layout.js'
import type { BlobPrefix, Digest } from './layout.js'

export interface SpillRecord {
  readonly digest: Digest
  /** What it is about, e.g. the number of a repository. */
  readonly owner: number
  readonly size: number
}

/** Characters in memory before they go to their files. */
const FLUSH_AT = 1 << 20

export class Spill {
  readonly #folder: string
  readonly #pending = new Map<string, string[]>()
  #length = 0
  #writing: Promise<void> = Promise.resolve()

  /** @param folder  made if it is not there; records in it are kept */
  constructor(folder: string) {
    this.#folder = folder
  }

  async add(record: SpillRecord): Promise<void> {
    const name = fileName(prefixOf(record.digest))
    const line = `${record.digest.split(':')[1] ?? ''} ${record.owner} ${record.size}\n`
    const lines = this.#pending.get(name) ?? []
    lines.push(line)
    this.#pending.set(name, lines)
    this.#length += line.length
    if (this.#length > FLUSH_AT) await this.flush()
  }

  /** Resolves when all that was added is in its files. */
  async flush(): Promise<void> {
    const pending = [...this.#pending]
    this.#pending.clear()
    this.#length = 0
    this.#writing = this.#writing.then(async () => {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 })
      // A first newline ends a line that an earlier process could not finish.
      for (const [name, lines] of pending) {
        await appendFile(join(this.#folder, name), `\n${lines.join('')}`, { mode: 0o600 })
      }
    })
    await this.#writing
  }

  /** Prefixes that have records. */
  async prefixes(): Promise<BlobPrefix[]> {
    await this.flush()
    return (await readdir(this.#folder)).flatMap(name => {
      const [algorithm = '', digits = '', rest] = name.split('-')
      return rest === undefined && digits.length === 2 ? [{ algorithm, digits }] : []
    })
  }

  /** The records of one prefix, duplicates included. */
  async read(prefix: BlobPrefix): Promise<SpillRecord[]> {
    const records: SpillRecord[] = []
    for (const line of (await this.#text(prefix)).split('\n')) {
      const match = /^([\da-f]+) (\d+) (\d+)$/.exec(line)
      if (match === null) continue
      const digest = `${prefix.algorithm}:${match[1] ?? ''}`
      records.push({ digest, owner: Number(match[2]), size: Number(match[3]) })
    }
    return records
  }

  async #text(prefix: BlobPrefix): Promise<string> {
    await this.flush()
    try {
      const text = await readFile(join(this.#folder, fileName(prefix)), 'latin1')
      return text.slice(0, text.lastIndexOf('\n') + 1)
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
      throw error
    }
  }
}

function fileName(prefix: BlobPrefix): string {
  return prefixName(prefix).replace('/', '-')
}
