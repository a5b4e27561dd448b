/**
 * Whether the thread that waits for an answer has been told to end. FUSE says that a signal has come, not
 * which; proc(5) shows what is pending until the thread is back from its call.
 */
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'

/** With these somebody ends a program. A signal that is fatal shows as SIGKILL as well. */
const ENDING = (['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGKILL', 'SIGTERM'] as const)
  .map(name => 1n << BigInt(constants.signals[name] - 1))
  .reduce((mask, bit) => mask | bit)

/**
 * @param thread  number of the thread, as requests have it: 0 if it is in another container
 * @returns also true where that cannot be seen: a program must not hang that cannot be looked at
 */
export function isEnding(thread: number): boolean {
  try {
    return isEndingBy(readFileSync(`/proc/${thread}/status`, 'latin1'))
  } catch {
    return true
  }
}

/** @param status  the content of /proc/THREAD/status */
export function isEndingBy(status: string): boolean {
  const [own, shared, blocked, ignored] = ['SigPnd', 'ShdPnd', 'SigBlk', 'SigIgn'].map(name => {
    const [, digits] = new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status) ?? []
    return digits === undefined ? undefined : BigInt(`0x${digits}`)
  })
  if (own === undefined || shared === undefined) return true
  return ((own | shared) & ENDING & ~((blocked ?? 0n) | (ignored ?? 0n))) !== 0n
}
