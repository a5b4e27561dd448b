/**
 * From the paths that libfuse's high-level interface speaks to the inodes of Operations.
 *
 * A path is looked up from the root, component by component; each lookup counts, and is forgotten
 * when the work on the inode is done. An inode with an open handle stays without that.
 */
import { Buffer } from 'node:buffer'
import { ErrnoError } from '../../util/errno.js'
import { ROOT_INO, type Ino, type Operations, type RequestContext } from '../operations.js'

/** NAME_MAX of linux/limits.h */
const NAME_MAX = 255
/** What the native code makes of bytes that are not UTF-8. */
const REPLACEMENT = '\ufffd'

export interface Place {
  readonly parent: Ino
  readonly name: string
}

function componentsOf(path: string): string[] {
  return path.split('/').filter(component => component !== '')
}

function checkName(name: string, invalid: 'EILSEQ' | 'ENOENT'): void {
  if (Buffer.byteLength(name) > NAME_MAX) throw new ErrnoError('ENAMETOOLONG', name)
  if (name.includes(REPLACEMENT)) throw new ErrnoError(invalid, 'a name that is not UTF-8')
}

async function lookup(
  operations: Operations,
  context: RequestContext,
  { parent, name }: Place,
): Promise<Ino> {
  checkName(name, 'ENOENT')
  const { ino } = await operations.lookup(context, parent, name)
  if (ino === undefined) throw new ErrnoError('ENOENT', name)
  return ino
}

/**
 * Works on the inode of a path.
 * @throws ErrnoError ENOENT, ENAMETOOLONG, and what `lookup` and the work throw
 */
export async function withInode<T>(
  operations: Operations,
  context: RequestContext,
  path: string,
  work: (ino: Ino) => T | Promise<T>,
): Promise<T> {
  const found: Ino[] = []
  try {
    let ino = ROOT_INO
    for (const name of componentsOf(path)) {
      ino = await lookup(operations, context, { parent: ino, name })
      found.push(ino)
    }
    return await work(ino)
  } finally {
    for (const ino of found.toReversed()) operations.forget(ino, 1)
  }
}

/**
 * Works on a name in the directory that a path leads to; the name need not exist.
 * @param options.creates The name is to be made: EILSEQ if it is not UTF-8, else ENOENT.
 */
export async function withPlace<T>(
  target: { readonly operations: Operations; readonly context: RequestContext },
  path: string,
  options: { readonly creates: boolean },
  work: (place: Place) => T | Promise<T>,
): Promise<T> {
  const components = componentsOf(path)
  const name = components.pop()
  if (name === undefined) throw new ErrnoError('EBUSY', 'the root of the mount')
  checkName(name, options.creates ? 'EILSEQ' : 'ENOENT')
  const { operations, context } = target
  return withInode(operations, context, components.join('/'), parent => work({ parent, name }))
}
