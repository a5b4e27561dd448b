/** What another process uses, as proc(5) tells it. */
import { readFileSync } from 'node:fs'
import type { Bytes } from '../src/util/units.js'

/** sysconf(_SC_CLK_TCK), which is this on every Linux that Node.js runs on. */
const TICKS_PER_SECOND = 100

/** Seconds of processor time, user and system, since the process began. */
export function processorSeconds(pid: number): number {
  const [, rest = ''] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')
  const fields = rest.split(' ').map(Number)
  return ((fields[11] ?? 0) + (fields[12] ?? 0)) / TICKS_PER_SECOND
}

/** Now resident, or the most that ever was. */
export function residentBytes(pid: number, which: 'now' | 'most' = 'now'): Bytes {
  const field = which === 'now' ? /^VmRSS:\s+(\d+) kB/m : /^VmHWM:\s+(\d+) kB/m
  return Number(field.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}
