/**
 * Who a process is, such that others can tell later whether it still runs. Process numbers come again,
 * and mean nothing in another container or on another host.
 */
import { readFile, readlink } from 'node:fs/promises'
import { hostname } from 'node:os'

export interface ProcessIdentity {
  /** Of the machine and its name; the same after a reboot. */
  readonly host: string
  /** Of the boot: /proc/sys/kernel/random/boot_id (random(4)). */
  readonly boot: string
  /** Of the process numbers: pid_namespaces(7). */
  readonly namespace: string
  readonly pid: number
  /** Start of the process in clock ticks since boot: field 22 of /proc/PID/stat (proc(5)). */
  readonly started: string
}

/** Whether another process runs: not always can that be known from here. */
export type Liveness = 'alive' | 'dead' | 'unknown'

/** This process. */
export async function ownIdentity(): Promise<ProcessIdentity> {
  const [machine, boot, namespace, started] = await Promise.all([
    text('/etc/machine-id'),
    text('/proc/sys/kernel/random/boot_id'),
    readlink('/proc/self/ns/pid').catch(() => ''),
    startOf(process.pid),
  ])
  const host = `${hostname()} ${machine}`
  return { host, boot, namespace, pid: process.pid, started: started ?? '' }
}

/** Whether the process `other` runs, as far as `self` can see. */
export async function livenessOf(other: ProcessIdentity, self: ProcessIdentity): Promise<Liveness> {
  if (other.host !== self.host) return 'unknown'
  if (other.boot !== self.boot) return 'dead'
  if (other.namespace !== self.namespace) return 'unknown'
  return (await startOf(other.pid)) === other.started ? 'alive' : 'dead'
}

/**
 * When a process started, in clock ticks since boot; undefined if none of this number runs. One that
 * has ended keeps its number until its parent asks for the exit code, for seconds under some parents.
 */
export async function startOf(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
    // The command name, in parentheses, may hold spaces; field 3 follows it.
    const [state = '', ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return ENDED.includes(state) ? undefined : fields[18]
  } catch {
    return undefined
  }
}

/** Zombie and dead: field 3 of /proc/PID/stat. */
const ENDED = ['Z', 'X', 'x']

async function text(file: string): Promise<string> {
  return (await readFile(file, 'utf8').catch(() => '')).trim()
}
