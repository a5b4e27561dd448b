/** Where journals lie, and what is in one that nobody has opened. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { IDENTITY, isInUse } from './folder.js'
import { Log } from './log.js'

/** The folder of a bucket's journal among those of others. @param store  what tells the bucket from others */
export function journalFolder(parent: string, store: string): string {
  return join(parent, createHash('sha256').update(store).digest('hex').slice(0, 16))
}

export interface Left {
  /** Changes that the store does not have. */
  readonly changes: number
  /** A process is sending them. */
  readonly isInUse: boolean
}

/** What is pending in the journal of a bucket; nothing if it is another's. @throws JournalError about damage */
export async function lookInto(folder: string, store: string): Promise<Left> {
  const nothing = { changes: 0, isInUse: false }
  const text = await readFile(join(folder, IDENTITY), 'utf8').catch(() => undefined)
  if (text === undefined || (JSON.parse(text) as { store?: unknown }).store !== store)
    return nothing
  const used = await isInUse(folder)
  const { records } = await Log.open({ folder, fileSize: 1 })
  const changes = records.filter(({ kind }) => kind !== 'upload').length
  return { changes, isInUse: used }
}
