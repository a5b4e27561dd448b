/**
 * Paths to inodes of the core, as a kernel walks them: component by component, through symbolic links
 * and dots, with a lookup for each that is forgotten when the work is done.
 */
import { Buffer } from 'node:buffer'
import {
  ROOT_INO,
  type Attributes,
  type Ino,
  type Operations,
  type RequestContext,
} from '../../../../src/fs/operations.js'
import { ErrnoError } from '../../../../src/util/errno.js'
import type { Name } from '../os.js'

const TYPE = 0o170000
const DIRECTORY = 0o040000
const SYMLINK = 0o120000
/** NAME_MAX and PATH_MAX of linux/limits.h, MAXSYMLINKS of the kernel. */
const NAME_MAX = 255
const PATH_MAX = 4096
const LINKS_MAX = 40

export interface Node {
  readonly ino: Ino
  readonly attributes: Attributes
}

/** The last component of a path, where it is or would be. */
export interface Place {
  readonly parent: Node
  readonly name: string
  /** What is there, not followed. */
  readonly node: Node | undefined
  /** Inodes from the root down to the parent. */
  readonly above: readonly Ino[]
  /** The path ended with a slash: a directory is meant. */
  readonly slash: boolean
}

export function isDirectory(node: Node | undefined): boolean {
  return node !== undefined && (node.attributes.mode & TYPE) === DIRECTORY
}

export function isSymlink(node: Node | undefined): boolean {
  return node !== undefined && (node.attributes.mode & TYPE) === SYMLINK
}

/** One walk, and all lookups that it made. */
export class Walk implements Disposable {
  readonly #fs: Operations
  readonly #context: RequestContext
  readonly #lookups: Ino[] = []
  #links = 0

  constructor(fs: Operations, context: RequestContext) {
    this.#fs = fs
    this.#context = context
  }

  [Symbol.dispose](): void {
    for (const ino of this.#lookups.splice(0).toReversed()) this.#fs.forget(ino, 1)
  }

  /** Gives one lookup of a node away: whoever has it forgets it. */
  keep(ino: Ino): void {
    const at = this.#lookups.lastIndexOf(ino)
    if (at !== -1) this.#lookups.splice(at, 1)
  }

  /** Where a path's last component is; its symbolic link is followed with `follow`. */
  async place(path: Name, options: { follow: boolean; creates?: boolean }): Promise<Place> {
    const text = decoded(path, options.creates === true ? 'EILSEQ' : 'ENOENT')
    return this.#from([await this.#root()], text, options.follow)
  }

  /** @throws ErrnoError ENOENT where nothing is */
  async node(path: Name, options: { follow: boolean }): Promise<Node> {
    const { node, slash } = await this.place(path, options)
    if (node === undefined) throw new ErrnoError('ENOENT', String(path))
    if (!slash || isDirectory(node)) return node
    if (!isSymlink(node)) throw new ErrnoError('ENOTDIR', String(path))
    return this.node(path, { follow: true })
  }

  async #from(start: readonly Node[], path: string, follow: boolean): Promise<Place> {
    const names = path.split('/').filter(name => name !== '')
    const slash = path.endsWith('/') && names.length > 0
    const last = names.pop()
    const stack = [...start]
    for (const name of names) await this.#enter(stack, name)
    const parent = topOf(stack)
    if (last === undefined) return { parent, name: '/', node: parent, above: [], slash }
    if (!isDirectory(parent)) throw new ErrnoError('ENOTDIR', path)
    const above = stack.map(({ ino }) => ino)
    if (last === '.' || last === '..') {
      const node = last === '.' ? parent : (stack.at(-2) ?? parent)
      return { parent, name: last, node, above, slash }
    }
    const node = await this.#lookup(parent, last)
    if (!isSymlink(node) || node === undefined || !(follow || slash)) {
      return { parent, name: last, node, above, slash }
    }
    return this.#from(stack, await this.#target(node), true)
  }

  async #enter(stack: Node[], name: string): Promise<void> {
    const directory = topOf(stack)
    if (!isDirectory(directory)) throw new ErrnoError('ENOTDIR', name)
    if (name === '.') return
    if (name === '..') {
      if (stack.length > 1) stack.pop()
      return
    }
    const node = await this.#lookup(directory, name)
    if (node === undefined) throw new ErrnoError('ENOENT', name)
    if (!isSymlink(node)) {
      stack.push(node)
      return
    }
    const { node: found } = await this.#from(stack, await this.#target(node), true)
    if (found === undefined) throw new ErrnoError('ENOENT', name)
    stack.push(found)
  }

  async #target(link: Node): Promise<string> {
    this.#links += 1
    if (this.#links > LINKS_MAX) throw new ErrnoError('ELOOP', 'too many links')
    return this.#fs.readlink(this.#context, link.ino)
  }

  async #lookup(parent: Node, name: string): Promise<Node | undefined> {
    if (Buffer.byteLength(name) > NAME_MAX) throw new ErrnoError('ENAMETOOLONG', name)
    const entry = await this.#fs.lookup(this.#context, parent.ino, name)
    if (entry.ino === undefined) return undefined
    this.#lookups.push(entry.ino)
    return entry
  }

  async #root(): Promise<Node> {
    return { ino: ROOT_INO, ...(await this.#fs.getattr(this.#context, ROOT_INO)) }
  }
}

function topOf(stack: readonly Node[]): Node {
  const top = stack.at(-1)
  if (top === undefined) throw new RangeError('nothing above the root')
  return top
}

function decoded(path: Name, invalid: 'EILSEQ' | 'ENOENT'): string {
  const bytes = Buffer.from(path as Uint8Array)
  if (bytes.length >= PATH_MAX) throw new ErrnoError('ENAMETOOLONG', 'a path')
  const text = bytes.toString('utf8')
  if (!Buffer.from(text).equals(bytes)) throw new ErrnoError(invalid, 'a name that is not UTF-8')
  return text
}
