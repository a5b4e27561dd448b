/** Where things of this project lie. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of package.json, seen from the compiled place of this file, dist/test/helpers. */
const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))

/** The absolute path of something in the project, e.g. `src/util`. */
export function projectPath(relative: string): string {
  return join(PROJECT, relative)
}
