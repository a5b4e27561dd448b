/** Deletes. What is gone already is no trouble, except that `remove` of nothing says so. */
import type { DriverOptions } from '../driver.js'
import { PathNotFoundError } from '../errors.js'
import { isCode } from './calls.js'
import { forPath, pagesBelow, type BosContext } from './context.js'

/** @see StorageDriver.delete */
export async function remove(
  context: BosContext,
  path: string,
  options: DriverOptions,
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
    for (let page = first; page.done !== true; page = await pages.next()) {
      const below = page.value.objects.map(object => object.key)
      if (below.length === 0) continue
      found = true
      await api.deletions.objects(below, options)
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
