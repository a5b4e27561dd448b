/**
 * How far the kernel reads ahead on a mount. What INIT agrees on is bounded by the kernel's default of
 * 128 KiB, an eighth of what one request can carry; only root may raise it, through sysfs.
 *
 * Nothing here touches the mount: the device number is looked up in the table of mounts.
 *
 * @see Linux, Documentation/ABI/testing/sysfs-class-bdi
 */
import { readFile, writeFile } from 'node:fs/promises'
import type { Bytes } from '../../util/units.js'

/** Undoes the octal escapes of /proc/self/mountinfo. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}

/**
 * The device number, MAJOR:MINOR, of what is mounted on a path, of the last of several.
 * @param mountinfo  as in /proc/self/mountinfo, one character per byte
 */
export function deviceOf(mountinfo: string, path: string): string | undefined {
  const bytes = Buffer.from(path).toString('latin1')
  return mountinfo
    .split('\n')
    .map(line => line.split(' '))
    .findLast(([, , , , mountpoint = '']) => unescape(mountpoint) === bytes)?.[2]
}

/** Raises it if that is allowed. @returns whether it was */
export async function raiseReadahead(mountpoint: string, readahead: Bytes): Promise<boolean> {
  try {
    const device = deviceOf(await readFile('/proc/self/mountinfo', 'latin1'), mountpoint)
    if (device === undefined) return false
    await writeFile(`/sys/class/bdi/${device}/read_ahead_kb`, String(readahead / 1024))
    return true
  } catch {
    // Not root, or sysfs is read-only as in most containers: the default holds.
    return false
  }
}
