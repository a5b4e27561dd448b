/** How much memory there is for this process. */
import { totalmem } from 'node:os'
import type { Bytes } from './units.js'

/**
 * The machine's memory, or what a cgroup (a container, a systemd unit) leaves of it. Limits that no
 * machine has stand for none.
 *
 * @param constrained  default what the kernel says of this process's cgroup; 0 and undefined are no limit
 */
export function usableMemory(
  total: Bytes = totalmem(),
  constrained: Bytes | undefined = process.constrainedMemory(),
): Bytes {
  return constrained === undefined || constrained <= 0 ? total : Math.min(total, constrained)
}
