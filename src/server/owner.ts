/**
 * Which process owns a data directory. A process id alone may have been given to another process since,
 * so the time at which the process started goes with it, and the boot that both belong to.
 *
 * Processes in separate pid namespaces cannot see each other: two containers that share a data
 * directory are not told apart from a restart.
 */
import { readFileSync } from 'node:fs'

export interface Owner {
  readonly pid: number
  /** Clock ticks after boot; empty where the system does not tell. */
  readonly started: string
  readonly boot: string
}

export function currentOwner(): Owner {
  return { pid: process.pid, started: startOf(process.pid), boot: bootId() }
}

/** Whether the process that wrote this record still runs. */
export function isOwnerAlive(owner: Owner): boolean {
  if (owner.boot !== bootId() || !isRunning(owner.pid)) return false
  return startOf(owner.pid) === owner.started
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Field 22 of proc(5) stat; the second field may contain spaces and parentheses. */
function startOf(pid: number): string {
  const stat = readOptional(`/proc/${pid}/stat`)
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

function bootId(): string {
  return readOptional('/proc/sys/kernel/random/boot_id').trim()
}

function readOptional(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
