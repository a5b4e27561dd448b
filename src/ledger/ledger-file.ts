/**
 * A ledger in a file: what a mount leaves in the store if it is killed. See fs/core/ledger.ts for what
 * is recorded and why, recovery.ts for what becomes of it.
 *
 * Format: a line of JSON says whose ledger it is; each further line adds (`+`) or strikes (`-`) an
 * entry. A record is answered when it is on the disk (fdatasync); records that come together share one
 * sync. The file is made with the first record, so most mounts never have one, and removed at the end
 * unless something is left in it. While it exists its time is renewed: a mount that cannot be seen,
 * because it runs in another container or on another host, is known to live by that.
 */
import { open, rename, rm, utimes, writeFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Ledger, LedgerEntry } from '../fs/core/ledger.js'
import type { ProcessIdentity } from '../util/process-identity.js'
import type { Logger } from '../util/log.js'
import { MiB } from '../util/units.js'
import type { Bytes, Milliseconds } from '../util/units.js'

export interface LedgerFileOptions {
  /** Must not exist yet; its directory must. */
  file: string
  /** Which store the entries are about: a ledger is used by mounts of the same store only. */
  store: string
  owner: ProcessIdentity
  log: Logger
  /** The file is written anew when struck lines have made it this large; default 1 MiB. */
  compactAt?: Bytes
}

export interface LedgerHeader {
  readonly version: 1
  readonly store: string
  readonly owner: ProcessIdentity
}

interface Waiting {
  readonly line: string
  readonly settle: (error?: unknown) => void
}

/** How often the time of a ledger is renewed. */
export const RENEWAL: Milliseconds = 10 * 60_000

export class LedgerFile implements Ledger {
  readonly #options: LedgerFileOptions
  readonly #entries = new Map<string, LedgerEntry>()
  #handle: FileHandle | undefined
  #size: Bytes = 0
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined
  #renewal: NodeJS.Timeout | undefined

  constructor(options: LedgerFileOptions) {
    this.#options = options
  }

  record(entry: LedgerEntry): Promise<void> {
    const text = JSON.stringify(entry)
    this.#entries.set(text, entry)
    return new Promise((resolve, reject) => {
      this.#append(`+${text}\n`, error => (error === undefined ? resolve() : reject(error)))
    })
  }

  strike(entry: LedgerEntry): void {
    const text = JSON.stringify(entry)
    if (!this.#entries.delete(text) || this.#handle === undefined) return
    const { file, log } = this.#options
    this.#append(`-${text}\n`, error => {
      if (error !== undefined) log.warn({ file, err: error }, 'cannot strike a record')
    })
  }

  /** Removes the file, unless something is left in it for the next mount. */
  async close(): Promise<void> {
    await this.#writing
    clearInterval(this.#renewal)
    await this.#handle?.close()
    if (this.#handle === undefined || this.#entries.size > 0) return
    this.#handle = undefined
    await rm(this.#options.file, { force: true })
  }

  #append(line: string, settle: Waiting['settle']): void {
    this.#waiting.push({ line, settle })
    this.#writing ??= this.#write()
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      const error = await this.#writeBatch(batch).then(
        () => undefined,
        (failure: unknown) => failure ?? new Error('unknown'),
      )
      for (const { settle } of batch) settle(error)
    }
    // At once: what comes after the last look must begin anew.
    this.#writing = undefined
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    const handle = this.#handle ?? (await this.#create())
    const text = Buffer.from(batch.map(({ line }) => line).join(''))
    await handle.appendFile(text)
    this.#size += text.length
    if (batch.some(({ line }) => line.startsWith('+'))) await handle.datasync()
    const limit = this.#options.compactAt ?? MiB
    // A ledger that is full of things that are still there is left alone.
    if (this.#size > limit && this.#size > 4 * this.#text().length) await this.#compact()
  }

  async #create(): Promise<FileHandle> {
    const { file } = this.#options
    const header = `${this.#header()}\n`
    const handle = await open(file, 'ax', 0o600)
    await handle.appendFile(header)
    await handle.datasync()
    await syncDirectory(dirname(file))
    this.#handle = handle
    this.#size = header.length
    this.#renewal = setInterval(() => this.#renew(), RENEWAL).unref()
    return handle
  }

  #renew(): void {
    const { file, log } = this.#options
    const now = new Date()
    utimes(file, now, now).catch((error: unknown) => {
      log.warn({ file, err: error }, 'cannot renew the ledger')
    })
  }

  async #compact(): Promise<void> {
    const { file } = this.#options
    const text = this.#text()
    const draft = `${file}.new`
    await writeFile(draft, text, { mode: 0o600, flush: true })
    const handle = await open(draft, 'a')
    await rename(draft, file)
    await syncDirectory(dirname(file))
    await this.#handle?.close()
    this.#handle = handle
    this.#size = text.length
  }

  #text(): string {
    return [this.#header(), ...[...this.#entries.keys()].map(text => `+${text}`), ''].join('\n')
  }

  #header(): string {
    const { store, owner } = this.#options
    const header: LedgerHeader = { version: 1, store, owner }
    return JSON.stringify(header)
  }
}

/** What a ledger's text says; lines that were cut off, or that this version does not know, say nothing. */
export function readLedger(
  text: string,
): { readonly header: LedgerHeader; readonly entries: readonly LedgerEntry[] } | undefined {
  const [first = '', ...lines] = text.split('\n')
  const header = parse(first) as Partial<LedgerHeader> | undefined
  if (header?.version !== 1 || header.store === undefined || header.owner === undefined) {
    return undefined
  }
  const entries = new Map<string, LedgerEntry>()
  for (const line of lines) {
    const entry = parse(line.slice(1)) as LedgerEntry | undefined
    if (entry === undefined) continue
    if (line.startsWith('+')) entries.set(line.slice(1), entry)
    else entries.delete(line.slice(1))
  }
  return {
    header: { version: 1, store: header.store, owner: header.owner },
    entries: [...entries.values()],
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
