/**
 * The folder of a journal: whose it is, and that one process alone uses it.
 *
 * `journal.json` names the bucket, in the words of mount.ts; a journal of another bucket is refused. Two
 * things keep a second process out. A socket in the abstract name space (unix(7)), named after the folder,
 * which the kernel gives to one process and takes back when that dies; it does not reach into containers.
 * And the file `owner`, which names the process and is touched every few seconds: one that cannot be seen
 * from here counts as dead when it has not touched it for a minute.
 */
import { once } from 'node:events'
import { open, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { Server } from 'node:net'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from '../util/log.js'
import { makeDirectories } from '../util/directories.js'
import { livenessOf, ownIdentity } from '../util/process-identity.js'
import type { ProcessIdentity } from '../util/process-identity.js'
import type { Milliseconds } from '../util/units.js'
import { isFull, JournalError } from './errors.js'
import { syncFolder } from './sync-folder.js'

export interface FolderOptions {
  readonly folder: string
  /** Of which bucket it is. */
  readonly store: string
  readonly log: Logger
}

interface Identity {
  readonly version: 1
  readonly store: string
}

/** Names the bucket. */
export const IDENTITY = 'journal.json'
const OWNER = 'owner'
/** Permission bits that let others than the owner put something there. */
const OTHERS_WRITE = 0o022
const RENEWAL: Milliseconds = 10_000
const SILENCE: Milliseconds = 60_000

export class JournalFolder {
  readonly path: string
  readonly #server: Server
  readonly #renewal: NodeJS.Timeout

  private constructor({ folder, log }: FolderOptions, server: Server) {
    this.path = folder
    this.#server = server
    const owner = join(folder, OWNER)
    this.#renewal = setInterval(() => {
      const now = new Date()
      utimes(owner, now, now).catch((error: unknown) => {
        log.warn({ file: owner, err: error }, 'cannot renew the ownership of the journal')
      })
    }, RENEWAL).unref()
  }

  /** Makes the folder if there is none. @throws JournalError that says what to do */
  static async claim(options: FolderOptions): Promise<JournalFolder> {
    const { folder, store } = options
    makeDirectories(folder, 0o700)
    await checkOwn(folder)
    const server = await takeSocket(folder)
    try {
      await refuseOwner(folder)
      await identify(folder, store)
      await own(folder)
      await syncFolder(folder)
      return new JournalFolder(options, server)
    } catch (error) {
      server.close()
      throw error
    }
  }

  /** Gives it back. */
  async release(): Promise<void> {
    clearInterval(this.#renewal)
    await rm(join(this.path, OWNER), { force: true })
    this.#server.close()
  }
}

/** Whether a process uses the journal now. */
export async function isInUse(folder: string): Promise<boolean> {
  try {
    await refuseOwner(folder)
    return false
  } catch (error) {
    if (error instanceof JournalError) return true
    throw error
  }
}

/** What lies in it goes to the bucket: nobody else may put anything there. */
async function checkOwn(folder: string): Promise<void> {
  const stats = await stat(folder)
  if (stats.uid === (process.getuid?.() ?? 0) && (stats.mode & OTHERS_WRITE) === 0) return
  throw new JournalError(
    `${folder} belongs to another user, or others can write to it: give a --journal-dir of your own`,
  )
}

async function takeSocket(folder: string): Promise<Server> {
  const { dev, ino } = await stat(folder)
  const server = createServer(socket => socket.destroy())
  server.listen(`\0bosmount-journal-${dev}-${ino}`)
  try {
    await once(server, 'listening')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    throw inUse(folder, await readOwner(folder))
  }
  server.unref()
  return server
}

async function refuseOwner(folder: string): Promise<void> {
  const owner = await readOwner(folder)
  if (owner === undefined) return
  const self = await ownIdentity()
  if (isDeepStrictEqual(owner, self)) return
  const liveness = await livenessOf(owner, self)
  if (liveness === 'dead') return
  const { mtimeMs } = await stat(join(folder, OWNER))
  if (liveness === 'unknown' && Date.now() - mtimeMs > SILENCE) return
  throw inUse(folder, owner)
}

/** @throws JournalError if there is no room even for that */
async function own(folder: string): Promise<void> {
  const file = join(folder, OWNER)
  const text = JSON.stringify(await ownIdentity())
  try {
    await writeSafely(file, text)
  } catch (error) {
    if (!isFull(error)) throw error
    // The file that a dead process has left has room for this one.
    await writeInPlace(file, text).catch(() => {
      const options = { cause: error }
      throw new JournalError(
        `no space left for the journal ${folder}: make room on that disk`,
        options,
      )
    })
  }
}

function inUse(folder: string, owner: ProcessIdentity | undefined): JournalError {
  const who = owner === undefined ? 'another process' : `process ${owner.pid}`
  return new JournalError(
    `the journal ${folder} is used by ${who}: unmount that first, or give this mount another --journal-dir`,
  )
}

async function readOwner(folder: string): Promise<ProcessIdentity | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, OWNER), 'utf8')) as ProcessIdentity
  } catch {
    return undefined
  }
}

async function identify(folder: string, store: string): Promise<void> {
  const file = join(folder, IDENTITY)
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) {
    const identity: Identity = { version: 1, store }
    await writeSafely(file, JSON.stringify(identity))
    return
  }
  const found = parse(text)
  if (found?.version !== 1 || found.store === undefined) {
    throw new JournalError(`${file} is no journal of this version: nothing was touched`)
  }
  if (found.store === store) return
  throw new JournalError(
    `the journal ${folder} belongs to ${found.store}, not to ${store}: ` +
      'give another --journal-dir, or bring it to its bucket by bosmount recover',
  )
}

function parse(text: string): Partial<Identity> | undefined {
  try {
    return JSON.parse(text) as Partial<Identity>
  } catch {
    return undefined
  }
}

async function writeSafely(file: string, text: string): Promise<void> {
  const draft = `${file}.new`
  try {
    await writeFile(draft, text, { mode: 0o600, flush: true })
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

async function writeInPlace(file: string, text: string): Promise<void> {
  const handle = await open(file, 'r+')
  try {
    await handle.write(text, 0)
    await handle.truncate(Buffer.byteLength(text))
    await handle.sync()
  } finally {
    await handle.close()
  }
}
