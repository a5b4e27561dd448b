/** What /proc/self/mounts says (proc(5)); reading it never touches a mount. */
import { readFile } from 'node:fs/promises'

export interface MountEntry {
  readonly source: string
  readonly mountpoint: string
  readonly type: string
}

export async function listMounts(): Promise<MountEntry[]> {
  const text = await readFile('/proc/self/mounts', 'utf8')
  return text.split('\n').flatMap(line => {
    const [source, mountpoint, type] = line.split(' ').map(unescape)
    if (source === undefined || mountpoint === undefined || type === undefined) return []
    return [{ source, mountpoint, type }]
  })
}

export async function isMounted(mountpoint: string): Promise<boolean> {
  return (await listMounts()).some(entry => entry.mountpoint === mountpoint)
}

/** Blanks, tabs, newlines and backslashes are written as octal escapes. */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
