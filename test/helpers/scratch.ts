/**
 * Temporary folders that go away with the test, whatever happens in it: what is still mounted in
 * them is unmounted first, so that removing them never reaches into a bucket.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Owner } from './owner.js'
import { run } from './processes.js'

/** A new empty folder, removed when `t` ends. */
export function scratchFolder(t: Owner): string {
  const folder = mkdtempSync(join(tmpdir(), 'bosmount-'))
  t.teardown(async () => {
    for (const path of mountsBelow(folder)) await detach(path)
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

/** Mount points at or below a path, the innermost first. */
function mountsBelow(path: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => unescape(line.split(' ')[4] ?? ''))
    .filter(mountpoint => mountpoint === path || mountpoint.startsWith(`${path}/`))
    .reverse()
}

/** The kernel writes blanks and backslashes in octal. */
function unescape(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}

export function isMounted(path: string): boolean {
  return mountsBelow(path).includes(path)
}

/** Unmounts at once, open files or not. For cleaning up only: it hides what a test should see. */
async function detach(path: string): Promise<void> {
  const asRoot = process.getuid?.() === 0
  await run(asRoot ? 'umount' : 'fusermount3', [asRoot ? '-l' : '-uz', path])
}
