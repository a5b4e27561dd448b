/** What /proc/self/mounts says (proc(5)); reading it never touches a mount. */
import { readFile, realpath } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { CommandError, EXIT, explain } from './errors.js'

export interface MountEntry {
  readonly source: string
  readonly mountpoint: string
  readonly type: string
}

/** All mounts that this process can see, of any type. @see proc(5), /proc/PID/mounts */
export async function listMounts(): Promise<MountEntry[]> {
  const text = await readFile('/proc/self/mounts', 'utf8')
  return text.split('\n').flatMap(line => {
    const [source, mountpoint, type] = line.split(' ').map(unescape)
    if (source === undefined || mountpoint === undefined || type === undefined) return []
    return [{ source, mountpoint, type }]
  })
}

/** Whether anything is mounted there. @param mountpoint  as `mountpointPath` gives it */
export async function isMounted(mountpoint: string): Promise<boolean> {
  return (await listMounts()).some(entry => entry.mountpoint === mountpoint)
}

/**
 * The path under which the kernel knows a mount point. Resolves everything but the last component:
 * the mount point itself may be a dead mount.
 *
 * @throws CommandError if there is no such folder to mount in
 */
export async function mountpointPath(mountpoint: string): Promise<string> {
  const path = resolve(mountpoint)
  try {
    return join(await realpath(dirname(path)), basename(path))
  } catch (error) {
    throw new CommandError(`mount point ${path}: ${explain(error)}`, EXIT.failed, { cause: error })
  }
}

/** Blanks, tabs, newlines and backslashes are written as octal escapes. */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
