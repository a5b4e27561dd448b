/**
 * `StorageDriver.walk` on top of `stat` and `entries`: one listing per directory, held in memory
 * and sorted by name, because a store's key order is not path order ("a-b" sorts before "a/b").
 */
import { compareUtf8 } from '../util/utf8.js'
import type { FileInfo, StorageDriver, WalkDirective, WalkOptions } from './driver.js'
import { PathNotFoundError } from './errors.js'
import { baseName, comparePaths, isBelow } from './path.js'

type WalkSource = Pick<StorageDriver, 'name' | 'stat' | 'entries'>
type Visit = (info: FileInfo) => WalkDirective | Promise<WalkDirective>

/** @see StorageDriver.walk */
export async function walk(
  driver: WalkSource,
  root: string,
  visit: Visit,
  options: WalkOptions = {},
): Promise<void> {
  const { signal, startAfter } = options
  const io = signal === undefined ? {} : { signal }
  const { isDir } = await driver.stat(root, io)
  if (!isDir) throw new PathNotFoundError(root, { driver: driver.name })

  /** Returns false to end the walk. */
  const enter = async (directory: string): Promise<boolean> => {
    const children: FileInfo[] = []
    for await (const page of driver.entries(directory, io)) children.push(...page.entries)
    children.sort((a, b) => compareUtf8(baseName(a.path), baseName(b.path)))
    for (const child of children) {
      signal?.throwIfAborted()
      const passed = startAfter !== undefined && comparePaths(child.path, startAfter) <= 0
      const onTheWay = passed && (child.path === startAfter || isBelow(startAfter, child.path))
      if (passed && !onTheWay) continue
      const directive = passed ? undefined : await visit(child)
      if (directive === 'stop') return false
      if (!child.isDir || directive === 'skip-directory') continue
      if (!(await enter(child.path))) return false
    }
    return true
  }
  await enter(root)
}
