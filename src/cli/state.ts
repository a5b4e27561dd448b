/**
 * One small file per mount of this user, so that `bosmount umount` finds the process that serves a
 * mount point and can wait until it has brought everything to BOS.
 *
 * A record is believed only while a process of its number and start time lives: numbers come again.
 */
import { createHash } from 'node:crypto'
import { lstat, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '../util/log.js'
import { makeDirectories } from '../util/directories.js'
import { startOf } from '../util/process-identity.js'
import { CommandError } from './errors.js'

export interface MountRecord {
  readonly pid: number
  /** Start of the process in clock ticks since boot: field 22 of /proc/PID/stat (proc(5)). */
  readonly started: string
  readonly mountpoint: string
  readonly source: string
  readonly logFile?: string
  /** Why the process ended with something left to flush. */
  readonly failure?: string
}

/** For the user's own eyes: /run for root, the user's runtime directory, or one below /tmp. */
export function stateDirectory(): string {
  const uid = process.getuid?.() ?? 0
  if (uid === 0) return '/run/bosmount'
  const runtime = process.env['XDG_RUNTIME_DIR']
  return runtime === undefined || runtime === ''
    ? `/tmp/bosmount-${uid}`
    : join(runtime, 'bosmount')
}

/**
 * What must outlive a reboot: the XDG base directory for state if one is set, /var/lib for root, or the
 * one below the home directory (XDG Base Directory Specification).
 */
function keptDirectory(): string {
  const state = process.env['XDG_STATE_HOME']
  if (state !== undefined && state !== '') return join(state, 'bosmount')
  return process.getuid?.() === 0 ? '/var/lib/bosmount' : join(homedir(), '.local/state/bosmount')
}

/**
 * Makes the directory of the ledgers (src/ledger).
 *
 * @returns undefined, and says so in the log, if none can be made
 */
export async function prepareLedgerDirectory(log: Logger): Promise<string | undefined> {
  const directory = join(keptDirectory(), 'ledgers')
  try {
    makeDirectories(directory, 0o700)
    await checkOwn(directory)
    return directory
  } catch (error) {
    const consequence = 'what this mount leaves in the bucket if it is killed will stay there'
    log.warn({ directory, err: error }, `no place to note unfinished work: ${consequence}`)
    return undefined
  }
}

/** The folder of journals (src/journal), each in one of its own. */
export function journalsDirectory(): string {
  return join(keptDirectory(), 'journals')
}

/** Permission bits that let others than the owner put something there. */
const OTHERS_WRITE = 0o022

/**
 * Makes the directory. One below /tmp may have been put there by somebody else, with links in it that
 * lead to files of this user: it is not written to.
 *
 * @throws CommandError unless it belongs to this user alone
 */
export async function prepareStateDirectory(): Promise<void> {
  const directory = stateDirectory()
  makeDirectories(directory, 0o700)
  await checkOwn(directory)
}

async function checkOwn(directory: string): Promise<void> {
  const stats = await lstat(directory)
  const isOwn = stats.isDirectory() && stats.uid === (process.getuid?.() ?? 0)
  if (isOwn && (stats.mode & OTHERS_WRITE) === 0) return
  throw new CommandError(
    `${directory} can be written to by others: remove it, or set XDG_RUNTIME_DIR (XDG_STATE_HOME) to a directory of your own`,
  )
}

/** Says that this process serves a mount point. Records of others that died without a failure to tell go. */
export async function writeRecord(record: Omit<MountRecord, 'pid' | 'started'>): Promise<void> {
  await prepareStateDirectory()
  await prune()
  const started = (await startOf(process.pid)) ?? ''
  const text = JSON.stringify({ pid: process.pid, started, ...record })
  await writeFile(fileOf(record.mountpoint), text, { mode: 0o600 })
}

export async function removeRecord(mountpoint: string): Promise<void> {
  await rm(fileOf(mountpoint), { force: true })
}

/** The record of a mount point, whether its process lives or not. */
export function readRecord(mountpoint: string): Promise<MountRecord | undefined> {
  return read(fileOf(mountpoint))
}

async function read(file: string): Promise<MountRecord | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as MountRecord
  } catch {
    // None, or one that was cut off while it was written: the mount can be found without it.
    return undefined
  }
}

/** Whether the process that wrote the record still runs. */
export async function isAlive(record: MountRecord): Promise<boolean> {
  return (await startOf(record.pid)) === record.started
}

/**
 * Removes the records of processes that were killed, who could not do it themselves, and sockets that
 * have no record: a mount writes its record first and removes it last but for the socket.
 */
async function prune(): Promise<void> {
  const names = new Set(await readdir(stateDirectory()))
  for (const name of names) {
    if (name.endsWith('.sock') && !names.has(name.replace(/\.sock$/, '.json'))) {
      await rm(join(stateDirectory(), name), { force: true })
    }
    if (!name.endsWith('.json')) continue
    const record = await read(join(stateDirectory(), name))
    if (record === undefined || record.failure !== undefined || (await isAlive(record))) continue
    await rm(join(stateDirectory(), name), { force: true })
    await rm(socketOf(record.mountpoint), { force: true })
  }
}

/** All records of this user, those of mounts that have ended badly included. */
export async function listRecords(): Promise<MountRecord[]> {
  const directory = stateDirectory()
  const names = await readdir(directory).catch(() => [])
  const records: MountRecord[] = []
  for (const name of names.filter(each => each.endsWith('.json')).sort()) {
    const record = await read(join(directory, name))
    if (record !== undefined) records.push(record)
  }
  return records
}

/** The socket by which the process that serves a mount point is spoken to. */
export function socketOf(mountpoint: string): string {
  return join(stateDirectory(), `${idOf(mountpoint)}.sock`)
}

function fileOf(mountpoint: string): string {
  return join(stateDirectory(), `${idOf(mountpoint)}.json`)
}

function idOf(mountpoint: string): string {
  return createHash('sha256').update(mountpoint).digest('hex').slice(0, 16)
}
