/** Deletes. What is gone already is no trouble, except that `remove` of nothing says so. */
import { forEachParallel } from '../../util/semaphore.js'
import type { DeleteFailure, DeleteOptions, DriverOptions } from '../driver.js'
import { PathNotFoundError } from '../errors.js'
import { withoutSlash } from '../path.js'
import { isCode } from './calls.js'
import { forPath, pagesBelow, type BosContext } from './context.js'
import { DELETE_BATCH } from './deletions.js'
import { BosError, statusOfCode, toDriverError } from './error.js'

/** @see StorageDriver.delete */
export async function remove(
  context: BosContext,
  path: string,
  { onDeleted, ...options }: DeleteOptions,
): Promise<void> {
  const { api, keys, learned, name: driver } = context
  await forPath(context, path, async () => {
    if (learned.hierarchical) {
      const wasFile = await removeFile(context, path, options)
      const found = wasFile || (await api.deletions.tree(keys.directory(path), options))
      if (!found) throw new PathNotFoundError(path, { driver })
      return
    }
    const pages = pagesBelow(context, keys.directory(path), options)
    const [wasFile, first] = await Promise.all([
      api.deletions.object(keys.file(path), options),
      pages.next(),
    ])
    let found = wasFile
    if (wasFile) onDeleted?.(1)
    for (let page = first; page.done !== true; page = await pages.next()) {
      const below = page.value.objects.map(object => object.key)
      if (below.length === 0) continue
      found = true
      await api.deletions.objects(below, options)
      onDeleted?.(below.length)
    }
    if (!found) throw new PathNotFoundError(path, { driver })
  })
}

/** Deletes a file, whatever is below. @returns whether there was one */
export async function removeFile(
  { api, keys, learned }: BosContext,
  path: string,
  options: DriverOptions,
): Promise<boolean> {
  const key = keys.file(path)
  // A hierarchical bucket would delete an empty directory by this name.
  if (learned.hierarchical && (await api.find(key, options)) === undefined) return false
  return await api.deletions.object(key, options)
}

/** Deletes a directory's marker; in a hierarchical bucket the directory, if nothing is in it. */
export async function removeMarker(
  { api, keys, learned }: BosContext,
  path: string,
  options: DriverOptions,
): Promise<void> {
  try {
    await api.deletions.object(keys.directory(path), options)
  } catch (error) {
    if (!learned.hierarchical || !isCode(error, 'DirNotEmpty')) throw error
  }
}

/** Requests at once where a batch cannot be used. */
const PARALLELISM = 16

/** @see StorageDriver.deleteMany */
export async function removeMany(
  context: BosContext,
  paths: readonly string[],
  options: DriverOptions,
): Promise<DeleteFailure[]> {
  const failures: DeleteFailure[] = []
  const remove = async (some: readonly string[]): Promise<void> => {
    try {
      failures.push(...(await removeBatch(context, some, options)))
    } catch (error) {
      options.signal?.throwIfAborted()
      failures.push(...some.map(path => ({ path, error })))
    }
  }
  if (context.learned.hierarchical) {
    // A batch would not say which of its keys are directories, nor take them from below.
    const [markers, files] = [paths.filter(isMarker), paths.filter(path => !isMarker(path))]
    await forEachParallel(files, path => remove([path]), { limit: PARALLELISM, ...options })
    for (const path of markers.toSorted((a, b) => b.length - a.length)) await remove([path])
    return failures
  }
  for (let at = 0; at < paths.length; at += DELETE_BATCH) {
    await remove(paths.slice(at, at + DELETE_BATCH))
  }
  return failures
}

async function removeBatch(
  context: BosContext,
  paths: readonly string[],
  options: DriverOptions,
): Promise<DeleteFailure[]> {
  const { api, keys, learned, name: driver } = context
  const [path = '/'] = paths
  if (paths.length === 1 || learned.hierarchical) {
    const directory = withoutSlash(path)
    if (isMarker(path)) {
      await forPath(context, directory, () => removeMarker(context, directory, options))
    } else await forPath(context, path, () => removeFile(context, path, options))
    return []
  }
  // The key of a path with its slash is that of the marker.
  const byKey = new Map(paths.map(each => [keys.file(each), each]))
  const failed = await forPath(context, path, () => api.deletions.batch([...byKey.keys()], options))
  return failed.map(({ key, code, message }) => {
    const details = { kind: 'response' as const, status: statusOfCode(code), code }
    const at = byKey.get(key) ?? key
    return { path: at, error: toDriverError(new BosError(message, details), driver, at) }
  })
}

function isMarker(path: string): boolean {
  return path.endsWith('/')
}
