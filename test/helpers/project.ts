/** Where things of this project lie. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of package.json, seen from the compiled place of this file, dist/test/helpers. */
const PROJECT = fileURLToPath(new URL('../../..', import.meta.url))

/** The absolute path of something in the project, e.g. `src/util`. */
export function projectPath(relative: string): string {
  return join(PROJECT, relative)
}

/** The compiled file of one of the package's commands. */
export function executable(command: string): string {
  const text = readFileSync(projectPath('package.json'), 'utf8')
  const { bin } = JSON.parse(text) as { bin: Readonly<Record<string, string>> }
  const file = bin[command]
  if (file === undefined) throw new Error(`package.json has no command ${command}`)
  return projectPath(file)
}
