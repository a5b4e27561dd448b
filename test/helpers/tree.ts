/** What a folder holds, in a form that can be compared with what it should hold. */
import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** A fingerprint of the content by path; a directory that is empty has a slash at its end. */
export type Contents = Readonly<Record<string, string>>

/** Size and digest: enough to see what differs, and how. */
export function fingerprint(content: Uint8Array): string {
  const digest = createHash('sha256').update(content).digest('hex').slice(0, 16)
  return `${content.length} bytes, sha256 ${digest}…`
}

export const EMPTY_DIRECTORY = 'empty directory'

/** Reads everything below `folder`; paths begin with a slash. */
export function contentsOf(folder: string): Contents {
  return collect(folder, path => fingerprint(readFileSync(path)))
}

/** As `contentsOf`, with the sizes of files only. */
export function outlineOf(folder: string): Contents {
  return collect(folder, path => `${lstatSync(path).size} bytes`)
}

function collect(folder: string, describe: (file: string) => string): Contents {
  const found: Record<string, string> = {}
  const visit = (path: string) => {
    const entries = readdirSync(join(folder, path), { withFileTypes: true })
    if (entries.length === 0 && path !== '/') found[path] = EMPTY_DIRECTORY
    for (const entry of entries) {
      const child = `${path}${entry.name}`
      if (entry.isDirectory()) visit(`${child}/`)
      else if (entry.isSymbolicLink()) found[child] = `link to ${readlinkSync(join(folder, child))}`
      else found[child] = describe(join(folder, child))
    }
  }
  visit('/')
  return found
}
