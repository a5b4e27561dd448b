/**
 * Patterns of driver paths, as a shell has them: `*` and `?` within a name, `[a-z]` and `[!a-z]`,
 * `**` for any number of directories, a backslash before a character that is meant. A leading dot
 * must be written. Only directories that a pattern leads to are listed.
 */
import type { FileInfo, StorageDriver } from '../../driver/driver.js'
import { PathNotFoundError } from '../../driver/errors.js'
import { baseName, childPath } from '../../driver/path.js'
import { compareUtf8 } from '../../util/utf8.js'

type Source = Pick<StorageDriver, 'entries' | 'stat'>

/** Whether the text has anything that is not taken as it is. */
export function isPattern(path: string): boolean {
  return /[*?[\\]/.test(path)
}

/**
 * What matches, in byte order of the names. A path that is no pattern must exist.
 *
 * @throws PathNotFoundError
 */
export async function* expand(
  driver: Source,
  pattern: string,
  signal: AbortSignal,
): AsyncGenerator<FileInfo> {
  if (!isPattern(pattern)) {
    yield await driver.stat(pattern, { signal })
    return
  }
  const components = pattern.split('/').filter(component => component !== '')
  yield* below(driver, '/', { components, signal })
}

interface Rest {
  readonly components: readonly string[]
  readonly signal: AbortSignal
}

async function* below(driver: Source, at: string, rest: Rest): AsyncGenerator<FileInfo> {
  const { components, signal } = rest
  const literal = components.findIndex(isPattern)
  const plain = components.slice(0, literal < 0 ? components.length : literal)
  const directory = plain.reduce(childPath, at)
  if (literal < 0) {
    const found = await existing(driver, directory, signal)
    if (found !== undefined) yield found
    return
  }
  const [component = '', ...after] = components.slice(literal)
  const children = await list(driver, directory, signal)
  if (component === '**') {
    yield* anyDepth(driver, {
      directory,
      children,
      after,
      components: components.slice(literal),
      signal,
    })
    return
  }
  const matches = matcher(component)
  for (const child of children) {
    if (!matches(baseName(child.path))) continue
    if (after.length === 0) yield child
    else if (child.isDir) yield* below(driver, child.path, { components: after, signal })
  }
}

interface AnyDepth extends Rest {
  readonly directory: string
  readonly children: readonly FileInfo[]
  /** What follows `**`. */
  readonly after: readonly string[]
}

async function* anyDepth(driver: Source, rest: AnyDepth): AsyncGenerator<FileInfo> {
  const { directory, children, after, components, signal } = rest
  if (after.length > 0) yield* below(driver, directory, { components: after, signal })
  for (const child of children) {
    if (baseName(child.path).startsWith('.')) continue
    if (after.length === 0) yield child
    if (child.isDir) yield* below(driver, child.path, { components, signal })
  }
}

async function list(driver: Source, path: string, signal: AbortSignal): Promise<FileInfo[]> {
  const found: FileInfo[] = []
  for await (const { entries } of driver.entries(path, { signal })) found.push(...entries)
  return found.sort((a, b) => compareUtf8(a.path, b.path))
}

async function existing(
  driver: Source,
  path: string,
  signal: AbortSignal,
): Promise<FileInfo | undefined> {
  try {
    return await driver.stat(path, { signal })
  } catch (error) {
    if (error instanceof PathNotFoundError) return undefined
    throw error
  }
}

/** Tells whether a name matches one component of a pattern. */
export function matcher(component: string): (name: string) => boolean {
  let source = ''
  for (let i = 0; i < component.length; i += 1) {
    const character = component.charAt(i)
    const set = character === '[' ? /^\[([!^]?)(\]?[^\]]*)\]/.exec(component.slice(i)) : null
    if (character === '*') source += '.*'
    else if (character === '?') source += '.'
    else if (set !== null) {
      source += `[${set[1] === '' ? '' : '^'}${(set[2] ?? '').replaceAll(/[\\\]^[]/g, String.raw`\$&`)}]`
      i += set[0].length - 1
    } else {
      const isEscape = character === '\\' && i + 1 < component.length
      if (isEscape) i += 1
      source += component.charAt(i).replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)
    }
  }
  const expression = expressionOf(source)
  const dotIsMeant = /^\\?\./.test(component)
  return name => expression.test(name) && (dotIsMeant || !name.startsWith('.'))
}

/** A set that is none, such as `[z-a]`, matches nothing. */
function expressionOf(source: string): RegExp {
  try {
    return new RegExp(`^${source}$`, 'su')
  } catch {
    return /^\b$/
  }
}
