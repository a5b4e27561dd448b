/** Directories with all that is missing above them. */
import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Makes a directory; none if it is there. Node's own `recursive` never comes back where the file system
 * answers ENOENT although the parent is there, as /proc does.
 *
 * @param mode  of the directories that are made
 * @throws the error of mkdir(2)
 */
export function makeDirectories(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && isDirectory(path)) return
    const parent = dirname(path)
    if (code !== 'ENOENT' || parent === path || isDirectory(parent)) throw error
    makeDirectories(parent, mode)
    mkdirSync(path, { mode })
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
