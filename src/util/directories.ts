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
  const failure = make(path, mode)
  if (failure === undefined) return
  const parent = dirname(path)
  if (failure.code !== 'ENOENT' || parent === path) throw failure
  makeDirectories(parent, mode)
  const second = make(path, mode)
  if (second !== undefined) throw second
}

/** @returns why it is not there; another process may have made it meanwhile */
function make(path: string, mode: number): NodeJS.ErrnoException | undefined {
  try {
    mkdirSync(path, { mode })
    return undefined
  } catch (error) {
    const failure = error as NodeJS.ErrnoException
    return failure.code === 'EEXIST' && isDirectory(path) ? undefined : failure
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
