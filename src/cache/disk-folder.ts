/**
 * The folder of the disk cache: taking it into use, for one process alone, and what lies in it.
 *
 * What keeps others out is a socket in the abstract name space of Linux, which goes when its process
 * ends, however it ends.
 *
 * Files lie in folders by the first two digits of their names. What each holds is told in block-file.ts.
 */
import { createHash } from 'node:crypto'
import { chmod, readdir, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { makeDirectories } from '../util/directories.js'
import { forEachParallel } from '../util/semaphore.js'
import type { Bytes, Milliseconds } from '../util/units.js'

/** A file that an earlier process has left. */
export interface FileLeft {
  /** Its name. */
  readonly id: string
  readonly size: Bytes
  /** When its last use was noted, in the time of the file system. */
  readonly used: Milliseconds
}

/** Folders that are looked through at once. */
const FOLDERS = 16

/** Where the file of a block lies. */
export function placeOf(directory: string, id: string): string {
  return join(directory, id.slice(0, 2), id)
}

/**
 * Makes the folder, for its owner alone, if it is not there, and keeps other processes out of it.
 * @returns what does that, until it is closed
 * @throws Error that says what to do: another process uses it, or it cannot be used at all
 */
export async function takeFolder(directory: string): Promise<Server> {
  makeDirectories(directory, 0o700)
  const { uid, mode } = await stat(directory)
  if (process.getuid !== undefined && uid !== process.getuid()) {
    throw new Error(`cache-dir: ${directory} belongs to another user; give a folder of your own`)
  }
  if ((mode & 0o077) !== 0) await chmod(directory, 0o700)
  return await lock(directory)
}

/** All files of blocks, the least recently used first. */
export async function filesLeft(directory: string): Promise<readonly FileLeft[]> {
  const found: FileLeft[] = []
  const folders = (await readdir(directory)).filter(name => /^[0-9a-f]{2}$/.test(name))
  const look = async (folder: string): Promise<void> => {
    for (const id of await readdir(join(directory, folder))) {
      const { size, mtimeMs } = await stat(join(directory, folder, id))
      found.push({ id, size, used: mtimeMs })
    }
  }
  await forEachParallel(folders, look, { limit: FOLDERS })
  return found.toSorted((a, b) => a.used - b.used)
}

/** Keeps other processes out of a folder. @throws Error */
async function lock(directory: string): Promise<Server> {
  // By what it is, not by how it is called: a link leads to the same folder.
  const { dev, ino } = await stat(directory)
  const name = createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 32)
  const server = createServer(socket => socket.destroy())
  await new Promise<void>((listening, failed) => {
    server.once('error', failed)
    server.listen({ path: `\0bosmount-cache-${name}` }, listening)
  }).catch((error: unknown) => {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    if (!isTaken) throw error
    throw new Error(
      `cache-dir: ${directory} is in use by another mount; give each mount a folder of its own`,
      { cause: error },
    )
  })
  return server.unref()
}
